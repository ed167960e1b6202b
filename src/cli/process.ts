import type { Process, TextOutput } from "./ports.ts";

/** The process as it is. */
export const systemProcess: Process = {
  pid: Deno.pid,
  environment: () => Deno.env.toObject(),
  stdout: outputTo(Deno.stdout),
  stderr: outputTo(Deno.stderr),
  readText: (path) => path === "-" ? readStandardInput() : Deno.readTextFileSync(path),
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
      let rest = new TextEncoder().encode(text);
      try {
        while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
      } catch (error) {
        // `agent node ls | head -1`: the reader has what it wanted.
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      }
    },
  };
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
