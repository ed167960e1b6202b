/**
 * The self-extracting form of the agent: `stub.sh`, then the compressed program, then the compressed
 * runtime, in one executable file.
 *
 * @module
 */
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";

/** A Deno executable and the hash that it was pinned by. */
export interface Runtime {
  readonly path: string;
  readonly sha256: string;
}

export interface Contents {
  readonly stub: string;
  /** The directory of its modules; `main.js` is the first. */
  readonly program: string;
  readonly runtime: Runtime;
  readonly architecture: string;
  readonly version: string;
  readonly commit: string;
}

/** The shell reads a script in blocks of 8 KiB: one that fits in it survives being overwritten. */
const stubSize = 8192;

async function sha256(...parts: Uint8Array<ArrayBuffer>[]): Promise<string> {
  const bytes = await new Blob(parts).arrayBuffer();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * The compressed runtime, kept beside it: compressing takes seconds and gives the same bytes each
 * time.
 */
async function compressedRuntime(runtime: Runtime): Promise<string> {
  const compressed = `${runtime.path}.gz`;
  try {
    Deno.statSync(compressed);
  } catch {
    const partial = `${compressed}.${Deno.pid}`;
    await pipeline(
      createReadStream(runtime.path),
      createGzip({ level: 9 }),
      createWriteStream(partial),
    );
    Deno.renameSync(partial, compressed);
  }
  return compressed;
}

/** A directory's files as one archive, the same bytes for the same files. */
async function archive(directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const reproducible = [
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=0600",
  ];
  const { success, stdout } = await new Deno.Command("tar", {
    args: [...reproducible, "-C", directory, "-cf", "-", ...names(directory)],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`tar could not pack ${directory}`);
  return stdout;
}

const names = (directory: string) =>
  [...Deno.readDirSync(directory)].map(({ name }) => name).sort();

/** Fills in the stub; its length decides the offsets it holds, so it is padded to a fixed size. */
export function fillStub(stub: string, values: Readonly<Record<string, string | number>>): string {
  const filled = stub.replace(/@([A-Z_]+)@/g, (_, name) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the stub asks for @${name}@, which nobody knows`);
    return `${value}`;
  });
  const spare = stubSize - new TextEncoder().encode(filled).length;
  if (spare < 1) throw new Error(`the stub is ${1 - spare} bytes longer than ${stubSize - 1}`);
  return `${filled}${"#".repeat(spare - 1)}\n`;
}

/** Writes the file. */
export async function packSelfExtracting(file: string, contents: Contents): Promise<void> {
  const plain = await archive(contents.program);
  const program = gzipSync(plain, { level: 9 });
  const runtime = await compressedRuntime(contents.runtime);
  const programHash = await sha256(plain);
  const bytes = Deno.statSync(contents.runtime.path).size + 2 * plain.length;
  const stub = fillStub(contents.stub, {
    VERSION: contents.version,
    COMMIT: contents.commit,
    ARCH: contents.architecture,
    // Of both, and of the stub that unpacks them: another layout is another directory.
    HASH: await sha256(
      new TextEncoder().encode(`${contents.runtime.sha256} ${programHash} ${contents.stub}`),
    ),
    PROGRAM_HASH: programHash,
    RUNTIME_HASH: contents.runtime.sha256,
    PROGRAM_AT: stubSize + 1,
    PROGRAM_SIZE: program.length,
    RUNTIME_AT: stubSize + program.length + 1,
    NEEDED_MB: Math.ceil(bytes / 1e6) + 10,
  });
  Deno.writeTextFileSync(file, stub);
  Deno.writeFileSync(file, new Uint8Array(program), { append: true });
  await pipeline(createReadStream(runtime), createWriteStream(file, { flags: "a" }));
}
