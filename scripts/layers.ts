/**
 * The rules of who may import whom, as a pure check of the import graph.
 *
 * @module
 */

/** One import of one file; `type` when nothing of it is left at run time. */
export interface Import {
  readonly path: string;
  readonly kind: "code" | "type";
}

/** A source file, with paths relative to the repository. */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly Import[];
  readonly text: string;
}

/** What each folder of src may import from others; after a colon: types only. */
const allowed: Readonly<Record<string, string>> = {
  base: "",
  raft: "base",
  state: "base",
  esp: "base",
  netlink: "base",
  ca: "base",
  tls: "base ca",
  store: "base raft tls",
  cluster: "base state ca esp store tls",
  node: "base state ca esp tls",
  overlay: "base state netlink esp",
  // The transport throws netlink's OverrunError, for only the socket sees the overrun.
  sys: "base netlink",
  // An outcome gets its type back by state's `valueOf`.
  api: "base state",
  cli: "base api:type",
  // Adapters between the ports that others declare and what sys can do: a part of the composition.
  machine: "base netlink node overlay sys",
};

/** Real parts that the tests of any folder may stand on, beside what the folder itself may. */
const testsAlso = ["base", "ca", "sys"];

/** Folders whose tests join others: both halves of the control plane, or what is composed of all. */
const testedWhole = ["node", "agent"];

const composition = "agent";

/** The folder of src that a file belongs to; `src/agent.ts` belongs to `agent`. */
function folderOf(path: string): string | undefined {
  return path.match(/^src\/([^/]+?)(?:\/|\.ts$)/)?.[1];
}

function isTest(path: string): boolean {
  return /(^|\/)(test(ing)?_\w+|\w+_test)\.ts$/.test(path);
}

/** All that breaks a rule, one sentence each, in the order of the files. */
export function checkLayers(files: readonly SourceFile[]): string[] {
  return [
    ...files.flatMap((file) => [...checkImports(file), ...checkPrivileges(file)]),
    ...findCycles(files),
  ];
}

function* checkImports(file: SourceFile): Generator<string> {
  const own = folderOf(file.path);
  for (const { path, kind } of file.imports) {
    const other = folderOf(path);
    const what = `${file.path} imports ${path}`;
    if (isTest(path) && !isTest(file.path) && !file.path.startsWith("tests/")) {
      yield `${what}: code must not stand on tests`;
    }
    if (other === undefined) {
      if (own !== undefined && path.endsWith(".ts")) {
        yield `${what}: src imports nothing outside src`;
      }
      continue;
    }
    if (file.path === "main.ts") {
      if (other !== composition) yield `${what}: main.ts imports the composition (src/agent) only`;
    } else if (isTest(file.path) && testedWhole.includes(own ?? "")) {
      continue;
    } else if (own !== undefined && other !== own) {
      const reason = refusal(file.path, own, other, kind);
      if (reason !== undefined) yield `${what}: ${reason}`;
      if (path !== `src/${other}/mod.ts` && other !== composition) {
        yield `${what}: another folder is entered through its mod.ts`;
      }
    }
  }
}

/** Why a file of folder `own` must not import folder `other`; undefined if it may. */
function refusal(
  path: string,
  own: string,
  other: string,
  kind: Import["kind"],
): string | undefined {
  if (own === composition) return undefined;
  if (other === composition) return "only main.ts imports the composition";
  const entries = allowed[own]?.split(" ");
  if (entries === undefined) return `the folder ${own} is not in the table of scripts/layers.ts`;
  if (entries.includes(other) || (isTest(path) && testsAlso.includes(other))) return undefined;
  if (!entries.includes(`${other}:type`)) return `${own} may not import ${other}`;
  return kind === "type"
    ? undefined
    : `${own} may import types only from ${other}: use "import type"`;
}

function* checkPrivileges(file: SourceFile): Generator<string> {
  if (folderOf(file.path) === undefined || isTest(file.path)) return;
  const code = withoutComments(file.text);
  if (/\bDeno\s*\.\s*dlopen\b/.test(code) && folderOf(file.path) !== "sys") {
    yield `${file.path} calls Deno.dlopen: only sys opens foreign libraries`;
  }
  if (/\b(Deno|process)\s*\.\s*exit\b(?!Code)/.test(code) && file.path !== "src/cli/exit.ts") {
    yield `${file.path} calls exit: only src/cli/exit.ts ends the process`;
  }
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[^]*?\*\/|(^|[^:"'`])\/\/.*$/gm, "$1");
}

/** One cycle of run-time imports, if there is any: a module would see another half made. */
function findCycles(files: readonly SourceFile[]): string[] {
  const graph = new Map(files.map(({ path, imports }) => [
    path,
    imports.filter(({ kind }) => kind === "code").map((target) => target.path),
  ]));
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    const start = path.indexOf(file);
    if (start >= 0) return [...path.slice(start), file];
    if (finished.has(file)) return undefined;
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target);
      if (cycle !== undefined) return cycle;
    }
    path.pop();
    finished.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle !== undefined) return [`a cycle: ${cycle.join(" → ")}`];
  }
  return [];
}
