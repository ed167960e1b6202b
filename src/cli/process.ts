import type { Process, TextOutput } from "./ports.ts";
import { visible } from "./visible.ts";

/** The process as it is. */
export const systemProcess: Process = {
  pid: Deno.pid,
  environment: () => Deno.env.toObject(),
  stdout: outputTo(Deno.stdout),
  stderr: outputTo(Deno.stderr),
  readText: (path) => path === "-" ? readStandardInput() : Deno.readTextFileSync(path),
  takeVariable: (name) => {
    const value = Deno.env.get(name);
    Deno.env.delete(name);
    return value;
  },
  writeNewFile,
  inputComes: async () => await Deno.stdin.read(new Uint8Array(64)) !== null,
  writeLast: async (fd, text) => {
    // Loaded here, because it costs a tenth of what all else does until a command runs.
    const { closeSync, writeSync } = await import("node:fs");
    writeSync(fd, text);
    closeSync(fd);
  },
};

function outputTo(stream: typeof Deno.stdout): TextOutput {
  return {
    write(text) {
      let rest = new TextEncoder().encode(visible(text));
      try {
        while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
      } catch (error) {
        // `agent node ls | head -1`: the reader has what it wanted.
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      }
    },
  };
}

/** The name is taken first, by an empty file, so that nobody else's is replaced by the rename. */
function writeNewFile(path: string, bytes: Uint8Array): void {
  const options = { write: true, createNew: true, mode: 0o600 };
  const partial = `${path}.partial`;
  Deno.openSync(path, options).close();
  try {
    const file = Deno.openSync(partial, options);
    try {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
      file.syncSync();
      Deno.renameSync(partial, path);
    } catch (error) {
      Deno.removeSync(partial);
      throw error;
    } finally {
      file.close();
    }
  } catch (error) {
    Deno.removeSync(path);
    throw error;
  }
  const directory = Deno.openSync(/^(.*)\/[^/]*$/.exec(path)?.[1] || (path[0] === "/" ? "/" : "."));
  directory.syncSync();
  directory.close();
}

function readStandardInput(): string {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  let text = "";
  for (;;) {
    const count = Deno.stdin.readSync(buffer);
    if (count === null) return text + decoder.decode();
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}
