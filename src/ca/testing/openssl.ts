/** Runs `openssl`, the independent reader of what is written here. */
import { strict as assert } from "node:assert";

/** Exit code and what it printed on both outputs. */
export interface OpensslResult {
  readonly code: number;
  readonly text: string;
}

/** Runs `openssl` with these arguments in `directory`. */
export async function openssl(directory: string, ...args: string[]): Promise<OpensslResult> {
  const command = new Deno.Command("openssl", { args, cwd: directory, stdin: "null" });
  const output = await command.output();
  const decoder = new TextDecoder();
  return {
    code: output.code,
    text: decoder.decode(output.stdout) + decoder.decode(output.stderr),
  };
}

/** As {@linkcode openssl}; it must succeed. Gives what it printed. */
export async function opensslOk(directory: string, ...args: string[]): Promise<string> {
  const { code, text } = await openssl(directory, ...args);
  assert.equal(code, 0, `openssl ${args.join(" ")}: ${text}`);
  return text;
}

/** Calls `work` with a directory of its own, which holds `files`, and removes it after. */
export async function withFiles(
  files: Readonly<Record<string, string | Uint8Array>>,
  work: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "agent-ca-" });
  try {
    for (const [name, content] of Object.entries(files)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${directory}/${name}`, bytes);
    }
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
