import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeFrame, type Frame, FrameDecoder, type JsonObject, newId } from "../base/mod.ts";
import { type Entry, MemoryStorage, type Message, Raft } from "../raft/mod.ts";
import { decodeMessage, encodeMessage, MessageError } from "./message_codec.ts";
import { random } from "./testing_store.ts";

const incarnation = newId(random);
const address = { from: "a", to: "b" };
const reading = { ...address, incarnation };

const count = fc.nat({ max: 2 ** 31 - 1 });
const place = fc.record({ term: count, index: count });
const bytes = fc.uint8Array({ maxLength: 300 });
const ids = fc.array(fc.string({ minLength: 1, maxLength: 26 }), { maxLength: 5 });
const envelope = { from: fc.constant("a"), to: fc.constant("b"), term: count };

function message<K extends Message["kind"]>(
  kind: K,
  fields: Record<string, fc.Arbitrary<unknown>>,
) {
  return fc.record({ kind: fc.constant(kind), ...envelope, ...fields });
}

const entries = fc.tuple(
  place,
  fc.array(fc.record({
    term: count,
    kind: fc.constantFrom("data", "noop", "membership"),
    data: bytes,
  })),
).map(([prev, list]) => ({
  prev,
  entries: list.map((entry, offset) => ({ index: prev.index + 1 + offset, ...entry })),
}));

const messages = fc.oneof(
  message("pre-vote", { last: place }),
  message("vote", { last: place, transfer: fc.boolean() }),
  message("pre-vote-reply", { granted: fc.boolean() }),
  message("vote-reply", { granted: fc.boolean() }),
  fc.tuple(message("append", { commit: count }), entries).map(([one, two]) => ({ ...one, ...two })),
  message("append-accepted", { match: count }),
  message("append-rejected", { rejected: count, hint: place }),
  message("heartbeat", { commit: count, match: count, round: count }),
  message("heartbeat-reply", { round: count }),
  message("snapshot-part", {
    meta: fc.record({
      term: count,
      index: count,
      membership: fc.record({ voters: ids, learners: ids }),
    }),
    offset: count,
    data: bytes,
    done: fc.boolean(),
  }),
  message("snapshot-progress", { snapshot: place, offset: count }),
  message("timeout-now", {}),
) as fc.Arbitrary<Message>;

/** Over the wire: a frame, cut into pieces. */
function carried(frame: Frame, pieceBytes: number): Frame {
  const encoded = encodeFrame(frame);
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (let offset = 0; offset < encoded.length; offset += pieceBytes) {
    frames.push(...decoder.push(encoded.subarray(offset, offset + pieceBytes)));
  }
  assert.equal(frames.length, 1);
  const [only] = frames;
  assert.ok(only !== undefined);
  return only;
}

Deno.test("every message comes out as it went in", () => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 400 }), (sent, pieceBytes) => {
      kinds.add(sent.kind);
      const frame = carried(encodeMessage(sent, incarnation), pieceBytes);
      assert.ok(frame.kind < 240, "kinds from 240 on are the streams' own");
      assert.deepEqual(plain(decodeMessage(frame, reading)), plain(sent));
    }),
    { numRuns: 500 },
  );
  assert.equal(kinds.size, 12);
});

/** Without the prototypes that fast-check gives its records. */
function plain(value: Message): unknown {
  return structuredClone(value);
}

Deno.test("a message of another incarnation is refused, whatever it says", () => {
  fc.assert(fc.property(messages, (sent) => {
    const frame = encodeMessage(sent, newId(random));
    assert.throws(() => decodeMessage(frame, reading), (error) => {
      assert.ok(error instanceof MessageError);
      assert.equal(error.code, "foreign-incarnation");
      return true;
    });
  }));
});

Deno.test("any frame is a message or a MessageError, and no message makes a member throw", () => {
  const damage = fc.dictionary(
    fc.constantFrom(
      ...["term", "last", "transfer", "granted", "prev", "commit", "entries", "match", "hint"],
      ...["rejected", "round", "snapshot", "voters", "learners", "offset", "done"],
    ),
    fc.oneof(fc.jsonValue(), count, place.map(({ term, index }) => [term, index])),
    { maxKeys: 2 },
  );
  const kinds = fc.option(fc.nat({ max: 255 }), { nil: undefined, freq: 8 });
  let read = 0;
  let refused = 0;
  fc.assert(
    fc.property(messages, damage, kinds, fc.option(bytes), (sent, fields, kind, body) => {
      const good = encodeMessage(sent, incarnation);
      const frame = {
        kind: kind ?? good.kind,
        header: { ...good.header, ...fields } as JsonObject,
        body: body ?? good.body,
      };
      let message: Message;
      try {
        message = decodeMessage(frame, reading);
      } catch (error) {
        assert.ok(error instanceof MessageError, String(error));
        refused++;
        return;
      }
      read++;
      const storage = new MemoryStorage({ voters: ["a", "b"], learners: [] });
      new Raft({ id: "b", storage, random, floor: 0 }).step(message);
    }),
    { numRuns: 3000 },
  );
  assert.ok(Math.min(read, refused) > 100, `${read} were messages, ${refused} were not`);
});

Deno.test("an append whose entries and bytes do not agree is refused", () => {
  const entry: Entry = { index: 8, term: 2, kind: "data", data: new Uint8Array(10) };
  const prev = { term: 2, index: 7 };
  const sent: Message = { kind: "append", ...address, term: 2, prev, entries: [entry], commit: 0 };
  const good = encodeMessage(sent, incarnation);
  assert.equal(decodeMessage(good, reading).kind, "append");
  for (const body of [new Uint8Array(9), new Uint8Array(11), new Uint8Array()]) {
    assert.throws(() => decodeMessage({ ...good, body }, reading), MessageError);
  }
  for (const entries of [[[2, 0, -10]], [[2, 0, 1e300]], [[2, 3, 10]], [[2, 0.5, 10]], [2], 2]) {
    const frame = { ...good, header: { ...good.header, entries } };
    assert.throws(() => decodeMessage(frame, reading), MessageError);
  }
});

Deno.test("the largest append that the core makes fits into a frame", () => {
  const data = new Uint8Array();
  const entries = Array.from({ length: 8192 }, (_, offset): Entry => ({
    index: 2 ** 51 + offset,
    term: 2 ** 51,
    kind: "data",
    data,
  }));
  const prev = { term: 2 ** 51, index: 2 ** 51 - 1 };
  const tiny: Message = { kind: "append", ...address, term: 2 ** 51, prev, entries, commit: 0 };
  encodeFrame(encodeMessage(tiny, incarnation));
  const [first] = entries;
  assert.ok(first !== undefined);
  const large = { ...tiny, entries: [{ ...first, data: new Uint8Array(512 * 1024) }] };
  encodeFrame(encodeMessage(large, incarnation));
});
