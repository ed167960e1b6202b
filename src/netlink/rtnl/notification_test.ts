import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes } from "../../base/mod.ts";
import { DecodeError } from "../errors.ts";
import { encodeRequests } from "../message.ts";
import * as c from "./constants.ts";
import { decodeNotifications, type Notification } from "./notification.ts";

const TYPES = [
  c.RTM_NEWLINK,
  c.RTM_DELLINK,
  c.RTM_NEWADDR,
  c.RTM_DELADDR,
  c.RTM_NEWROUTE,
  c.RTM_DELROUTE,
  c.RTM_NEWNEIGH,
  c.RTM_DELNEIGH,
  c.RTM_NEWNSID,
  c.RTM_DELNSID,
];

function datagram(type: number, payload: Uint8Array): Uint8Array {
  return encodeRequests([{ describe: () => "", type, flags: 0, payload }], 1);
}

/** What was decoded, or the words of the DecodeError, as text; anything else thrown goes on. */
function outcome(bytes: Uint8Array): string {
  try {
    return JSON.stringify(
      decodeNotifications(bytes),
      (_key, value) => typeof value === "bigint" ? `${value}` : value,
    );
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

/** Bytes that look like messages: known families, attributes with lengths that nearly fit. */
const payload = fc.tuple(
  fc.constantFrom(0, 2, 7, 10, 128),
  fc.uint8Array({ minLength: 3, maxLength: 20 }),
  fc.array(fc.record({
    type: fc.integer({ min: 0, max: 64 }),
    nested: fc.boolean(),
    value: fc.uint8Array({ maxLength: 40 }),
    lengthOff: fc.constantFrom(0, 0, 0, 0, 1, -1, 4, 60000),
  })),
).map(([family, head, attributes]) =>
  concatBytes(
    Uint8Array.of(family),
    head,
    ...attributes.map(({ type, nested, value, lengthOff }) => {
      const bytes = new Uint8Array((4 + value.length + 3) & ~3);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, 4 + value.length + lengthOff, true);
      view.setUint16(2, type | (nested ? 0x8000 : 0), true);
      bytes.set(value, 4);
      return bytes;
    }),
  )
);

Deno.test("any payload of any kind is decoded, left out, or a DecodeError, without over-reading", () => {
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), fc.oneof(payload, fc.uint8Array()), (type, bytes) => {
      const message = datagram(type, bytes);
      const surrounded = new Uint8Array(message.length + 64).fill(0xa5);
      surrounded.set(message, 32);
      assert.equal(outcome(surrounded.subarray(32, 32 + message.length)), outcome(message));
    }),
    { numRuns: 5000 },
  );
});

/** `struct ifinfomsg`, then a name. */
function linkPayload(family: number): Uint8Array {
  const bytes = new Uint8Array(24);
  bytes[0] = family;
  bytes[4] = 7;
  bytes.set([7, 0, c.IFLA_IFNAME, 0, 0x6c, 0x6f, 0], 16);
  return bytes;
}

function kinds(notifications: readonly Notification[]): string[] {
  return notifications.map(({ kind, change }) => `${kind} ${change}`);
}

Deno.test("a port that leaves its bridge is not a link that was deleted", () => {
  assert.deepEqual(kinds(decodeNotifications(datagram(c.RTM_DELLINK, linkPayload(0)))), [
    "link removed",
  ]);
  assert.deepEqual(kinds(decodeNotifications(datagram(c.RTM_DELLINK, linkPayload(7)))), [
    "bridge-port removed",
  ]);
  // IPv6's own news about a link (RTNLGRP_IPV6_IFINFO) are neither.
  assert.deepEqual(decodeNotifications(datagram(c.RTM_DELLINK, linkPayload(10))), []);
});

Deno.test("only a bridge's message has a port's flags in IFLA_PROTINFO", () => {
  const nest = Uint8Array.of(
    12,
    0,
    c.IFLA_PROTINFO,
    0,
    5,
    0,
    c.IFLA_BRPORT_LEARNING,
    0,
    1,
    0,
    0,
    0,
  );
  const learning = (family: number) => {
    const payload = concatBytes(linkPayload(family), nest);
    const [notification] = decodeNotifications(datagram(c.RTM_NEWLINK, payload));
    assert.ok(notification?.kind === "link" || notification?.kind === "bridge-port");
    return notification.link.bridgePort?.learning;
  };
  assert.equal(learning(7), true);
  assert.equal(learning(0), undefined);
});

Deno.test("messages that are not known are left out, and the others of the datagram kept", () => {
  const both = concatBytes(
    datagram(9999, new Uint8Array(4)),
    datagram(c.RTM_NEWLINK, linkPayload(0)),
  );
  assert.deepEqual(kinds(decodeNotifications(both)), ["link set"]);
});
