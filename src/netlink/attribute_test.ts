import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, IpAddress } from "../base/mod.ts";
import { AttributeReader } from "./attribute_reader.ts";
import { AttributeWriter } from "./attribute_writer.ts";
import { DecodeError } from "./errors.ts";

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

Deno.test("attributes are padded to 4 bytes, and their length leaves the padding out", () => {
  const cases: readonly [string, (writer: AttributeWriter) => unknown, string][] = [
    ["u8", (writer) => writer.u8(1, 0xab), "05000100ab000000"],
    ["u16", (writer) => writer.u16(2, 0x1234), "0600020034120000"],
    ["u16be", (writer) => writer.u16be(3, 0x1234), "0600030012340000"],
    ["u32", (writer) => writer.u32(4, 0x12345678), "0800040078563412"],
    ["i32", (writer) => writer.i32(5, -2), "08000500feffffff"],
    ["string", (writer) => writer.string(6, "lo"), "070006006c6f0000"],
    ["bareString", (writer) => writer.bareString(7, "veth"), "0800070076657468"],
    ["mac", (writer) => writer.mac(8, "02:00:00:00:00:01"), "0a0008000200000000010000"],
    ["ip", (writer) => writer.ip(9, IpAddress.parse("192.0.2.1")), "08000900c0000201"],
    ["nest", (writer) => writer.nest(10, () => writer.u8(1, 1)), "0c000a000500010001000000"],
    ["flaggedNest", (writer) => writer.flaggedNest(10, () => {}), "04000a80"],
  ];
  for (const [name, write, expected] of cases) {
    const writer = new AttributeWriter(new Uint8Array());
    write(writer);
    assert.equal(hex(writer.finish()), expected, name);
  }
});

Deno.test("the writer grows, and keeps what it has", () => {
  const writer = new AttributeWriter(Uint8Array.of(1, 2, 3, 4));
  for (let value = 0; value < 1000; value++) writer.u32(value, value);
  const reader = new AttributeReader(writer.finish(), 4);
  for (let value = 0; value < 1000; value++) {
    assert.ok(reader.next());
    assert.deepEqual([reader.type, reader.u32()], [value, value]);
  }
  assert.equal(reader.next(), false);
});

Deno.test("values that do not fit are refused by name", () => {
  const writer = new AttributeWriter(new Uint8Array());
  assert.throws(() => writer.u8(7, 256), /^RangeError: Cannot encode attribute 7: 256 is not in/);
  assert.throws(() => writer.u16(7, -1), RangeError);
  assert.throws(() => writer.u32(7, 2 ** 32), RangeError);
  assert.throws(() => writer.u32(7, 1.5), RangeError);
  assert.throws(() => writer.bytes(7, new Uint8Array(0xffff)), /length of attribute 7/);
  assert.throws(
    () =>
      writer.nest(7, () => writer.bytes(1, new Uint8Array(40000)).bytes(2, new Uint8Array(40000))),
    /length of attribute 7: 80012 is not in/,
  );
});

Deno.test("attributes come back as they were written", () => {
  const attribute = fc.record({
    type: fc.integer({ min: 0, max: 0x3fff }),
    value: fc.uint8Array({ maxLength: 64 }),
  });
  fc.assert(fc.property(fc.array(attribute), fc.uint8Array({ maxLength: 20 }), (written, head) => {
    const writer = new AttributeWriter(head);
    for (const { type, value } of written) writer.bytes(type, value);
    const reader = new AttributeReader(writer.finish(), (head.length + 3) & ~3);
    const read = [];
    while (reader.next()) read.push({ type: reader.type, value: Uint8Array.from(reader.bytes()) });
    assert.deepEqual(
      read,
      written.map(({ type, value }) => ({ type, value: Uint8Array.from(value) })),
    );
  }));
});

/** Reads everything in every way; gives what came of it as text. */
function readAll(bytes: Uint8Array): string {
  const seen: unknown[] = [];
  const reader = new AttributeReader(bytes, 0);
  const ways = [
    () => reader.u8(),
    () => reader.u16(),
    () => reader.u16be(),
    () => reader.u32(),
    () => reader.i32(),
    () => reader.ip().toString(),
    () => reader.mac(),
    () => reader.string(),
    () => hex(reader.bytes()),
    () => reader.nest().next(),
  ];
  const attempt = (way: () => unknown) => {
    try {
      seen.push(way());
      return true;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      seen.push(error.message);
      return false;
    }
  };
  let more = true;
  while (more) {
    more = false;
    if (attempt(() => more = reader.next()) && more) ways.forEach(attempt);
  }
  return JSON.stringify(seen);
}

/** Attributes whose lengths nearly fit, the last one without its padding. */
const nearly = fc.array(fc.record({
  value: fc.uint8Array({ maxLength: 20 }),
  lengthOff: fc.constantFrom(0, 0, 0, 1, -1, 4),
})).map((attributes) => {
  const parts = attributes.flatMap(({ value, lengthOff }) => {
    const padding = new Uint8Array(-value.length & 3);
    return [Uint8Array.of(4 + value.length + lengthOff, 0, 7, 0), value, padding];
  });
  return concatBytes(...parts.slice(0, -1));
});

Deno.test("any bytes are read to an end, or are a DecodeError, and nothing beyond is looked at", () => {
  fc.assert(
    fc.property(fc.oneof(nearly, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      const surrounded = new Uint8Array(bytes.length + 64).fill(0xa5);
      surrounded.set(bytes, 32);
      assert.equal(readAll(surrounded.subarray(32, 32 + bytes.length)), readAll(bytes));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("text that is not UTF-8 does not spoil a message", () => {
  const writer = new AttributeWriter(new Uint8Array()).bytes(3, Uint8Array.of(0x61, 0xff, 0));
  const reader = new AttributeReader(writer.finish(), 0);
  reader.next();
  assert.equal(reader.string(), "a\ufffd");
});

Deno.test("a value that is too short is not read from its neighbour", () => {
  const writer = new AttributeWriter(new Uint8Array()).u8(1, 1).u32(2, 0xffffffff);
  const reader = new AttributeReader(writer.finish(), 0);
  reader.next();
  assert.throws(() => reader.u32(), /^DecodeError: Attribute 1 has 1 bytes, not 4$/);
  assert.throws(() => reader.ip(), DecodeError);
  assert.throws(() => reader.mac(), DecodeError);
  assert.equal(reader.u8(), 1);
});

Deno.test("the flags of a type are left out", () => {
  const writer = new AttributeWriter(new Uint8Array()).flaggedNest(12, () => {});
  const reader = new AttributeReader(writer.finish(), 0);
  reader.next();
  assert.equal(reader.type, 12);
});
