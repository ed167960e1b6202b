import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeFrame, encodeHex, FrameDecoder, FrameError, MAX_FRAME_BYTES } from "./mod.ts";

Deno.test("a frame is length, version, kind, header length, header, body", () => {
  const bytes = encodeFrame({ kind: 7, header: { a: 1 }, body: Uint8Array.of(255) });
  assert.equal(encodeHex(bytes), "0000000e" + "01" + "07" + "00000007" + "7b2261223a317d" + "ff");
});

Deno.test("frames come out whole, however the bytes are cut", () => {
  const frame = fc.record({
    kind: fc.nat(255),
    header: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.oneof(fc.integer(), fc.string())),
    body: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.integer({ min: 1, max: 40 }),
      (frames, step) => {
        const stream = frames.flatMap((one) => [...encodeFrame(one)]);
        const decoder = new FrameDecoder();
        const decoded = [];
        for (let at = 0; at < stream.length; at += step) {
          decoded.push(...decoder.push(Uint8Array.from(stream.slice(at, at + step))));
        }
        assert.equal(decoder.pendingBytes, 0);
        assert.equal(JSON.stringify(decoded.map(plain)), JSON.stringify(frames.map(plain)));
      },
    ),
  );
});

Deno.test("a large frame in many pieces is put together once", () => {
  const body = new Uint8Array(MAX_FRAME_BYTES / 2).fill(7);
  const stream = encodeFrame({ kind: 1, header: {}, body });
  const decoder = new FrameDecoder();
  const concatenations = countCopies(() => {
    for (let at = 0; at < stream.length; at += 64) {
      const frames = decoder.push(stream.subarray(at, at + 64));
      assert.equal(frames.length, at + 64 < stream.length ? 0 : 1);
    }
  });
  // Some for the length field, the frame and its body; not one for each of the 8,192 pieces.
  assert.ok(concatenations < 3 * stream.length, `${concatenations} bytes were copied`);
});

/** Bytes that `Uint8Array.prototype.set` copies meanwhile. */
function countCopies(action: () => void): number {
  const { set } = Uint8Array.prototype;
  let bytes = 0;
  Uint8Array.prototype.set = function (source, offset) {
    bytes += source.length;
    set.call(this, source, offset);
  };
  try {
    action();
  } finally {
    Uint8Array.prototype.set = set;
  }
  return bytes;
}

function plain(frame: { kind: number; header: unknown; body: Uint8Array }): unknown {
  return [frame.kind, frame.header, [...frame.body]];
}

Deno.test("arbitrary bytes give frames or a FrameError, and never hold more than one frame", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const decoder = new FrameDecoder();
    try {
      decoder.push(bytes);
      assert.ok(decoder.pendingBytes <= bytes.length);
    } catch (error) {
      assert.ok(error instanceof FrameError);
    }
  }));
});

Deno.test("what is too large, of another version or no JSON object is refused", () => {
  assert.throws(
    () => encodeFrame({ kind: 1, header: {}, body: new Uint8Array(MAX_FRAME_BYTES) }),
    RangeError,
  );
  assert.throws(() => encodeFrame({ kind: 256, header: {}, body: new Uint8Array() }), RangeError);
  const good = encodeFrame({ kind: 1, header: {}, body: new Uint8Array() });
  const edits: [number, number][] = [[0, 0x7f], [3, 1], [4, 2], [9, 200], [10, 0x5b]];
  for (const [offset, byte] of edits) {
    const bad = good.slice();
    bad[offset] = byte;
    assert.throws(() => new FrameDecoder().push(bad), FrameError, `offset ${offset}`);
  }
});
