import { decodeUtf8 } from "../base/mod.ts";

/** What a script did. */
export interface ScriptResult {
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * For tests of what ends or replaces a process: starts another one that runs `code`, with this
 * folder as `sys` and the C library as `libc`.
 *
 * @param under a program, and its arguments, that is to run it: a tracer
 */
export function spawnScript(
  code: string,
  options: Deno.CommandOptions = {},
  under: readonly string[] = [],
): Deno.ChildProcess {
  const imports = `
    import * as sys from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
    import { libc } from ${JSON.stringify(import.meta.resolve("./libc.ts"))};
  `;
  const [program = "", ...args] = [...under, Deno.execPath(), "eval", "--quiet", imports + code];
  return new Deno.Command(program, {
    // The configuration that names the imports is found from here.
    cwd: new URL(".", import.meta.url),
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  }).spawn();
}

/** As {@linkcode spawnScript}, until it has ended. */
export async function runScript(code: string): Promise<ScriptResult> {
  const { code: status, signal, stdout, stderr } = await spawnScript(code).output();
  return { code: status, signal, stdout: decodeUtf8(stdout), stderr: decodeUtf8(stderr) };
}

/** What `child` has written to its standard output, as soon as that matches. */
export async function readUntil(child: Deno.ChildProcess, pattern: RegExp): Promise<string> {
  const reader = child.stdout.getReader();
  try {
    let text = "";
    while (!pattern.test(text)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`It ended after ${JSON.stringify(text)}`);
      text += decodeUtf8(value);
    }
    return text;
  } finally {
    reader.releaseLock();
  }
}

/** Kills `child`, unless it has ended, and frees its streams. */
export async function killed(child: Deno.ChildProcess): Promise<Deno.CommandStatus> {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // Ended by itself.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
  const status = await child.status;
  for (const stream of [child.stdout, child.stderr]) await stream.cancel();
  return status;
}

/** Looks again and again: for what /proc shows and nothing tells of. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
