import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import type { Recovery } from "../cluster/mod.ts";
import { StateFiles } from "../machine/mod.ts";
import { IdentityStore, type NodeRecord } from "../node/mod.ts";
import { fsyncDirectory } from "../sys/mod.ts";
import { type Directories, pathsOf } from "./paths.ts";

/** In a store that a recovery has made: the node's record that belongs to it. Written last. */
const RECORD_FILE = "record.json";

/**
 * What a recovery does to the state directory. Its steps, each durable before the next:
 *
 * 1. `store.new` is made, and in it, last, the node's record that belongs to it;
 * 2. `store` becomes `store.old`;
 * 3. `store.new` becomes `store`;
 * 4. the record in it becomes the node's;
 * 5. `store.old` goes: it holds secrets.
 *
 * Before step 2 nothing has happened, and what there is of `store.new` goes. From then on the recovery
 * is finished by whoever has the lock next: {@linkcode settleStore}. So a kill at any moment leaves the
 * old cluster's manager or the new one's, and never a host without either.
 */
export class StoreExchange {
  readonly #directories: Directories;
  readonly #paths: ReturnType<typeof pathsOf>;

  /** Under the lock of these directories. */
  constructor(directories: Directories) {
    this.#directories = directories;
    this.#paths = pathsOf(directories);
  }

  /** Where the new store has to be made. */
  get newStore(): string {
    return this.#paths.newStore;
  }

  /** Step 1 is done but for the record: says who this node is in the new incarnation. */
  complete({ incarnation }: Pick<Recovery, "incarnation">): void {
    const record = new IdentityStore(new StateFiles(this.#directories.stateDir)).readRecord();
    const { nodeId: id, controlAddress: address } = record;
    const next: NodeRecord = { ...record, managers: [{ id, address }], incarnation };
    const text = `${JSON.stringify(next, null, 2)}\n`;
    new StateFiles(this.newStore).write(RECORD_FILE, encodeUtf8(text));
  }

  /** Step 1 has failed: it holds secrets, and does not stay. */
  discard(): void {
    removeIfThere(this.newStore);
  }

  /** Steps 2 to 5. */
  exchange(): void {
    const { store, oldStore } = this.#paths;
    this.#rename(store, oldStore);
    this.finish();
  }

  /** Goes on where a recovery was ended, or takes away what it has left. */
  finish(): void {
    const { store, newStore, oldStore } = this.#paths;
    if (!isThere(store) && isThere(oldStore)) {
      this.#rename(isThere(`${newStore}/${RECORD_FILE}`) ? newStore : oldStore, store);
    }
    if (!isThere(store)) return;
    const files = new StateFiles(store);
    const bytes = files.read(RECORD_FILE);
    if (bytes !== null) {
      const record: NodeRecord = JSON.parse(decodeUtf8(bytes));
      new IdentityStore(new StateFiles(this.#directories.stateDir)).writeRecord(record);
      files.remove(RECORD_FILE);
    }
    removeIfThere(oldStore);
    removeIfThere(newStore);
  }

  #rename(from: string, to: string): void {
    Deno.renameSync(from, to);
    fsyncDirectory(this.#directories.stateDir);
  }
}

/** Before the store is opened: finishes a recovery that was killed. The lock is the caller's. */
export function settleStore(directories: Directories): void {
  new StoreExchange(directories).finish();
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function removeIfThere(path: string): void {
  if (isThere(path)) Deno.removeSync(path, { recursive: true });
}
