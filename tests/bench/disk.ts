/** `f_type` of statfs(2), as `stat -f` prints it: there an fsync is nothing. */
const NO_DISKS = ["tmpfs", "ramfs"];
const MEASURE_MS = 2000;
const BLOCK_BYTES = 4096;

/** Name of the file system that a directory is on. @throws {Error} when there is no disk behind it */
export async function diskOf(directory: string): Promise<string> {
  const { stdout } = await new Deno.Command("stat", { args: ["-f", "-c", "%T", directory] })
    .output();
  const name = new TextDecoder().decode(stdout).trim();
  if (NO_DISKS.includes(name)) {
    throw new Error(`${directory} is on ${name}, which has no disk: give --under one that is`);
  }
  return name;
}

/** Small writes that are durable, one after the other, alone: what every save waits for. */
export function fsyncsPerSecond(directory: string): number {
  const path = Deno.makeTempFileSync({ dir: directory });
  const file = Deno.openSync(path, { write: true });
  const block = new Uint8Array(BLOCK_BYTES);
  let count = 0;
  const begunMs = performance.now();
  while (performance.now() - begunMs < MEASURE_MS) {
    block.fill(++count);
    file.seekSync((count % 2) * block.length, Deno.SeekMode.Start);
    file.writeSync(block);
    file.syncDataSync();
  }
  const perSecond = count / ((performance.now() - begunMs) / 1000);
  file.close();
  Deno.removeSync(path);
  return Math.round(perSecond);
}
