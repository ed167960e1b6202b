import type { ConfirmedRead } from "../raft/mod.ts";

interface Reader {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Who waits until the state machine may be read (ReadIndex; thesis, 6.4). */
export class Readers {
  /** Not confirmed yet, by the number of the request. */
  readonly #asked = new Map<number, Reader>();
  /** Confirmed, and not applied as far as they need; in the order of their indexes. */
  #confirmed: { readonly index: number; readonly reader: Reader }[] = [];

  get size(): number {
    return this.#asked.size + this.#confirmed.length;
  }

  wait(id: number): Promise<void> {
    return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
  }

  confirmed(reads: readonly ConfirmedRead[]): void {
    for (const { id, index } of reads) {
      const reader = this.#asked.get(id);
      this.#asked.delete(id);
      if (reader !== undefined) this.#confirmed.push({ index, reader });
    }
  }

  /** All up to `index` is in the state machine. */
  applied(index: number): void {
    let served = 0;
    for (const { index: needed, reader } of this.#confirmed) {
      if (needed > index) break;
      reader.resolve();
      served++;
    }
    if (served > 0) this.#confirmed.splice(0, served);
  }

  /** These cannot be confirmed any more. */
  lost(ids: readonly number[], error: () => Error): void {
    for (const id of ids) {
      this.#asked.get(id)?.reject(error());
      this.#asked.delete(id);
    }
  }

  rejectAll(error: Error): void {
    const readers = [...this.#asked.values(), ...this.#confirmed.map(({ reader }) => reader)];
    this.#asked.clear();
    this.#confirmed = [];
    for (const { reject } of readers) reject(error);
  }
}
