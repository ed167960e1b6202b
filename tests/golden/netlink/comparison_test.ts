import assert from "node:assert/strict";
import {
  type ComparableDump,
  Connection,
  DecodeError,
  dumpFdb,
  dumpNeighbours,
  dumpPolicies,
  dumpSas,
  TableDigest,
} from "../../../src/netlink/mod.ts";
import { readRecording, ReplayTransport } from "./replay.ts";
import type { Conversation } from "./transcript.ts";

const HEADER_BYTES = 16;
const noPause = () => Promise.resolve();

/** What a whole table says, but how much its objects were used. */
function meaning(objects: readonly unknown[]): string {
  const counts = ["use", "refused", "outbound", "inbound"];
  return JSON.stringify(objects, (name, value) => {
    if (counts.includes(name)) return null;
    return typeof value === "bigint" ? `${value}` : value;
  });
}

function counts(objects: readonly unknown[]): string {
  return JSON.stringify(objects, (_name, value) => typeof value === "bigint" ? `${value}` : value);
}

/** Offsets of every byte of every object, by datagram. */
function* bytesOf({ datagrams }: Conversation): Generator<{ index: number; offset: number }> {
  for (const [index, { direction, bytes }] of datagrams.entries()) {
    if (direction !== "received") continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let start = 0; start + HEADER_BYTES <= bytes.length;) {
      const length = view.getUint32(start, true);
      const isObject = view.getUint16(start + 4, true) >= HEADER_BYTES;
      for (let offset = HEADER_BYTES; isObject && offset < length; offset++) {
        yield { index, offset: start + offset };
      }
      start += (length + 3) & ~3;
    }
  }
}

function changed(recorded: Conversation, where: { index: number; offset: number }): Conversation {
  const datagrams = recorded.datagrams.map((datagram, index) => {
    if (index !== where.index) return datagram;
    const bytes = Uint8Array.from(datagram.bytes);
    bytes[where.offset] = (bytes[where.offset] ?? 0) ^ 1;
    return { ...datagram, bytes };
  });
  return { ...recorded, datagrams };
}

/** What a dump gives; null when it cannot be understood. */
function decoded(dump: ComparableDump<unknown>, recorded: Conversation): unknown[] | null {
  try {
    return new Connection(new ReplayTransport(recorded)).dump(dump);
  } catch (error) {
    assert(error instanceof DecodeError);
    return null;
  }
}

const TABLES: readonly (readonly [string, string, ComparableDump<unknown>, { counts: boolean }])[] =
  [
    ["states", "ip -s xfrm state list", dumpSas(), { counts: true }],
    ["policies", "ip -s xfrm policy list", dumpPolicies(), { counts: true }],
    ["neighbours", "bridge fdb show", dumpFdb(), { counts: false }],
    ["neighbours", "ip neigh show dev vxlan5 nud all", dumpNeighbours(), { counts: false }],
  ];

for (const [file, command, dump, has] of TABLES) {
  Deno.test(`a table is as noted until a byte of it means something else: ${command}`, async () => {
    const recorded = readRecording(file).get(command) ?? assert.fail("it is recorded");
    const digest = new TableDigest();
    const connection = new Connection(new ReplayTransport(recorded));
    const objects = await connection.dumpNoting(dump, digest, noPause);
    assert(await connection.isAsNoted(dump, digest, noPause));
    let meant = 0;
    let counted = 0;
    for (const where of bytesOf(recorded)) {
      const other = changed(recorded, where);
      const now = decoded(dump, other);
      if (now === null) continue;
      const same = await new Connection(new ReplayTransport(other))
        .isAsNoted(dump, digest, noPause);
      if (meaning(now) !== meaning(objects)) {
        meant++;
        assert(!same, `byte ${where.offset} of datagram ${where.index}`);
      } else if (counts(now) !== counts(objects)) {
        counted++;
        // When something was made is not how much it was used.
        if (same) continue;
        assert(counts(now).includes("addedSeconds"), `byte ${where.offset}`);
      }
    }
    assert(meant > 20, `${meant} bytes mean something`);
    assert(has.counts === counted > 0, `${counted} bytes count`);
  });
}

Deno.test("another key of an SA is another table, though no key is read", async () => {
  const recorded = readRecording("states").get("ip -s xfrm state list");
  assert(recorded !== undefined);
  const digest = new TableDigest();
  await new Connection(new ReplayTransport(recorded)).dumpNoting(dumpSas(), digest, noPause);
  const key = [...bytesOf(recorded)].find(({ index, offset }) => {
    const { bytes } = recorded.datagrams[index] ?? assert.fail();
    return [0, 1, 2, 3, 4, 5].every((step) => bytes[offset + step] === step);
  });
  const other = new Connection(new ReplayTransport(changed(recorded, key ?? assert.fail("a key"))));
  assert(!await other.isAsNoted(dumpSas(), digest, noPause));
});
