import assert from "node:assert/strict";
import { type Bytes, decodeUtf8, type Frame, FrameDecoder, type Id } from "../base/mod.ts";
import { type Projection, StreamFrame } from "../state/mod.ts";
import type { TestPlane } from "./testing_plane.ts";

/** Reads a stream as a node does, when the test wants it. */
export class TestReader {
  readonly frames: Frame[] = [];
  readonly #reader: ReadableStreamDefaultReader<Bytes>;
  readonly #decoder = new FrameDecoder();
  readonly #client: AbortController;
  #pending: Promise<ReadableStreamReadResult<Bytes>> | null = null;

  private constructor(stream: ReadableStream<Bytes>, client: AbortController) {
    this.#reader = stream.getReader();
    this.#client = client;
  }

  static async open(cluster: TestPlane, id: Id): Promise<TestReader> {
    const client = new AbortController();
    return new TestReader(await cluster.plane.openStream(id, client.signal), client);
  }

  /** The next frame; null at the end. */
  async next(): Promise<Frame | null> {
    while (this.frames.length === 0) {
      const { done, value } = await this.#read();
      this.#pending = null;
      if (done) return null;
      this.frames.push(...this.#decoder.push(value));
    }
    return this.frames.shift() ?? null;
  }

  #read(): Promise<ReadableStreamReadResult<Bytes>> {
    this.#pending ??= this.#reader.read();
    return this.#pending;
  }

  /** The next projection, put together; what comes before it is passed over. */
  async projection(): Promise<Projection> {
    let text = "";
    for (;;) {
      const frame = await this.next();
      assert(frame !== null, "the stream has ended");
      if (frame.kind !== StreamFrame.projection) continue;
      text += decodeUtf8(frame.body);
      if (Number(frame.header.part) + 1 === frame.header.parts) return JSON.parse(text);
    }
  }

  /** Whether nothing is there to be read now. */
  async isQuiet(): Promise<boolean> {
    if (this.frames.length > 0) return false;
    let isQuiet = true;
    void this.#read().then(() => isQuiet = false);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    return isQuiet;
  }

  goAway(): void {
    this.#client.abort();
  }
}
