import assert from "node:assert/strict";
import fc from "fast-check";
import { AttributeWriter } from "./attribute_writer.ts";
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR } from "./constants.ts";
import { DecodeError, NetlinkError } from "./errors.ts";
import {
  decodeDone,
  decodeError,
  decodeMessages,
  encodeRequests,
  type Message,
  nextSequence,
} from "./message.ts";
import type { Request } from "./request.ts";

function request(payload: Uint8Array, type = 16): Request {
  return { describe: () => "do something", type, flags: 5, payload };
}

Deno.test("a datagram of requests is read back, each aligned and numbered", () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 20 });
  fc.assert(fc.property(payloads, fc.integer({ min: 1, max: 0xffffffff }), (payloads, first) => {
    const datagram = encodeRequests(payloads.map((payload) => request(payload)), first);
    assert.equal(datagram.length % 4, 0);
    let sequence = first;
    for (const [index, message] of decodeMessages(datagram).entries()) {
      assert.deepEqual(Uint8Array.from(message.payload), Uint8Array.from(payloads[index] ?? []));
      assert.deepEqual([message.type, message.flags, message.portId], [16, 5, 0]);
      assert.equal(message.sequence, sequence);
      sequence = nextSequence(sequence);
    }
  }));
});

Deno.test("sequence numbers skip 0 when they wrap round", () => {
  assert.equal(nextSequence(1), 2);
  assert.equal(nextSequence(0xffffffff), 1);
});

Deno.test("any bytes are messages or a DecodeError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        let total = 0;
        for (const { payload } of decodeMessages(bytes)) total += 16 + payload.length;
        assert.ok(total <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("lengths that cannot be right are refused", () => {
  const good = encodeRequests([request(new Uint8Array(4))], 1);
  for (
    const [length, reason] of [[15, /says it has 15 bytes/], [
      21,
      /says it has 21 bytes, 20/,
    ]] as const
  ) {
    const bad = Uint8Array.from(good);
    new DataView(bad.buffer).setUint32(0, length, true);
    assert.throws(() => decodeMessages(bad), reason);
  }
  assert.throws(() => decodeMessages(good.subarray(0, 10)), /ends with 10 bytes/);
});

/** `NLMSG_ERROR` as the kernel builds it, for a request whose payload is given. */
function ack(
  errno: number,
  asked: Request,
  options: { capped: boolean; text?: string; offset?: number },
): Message {
  const echoed = options.capped ? 16 : 16 + asked.payload.length;
  const head = new Uint8Array(4 + echoed);
  const view = new DataView(head.buffer);
  view.setInt32(0, -errno, true);
  view.setUint32(4, 16 + asked.payload.length, true);
  if (!options.capped) head.set(asked.payload, 20);
  const writer = new AttributeWriter(head);
  if (options.text !== undefined) writer.string(1, options.text);
  if (options.offset !== undefined) writer.u32(2, options.offset);
  const tlvs = options.text !== undefined || options.offset !== undefined ? NLM_F_ACK_TLVS : 0;
  return {
    type: NLMSG_ERROR,
    flags: tlvs | (options.capped ? NLM_F_CAPPED : 0),
    sequence: 1,
    portId: 0,
    payload: writer.finish(),
  };
}

for (const capped of [true, false]) {
  Deno.test(`the kernel's words and the offending attribute are found (capped: ${capped})`, () => {
    const payload = new AttributeWriter(new Uint8Array(16)).u32(4, 20).string(3, "eth0").finish();
    const asked = request(payload);
    const { errno, extendedAck } = decodeError(
      ack(22, asked, { capped, text: "mtu less than device minimum", offset: 32 }),
      asked,
    );
    assert.equal(errno, 22);
    assert.deepEqual(extendedAck, {
      message: "mtu less than device minimum",
      offset: 32,
      attributeType: 4,
      missingType: null,
      missingNest: null,
    });
    assert.equal(
      new NetlinkError("set link eth0", errno, extendedAck).message,
      "Cannot set link eth0: EINVAL (kernel: mtu less than device minimum, attribute 4 at byte 32)",
    );
  });
}

Deno.test("an attribute that the kernel missed is named", () => {
  const writer = new AttributeWriter(new Uint8Array(20)).u32(5, 3).u32(6, 32);
  const message: Message = {
    type: NLMSG_ERROR,
    flags: NLM_F_ACK_TLVS | NLM_F_CAPPED,
    sequence: 1,
    portId: 0,
    payload: writer.finish(),
  };
  const { extendedAck } = decodeError(message, null);
  assert.match(
    new NetlinkError("set", 22, extendedAck).message,
    /attribute 3 is missing in the nest at byte 32/,
  );
});

Deno.test("an error number without a name is given as a number", () => {
  const error = new NetlinkError("try", 4095, null);
  assert.equal(error.message, "Cannot try: error 4095");
  assert.equal(error.code, "unknown");
});

Deno.test("the end of a dump may carry an error", () => {
  const done = (payload: Uint8Array): Message => ({
    type: NLMSG_DONE,
    flags: 2,
    sequence: 1,
    portId: 0,
    payload,
  });
  assert.equal(decodeDone(done(new Uint8Array()), null).errno, 0);
  assert.equal(decodeDone(done(Uint8Array.of(0, 0, 0, 0)), null).errno, 0);
  assert.equal(decodeDone(done(Uint8Array.of(0xfc, 0xff, 0xff, 0xff)), null).errno, 4);
  assert.throws(() => decodeDone(done(Uint8Array.of(1)), null), DecodeError);
});

Deno.test("an ack that lies about its request's length is survived", () => {
  for (const length of [0x80000000, 0xffffffff, 0xfffffffd, 0]) {
    const payload = new Uint8Array(40);
    new DataView(payload.buffer).setUint32(4, length, true);
    const message: Message = {
      type: NLMSG_ERROR,
      flags: NLM_F_ACK_TLVS,
      sequence: 1,
      portId: 0,
      payload,
    };
    try {
      decodeError(message, null);
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
    }
  }
});

Deno.test("any bytes as ack are decoded or a DecodeError", () => {
  const asked = request(new Uint8Array(40));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(0xffff), (payload, flags) => {
      const message: Message = { type: NLMSG_ERROR, flags, sequence: 1, portId: 0, payload };
      for (const decode of [decodeError, decodeDone]) {
        try {
          decode(message, asked);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});
