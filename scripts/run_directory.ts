/**
 * Temporary directories that do not pile up: one whose owner was killed with no chance to remove it
 * goes when the next of its kind is made. A lock tells whether the owner lives; its process number
 * would not, for it means another process, or none, in another process namespace.
 *
 * @module
 */

/** Makes `/tmp/PREFIX.…`, and removes those of the same prefix that nobody holds any more. */
export class RunDirectory implements Disposable {
  readonly path: string;
  readonly #lock: Deno.FsFile;

  constructor(prefix: string) {
    for (const { name } of Deno.readDirSync("/tmp")) {
      if (name.startsWith(`${prefix}.`)) removeIfAbandoned(`/tmp/${name}`);
    }
    this.path = Deno.makeTempDirSync({ dir: "/tmp", prefix: `${prefix}.` });
    // It gets its name when it is locked: one without a lock is being made, and left alone.
    const making = `${this.path}/lock.new`;
    this.#lock = Deno.openSync(making, { create: true, write: true });
    this.#lock.lockSync(true);
    Deno.renameSync(making, `${this.path}/lock`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
    this.#lock.close();
  }
}

function removeIfAbandoned(path: string): void {
  let lock: Deno.FsFile;
  try {
    lock = Deno.openSync(`${path}/lock`, { write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  try {
    if (lock.tryLockSync(true)) Deno.removeSync(path, { recursive: true });
  } catch (error) {
    // Its owner, or another sweep, was faster.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  } finally {
    lock.close();
  }
}
