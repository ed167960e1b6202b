import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Connection,
  DecodeError,
  decodeNotifications,
  decodeXfrmNotifications,
  dumpAddresses,
  dumpFdb,
  dumpFilters,
  dumpLinks,
  dumpNamespaceIds,
  dumpNeighbours,
  dumpPolicies,
  dumpQdiscs,
  dumpRoutes,
  dumpSas,
  NetlinkError,
} from "../../../src/netlink/mod.ts";
import { readRecording, ReplayTransport } from "./replay.ts";
import type { Conversation } from "./transcript.ts";

const CONVERSATIONS: readonly Conversation[] = [
  "links",
  "addresses",
  "routes",
  "neighbours",
  "namespaces",
  "notifications",
  "filters",
  "states",
  "policies",
  "xfrm_notifications",
].flatMap((file) => [...readRecording(file).values()]);

const RECEIVED = CONVERSATIONS.flatMap(({ datagrams }) =>
  datagrams.filter(({ direction }) => direction === "received").map(({ bytes }) => bytes)
);

/** The two families have the same numbers for different messages, so each gets the other's too. */
const DECODERS = [decodeNotifications, decodeXfrmNotifications];

/** Some bytes of a recording changed, or its end cut off. */
function mutated(bytes: Uint8Array<ArrayBuffer>): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const change = fc.record({ offset: fc.nat(bytes.length - 1), value: fc.nat(255) });
  return fc.record({ changes: fc.array(change, { maxLength: 8 }), cut: fc.nat(bytes.length) }).map(
    ({ changes, cut }) => {
      const copy = Uint8Array.from(bytes);
      for (const { offset, value } of changes) copy[offset] = value;
      return changes.length % 2 === 0 ? copy : copy.slice(0, Math.max(cut, 1));
    },
  );
}

Deno.test("recorded bytes, damaged anywhere, are decoded or a DecodeError, without over-reading", () => {
  const damaged = fc.constantFrom(...RECEIVED).chain(mutated);
  const outcome = (decode: (datagram: Uint8Array) => unknown, bytes: Uint8Array) => {
    try {
      return JSON.stringify(
        decode(bytes),
        (_key, value) => typeof value === "bigint" ? `${value}` : value,
      );
    } catch (error) {
      if (error instanceof DecodeError) return error.message;
      throw error;
    }
  };
  fc.assert(
    fc.property(damaged, fc.constantFrom(...DECODERS), (bytes, decode) => {
      const surrounded = new Uint8Array(bytes.length + 64).fill(0xa5);
      surrounded.set(bytes, 32);
      assert.equal(outcome(decode, surrounded.subarray(32, 32 + bytes.length)), outcome(decode, bytes));
    }),
    { numRuns: 5000 },
  );
});

Deno.test("a damaged conversation ends, with objects or with a typed error", () => {
  const dumps = [
    dumpLinks(),
    dumpAddresses(),
    dumpRoutes(),
    dumpNeighbours(),
    dumpFdb(),
    dumpNamespaceIds(),
    dumpQdiscs(),
    dumpFilters({ index: 50, hook: "egress" }),
    dumpSas(),
    dumpPolicies(),
  ];
  const damaged = fc.constantFrom(...RECEIVED).chain((first) =>
    fc.tuple(mutated(first), fc.constantFrom(...RECEIVED).chain(mutated))
  );
  fc.assert(
    fc.property(damaged, fc.constantFrom(...dumps), (bytes, dump) => {
      const datagrams = bytes.map((part) => ({ direction: "received", bytes: part } as const));
      const transport = new ReplayTransport({ command: "", datagrams });
      try {
        new Connection(transport).dump<unknown>(dump);
      } catch (error) {
        assert.ok(error instanceof DecodeError || error instanceof NetlinkError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
