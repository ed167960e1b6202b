import type { Bytes } from "../base/mod.ts";

/**
 * What has arrived and has not been read yet. Reading TLS has no back-pressure, so this grows as
 * fast as the other end sends; whoever pushes watches {@linkcode ByteQueue.lengthBytes}.
 */
export class ByteQueue implements AsyncIterable<Bytes> {
  #parts: Bytes[] = [];
  #lengthBytes = 0;
  #ended: { readonly error: Error | null } | null = null;
  #wake: () => void = () => {};

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  push(part: Bytes): void {
    if (this.#ended !== null) return;
    this.#parts.push(part);
    this.#lengthBytes += part.length;
    this.#wake();
  }

  /** Ends it, the first time only; with an error the reader gets that after what had arrived. */
  end(error: Error | null): void {
    this.#ended ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    while (true) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.#lengthBytes -= part.length;
        yield part;
      } else if (this.#ended !== null) {
        if (this.#ended.error !== null) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    }
  }
}
