/**
 * Checks the import graph of main.ts, src and tests against the rules in `layers.ts`. Prints what
 * breaks one, and ends with status 1 if anything does.
 *
 * @module
 */
import { checkLayers, type Import, type SourceFile } from "./layers.ts";

const root = new URL("..", import.meta.url);

/** The parts of `deno info --json` that are read here. */
interface Info {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: {
      specifier: string;
      code?: { specifier?: string; error?: string };
      type?: { specifier?: string; error?: string };
    }[];
  }[];
}

function* typescriptFiles(folder: URL): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const url = new URL(entry.name + (entry.isDirectory ? "/" : ""), folder);
    if (entry.isDirectory) yield* typescriptFiles(url);
    else if (entry.name.endsWith(".ts")) yield url.href;
  }
}

async function readGraph(entries: readonly string[]): Promise<Info> {
  // `deno info` takes one file: this one imports all.
  const all = Deno.makeTempFileSync({ suffix: ".ts" });
  try {
    Deno.writeTextFileSync(all, entries.map((href) => `import "${href}";\n`).join(""));
    const config = `--config=${new URL("deno.json", root).pathname}`;
    const output = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", config, all],
      stdin: "null",
      stderr: "inherit",
    }).output();
    if (!output.success) throw new Error("deno info failed: its message is above");
    return JSON.parse(new TextDecoder().decode(output.stdout));
  } finally {
    Deno.removeSync(all);
  }
}

/** A path in the repository, or undefined for packages and the runtime's own modules. */
function localPath(specifier: string | undefined): string | undefined {
  return specifier?.startsWith(root.href) ? specifier.slice(root.href.length) : undefined;
}

function sourceFiles({ modules }: Info): SourceFile[] {
  return modules.flatMap(({ specifier, error, dependencies }) => {
    const path = localPath(specifier);
    if (path === undefined) return [];
    if (error !== undefined) {
      console.error(error);
      unreadable++;
      return [];
    }
    const imports = (dependencies ?? []).flatMap(({ code, type }): Import[] => {
      const target = localPath((code ?? type)?.specifier);
      return target === undefined ? [] : [{ path: target, kind: code ? "code" : "type" }];
    });
    return [{ path, imports, text: Deno.readTextFileSync(new URL(path, root)) }];
  });
}

let unreadable = 0;
const main = new URL("main.ts", root);
const entries = [
  ...["src/", "tests/"].flatMap((folder) => [...typescriptFiles(new URL(folder, root))]),
  ...([...Deno.readDirSync(root)].some(({ name }) => name === "main.ts") ? [main.href] : []),
];
const files = sourceFiles(await readGraph(entries));
const violations = checkLayers(files);
for (const violation of violations) console.error(violation);
const count = violations.length + unreadable;
console.log(`layers: ${files.length} files, ${count} violations`);
Deno.exit(count > 0 ? 1 : 0);
