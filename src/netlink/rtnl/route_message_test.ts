import assert from "node:assert/strict";
import { concatBytes, IpAddress } from "../../base/mod.ts";
import { AttributeWriter } from "../attribute_writer.ts";
import { DecodeError } from "../errors.ts";
import type { Message } from "../message.ts";
import * as c from "./constants.ts";
import { decodeRoute } from "./route_message.ts";
import { encodeRtmsg } from "./rtmsg.ts";

function route(write: (writer: AttributeWriter) => unknown, destinationLength = 0): Message {
  const writer = new AttributeWriter(encodeRtmsg({ family: 2, destinationLength, type: 1 }));
  write(writer);
  const header = { type: c.RTM_NEWROUTE, flags: 0, sequence: 1, portId: 0 };
  return { ...header, payload: writer.finish() };
}

function multipath(...hops: readonly Uint8Array[]): Message {
  return route((writer) => writer.bytes(c.RTA_MULTIPATH, concatBytes(...hops)));
}

Deno.test("several next hops are read one by one", () => {
  const gateway = Uint8Array.of(8, 0, c.RTA_GATEWAY, 0, 192, 0, 2, 1);
  const message = multipath(
    concatBytes(Uint8Array.of(16, 0, 0, 1, 7, 0, 0, 0), gateway),
    Uint8Array.of(8, 0, 0, 0, 8, 0, 0, 0),
  );
  assert.deepEqual(decodeRoute(message)?.nextHops, [
    { index: 7, gateway: IpAddress.parse("192.0.2.1"), weight: 2 },
    { index: 8, gateway: null, weight: 1 },
  ]);
});

Deno.test("a next hop that cannot be right is a DecodeError, and no endless loop", () => {
  for (const length of [0, 4, 7, 9, 255]) {
    const message = multipath(Uint8Array.of(length, 0, 0, 0, 7, 0, 0, 0));
    assert.throws(() => decodeRoute(message), DecodeError, `length ${length}`);
  }
});

Deno.test("a gateway of another family is read, one that is no address is not", () => {
  const via = (...bytes: readonly number[]) =>
    route((writer) => writer.bytes(c.RTA_VIA, Uint8Array.from(bytes)));
  const six = IpAddress.parse("2001:db8::1");
  assert.ok(decodeRoute(via(10, 0, ...six.toBytes()))?.nextHops[0]?.gateway?.equals(six));
  assert.deepEqual(decodeRoute(via(99, 0, 1, 2, 3))?.nextHops, []);
  assert.throws(() => decodeRoute(via(10, 0, 1, 2, 3)), DecodeError);
  assert.throws(() => decodeRoute(via(10)), DecodeError);
});

Deno.test("addresses and lengths must be of the message's family", () => {
  const six = IpAddress.parse("2001:db8::1");
  assert.throws(() => decodeRoute(route((writer) => writer.ip(c.RTA_DST, six))), DecodeError);
  assert.throws(() => decodeRoute(route(() => {}, 33)), DecodeError);
  // Host bits, which the kernel never sends, are no reason to give up.
  const host = route((writer) => writer.ip(c.RTA_DST, IpAddress.parse("192.0.2.1")), 24);
  assert.equal(decodeRoute(host)?.destination.toString(), "192.0.2.0/24");
});
