import assert from "node:assert/strict";
import { OverrunError } from "../netlink/mod.ts";
import { inNewNamespace, openCurrentNamespace } from "./namespace.ts";
import { type NetlinkSocket, openNetlinkSocket } from "./netlink_socket.ts";
import { getLink, NLM_F_ACK, readHeader, setLoopback } from "./test_messages.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const NLMSG_ERROR = 2;
const RTM_NEWLINK = 16;

function receiveOne(socket: NetlinkSocket) {
  const datagram = socket.receive();
  assert(datagram !== null);
  return datagram;
}

Deno.test("a socket speaks for the namespace it was opened in", sanitized, () => {
  using one = inNewNamespace(openCurrentNamespace);
  using two = inNewNamespace(openCurrentNamespace);
  using first = openNetlinkSocket({ family: "route", namespace: one });
  using second = openNetlinkSocket({ family: "route", namespace: two });
  first.send(setLoopback("up", NLM_F_ACK));
  assert.equal(readHeader(receiveOne(first)).type, NLMSG_ERROR);
  assert.equal(isUp(first), true);
  assert.equal(isUp(second), false);
});

/** ifi_flags & IFF_UP of the loopback device. */
function isUp(socket: NetlinkSocket): boolean {
  socket.send(getLink());
  const datagram = receiveOne(socket);
  assert.equal(readHeader(datagram).type, RTM_NEWLINK);
  return (new DataView(datagram.buffer).getUint32(16 + 8, true) & 1) === 1;
}

Deno.test("replies carry the socket's port, and nothing comes unasked", sanitized, () => {
  using namespace = inNewNamespace(openCurrentNamespace);
  using socket = openNetlinkSocket({ family: "route", namespace });
  assert.equal(socket.receive(), null);
  socket.send(getLink());
  assert.equal(readHeader(receiveOne(socket)).portId, socket.portId);
  assert.equal(socket.receive(), null);
});

Deno.test(
  "an error says why: extended acks are on, and requests are not repeated",
  sanitized,
  () => {
    using namespace = inNewNamespace(openCurrentNamespace);
    using socket = openNetlinkSocket({ family: "route", namespace });
    const request = getLink(4711);
    // A header value that strict checking refuses (ifi_change of a GETLINK).
    new DataView(request.buffer).setUint32(16 + 12, 1, true);
    socket.send(request);
    const reply = receiveOne(socket);
    const { type, flags } = readHeader(reply);
    assert.equal(type, NLMSG_ERROR);
    const NLM_F_CAPPED = 0x100;
    const NLM_F_ACK_TLVS = 0x200;
    assert.equal(flags & (NLM_F_CAPPED | NLM_F_ACK_TLVS), NLM_F_CAPPED | NLM_F_ACK_TLVS);
    assert.match(new TextDecoder().decode(reply), /Invalid values in header for get link request/);
  },
);

Deno.test("xfrm sockets open too", sanitized, () => {
  using namespace = inNewNamespace(openCurrentNamespace);
  using socket = openNetlinkSocket({ family: "xfrm", namespace });
  assert.equal(socket.receive(), null);
});

Deno.test(
  "what is sent off the thread is handled when the promise is kept",
  sanitized,
  async () => {
    using namespace = inNewNamespace(openCurrentNamespace);
    using socket = openNetlinkSocket({ family: "route", namespace });
    await socket.sendOffThread(setLoopback("up", NLM_F_ACK));
    assert.equal(readHeader(receiveOne(socket)).type, NLMSG_ERROR);
    assert.equal(isUp(socket), true);
  },
);

Deno.test("a socket that is closed while it sends finishes that", sanitized, async () => {
  using namespace = inNewNamespace(openCurrentNamespace);
  const socket = openNetlinkSocket({ family: "route", namespace });
  const sent = socket.sendOffThread(setLoopback("up", 0));
  socket.close();
  await sent;
  assert.throws(() => socket.receive(), /it is closed/);
  using other = openNetlinkSocket({ family: "route", namespace });
  assert.equal(isUp(other), true);
});

Deno.test(
  "a request that cannot be sent names the reason, also off the thread",
  sanitized,
  async () => {
    using namespace = inNewNamespace(openCurrentNamespace);
    using socket = openNetlinkSocket({ family: "route", namespace });
    // Longer than the send buffer, which the kernel doubles.
    const tooLong = new Uint8Array(17 << 20);
    assert.throws(() => socket.send(tooLong), /send netlink request failed: .*\(EMSGSIZE\)/);
    await assert.rejects(socket.sendOffThread(tooLong), /\(EMSGSIZE\)/);
  },
);

Deno.test("16,000 acks of one batch fit, and one too many is an overrun", sanitized, () => {
  using namespace = inNewNamespace(openCurrentNamespace);
  using socket = openNetlinkSocket({ family: "route", namespace });
  socket.send(repeat(setLoopback("up", NLM_F_ACK), 16_000));
  assert.equal(countDatagrams(socket), 16_000);
  socket.send(repeat(setLoopback("up", NLM_F_ACK), 60_000));
  assert.throws(() => countDatagrams(socket), OverrunError);
  // What was queued before can still be read, and the socket goes on.
  countDatagrams(socket);
  assert.equal(isUp(socket), true);
});

function repeat(message: Uint8Array, times: number): Uint8Array {
  const batch = new Uint8Array(message.length * times);
  for (let index = 0; index < times; index++) batch.set(message, index * message.length);
  return batch;
}

function countDatagrams(socket: NetlinkSocket): number {
  let count = 0;
  while (socket.receive() !== null) count++;
  return count;
}
