import assert from "node:assert/strict";
import { Cidr, concatBytes, decodeHex, IpAddress, SecretBytes } from "../../../src/base/mod.ts";
import {
  addSa,
  countSas,
  deleteSa,
  dumpSas,
  flushSas,
  formatSpi,
  getReplayState,
  getSa,
  IPPROTO_ESP,
  NetlinkError,
  type NewSa,
  type Sa,
  type SaId,
  setReplayState,
  updateLarvalSa,
} from "../../../src/netlink/mod.ts";
import { cutTo, type Edit, replayDump, replayQuery, testRequests } from "./golden.ts";

const KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223";
const aead = (icvBits: number) => ({
  name: "rfc4106(gcm(aes))",
  key: new SecretBytes(decodeHex(KEY)),
  icvBits,
});

const v4 = {
  source: IpAddress.parse("192.0.2.1"),
  destination: IpAddress.parse("192.0.2.2"),
} as const;
const v6 = {
  source: IpAddress.parse("2001:db8::1"),
  destination: IpAddress.parse("2001:db8::2"),
} as const;
const SPI = 0x20010001;
const MARK = { value: 7, mask: 255 };

/** One of an encrypted network between two hosts. */
const ofNetwork4: NewSa = {
  ...v4,
  spi: SPI,
  reqid: 0x41470001,
  mode: "transport",
  aead: aead(128),
  esn: true,
  windowPackets: 1024,
  selector: {
    source: Cidr.parse("192.0.2.1/32"),
    destination: Cidr.parse("192.0.2.2/32"),
    protocol: 17,
    sourcePort: 20001,
    destinationPort: 20001,
    index: null,
  },
};
const ofNetwork6: NewSa = {
  ...ofNetwork4,
  ...v6,
  selector: {
    source: Cidr.parse("2001:db8::1/128"),
    destination: Cidr.parse("2001:db8::2/128"),
    protocol: 17,
    sourcePort: 20001,
    destinationPort: 20001,
    index: null,
  },
};
const plain: NewSa = {
  ...v4,
  spi: 0x302,
  reqid: 5,
  mode: "transport",
  aead: aead(128),
  esn: false,
  windowPackets: 0,
};

const ip4 = "src 192.0.2.1 dst 192.0.2.2 proto esp";
const ip6 = "src 2001:db8::1 dst 2001:db8::2 proto esp";
const keyed = (icvBits: number) => `aead rfc4106(gcm(aes)) 0x${KEY} ${icvBits}`;
const network = `${keyed(128)} mode transport reqid 1095172097 replay-window 1024 flag esn`;
const selector4 = "sel src 192.0.2.1/32 dst 192.0.2.2/32 proto udp sport 20001 dport 20001";
const selector6 = "sel src 2001:db8::1/128 dst 2001:db8::2/128 proto udp sport 20001 dport 20001";

/** Ours pads the last message of a datagram too; the length in its header is the same. */
const padded: Edit = (recorded) =>
  concatBytes(new Uint8Array(recorded.buffer as ArrayBuffer), new Uint8Array(3));

testRequests("states", [
  {
    command: `ip xfrm state add ${ip4} spi 0x20010001 ${network} ${selector4} ` +
      "limit byte-soft 70368744177664",
    request: addSa({ ...ofNetwork4, lifetimes: { softBytes: 2n ** 46n } }),
  },
  {
    command: `ip xfrm state add ${ip6} spi 0x20010001 ${network} ${selector6}`,
    request: addSa(ofNetwork6),
  },
  {
    command: `ip xfrm state add ${ip4} spi 0x300 ${keyed(96)} mode tunnel mark 7 mask 255 reqid 5 ` +
      "replay-window 32",
    request: addSa({
      ...plain,
      spi: 0x300,
      aead: aead(96),
      mode: "tunnel",
      mark: MARK,
      windowPackets: 32,
    }),
  },
  {
    command: `ip xfrm state add ${ip4} spi 0x302 ${keyed(128)} mode transport reqid 5 ` +
      "limit byte-soft 1000 limit byte-hard 2000 limit packet-soft 10 limit packet-hard 20 " +
      "limit time-soft 100000 limit time-hard 200000 limit time-use-soft 300000 " +
      "limit time-use-hard 400000",
    request: addSa({
      ...plain,
      lifetimes: {
        softBytes: 1000n,
        hardBytes: 2000n,
        softPackets: 10n,
        hardPackets: 20n,
        softAddSeconds: 100000n,
        hardAddSeconds: 200000n,
        softUseSeconds: 300000n,
        hardUseSeconds: 400000n,
      },
    }),
  },
  {
    command: `ip xfrm state add ${ip4} spi 0x20010001 ${network} ${selector4}`,
    request: addSa(ofNetwork4),
    refused: { code: "EEXIST", message: /add SA from 192\.0\.2\.1 .* SPI 0x20010001/ },
  },
  {
    command: `ip xfrm state update ${ip4} spi 0x20010001 ${network} ${selector4}`,
    request: updateLarvalSa(ofNetwork4),
  },
  {
    command: "replay_state set 192.0.2.2 0x301 64 0x1fffffff0 0x2fffffff1",
    request: setReplayState({ destination: v4.destination, spi: 0x301 }, {
      inbound: 0x1fffffff0n,
      outbound: 0x2fffffff1n,
      windowPackets: 64,
    }),
  },
  {
    // The window is not that of the SA.
    command: "replay_state set 192.0.2.2 0x301 1024 1 1",
    request: setReplayState({ destination: v4.destination, spi: 0x301 }, {
      inbound: 1n,
      outbound: 1n,
      windowPackets: 1024,
    }),
    refused: { code: "EINVAL" },
  },
  {
    command: `ip xfrm state delete ${ip4} spi 0x20010001`,
    request: deleteSa({ ...v4, spi: SPI }),
  },
  {
    command: `ip xfrm state delete ${ip4} spi 0x300 mark 7 mask 255`,
    request: deleteSa({ ...v4, spi: 0x300, mark: MARK }),
  },
  {
    // Recorded twice, so the SA was gone.
    command: `ip xfrm state delete ${ip6} spi 0x20010001`,
    request: deleteSa({ ...v6, spi: SPI }),
    refused: { code: "ESRCH" },
  },
  { command: "ip xfrm state flush proto esp", request: flushSas(IPPROTO_ESP), edit: padded },
  { command: "ip xfrm state flush", request: flushSas(), edit: padded },
]);

/** An SA as text, to read the tables below at a glance. */
function line(sa: Sa): string {
  const { source, destination, spi, reqid, mode, aead, selector, replay } = sa;
  const algorithm = aead === null ? "other" : `${aead.name}/${aead.keyBits}/${aead.icvBits}`;
  const parts = [
    `${source} > ${destination} ${formatSpi(spi)} reqid ${reqid.toString(16)} ${mode}`,
    sa.larval ? "larval" : algorithm,
    `${sa.esn ? "esn" : "short"} ${replay?.inbound}/${replay?.outbound}/${replay?.windowPackets}`,
  ];
  if (selector !== null) {
    const { protocol, sourcePort, destinationPort } = selector;
    parts.push(
      `sel ${selector.source}:${sourcePort} > ${selector.destination}:${destinationPort}` +
        ` protocol ${protocol}`,
    );
  }
  if (sa.mark !== null) parts.push(`mark ${sa.mark.value}/${sa.mark.mask}`);
  if (sa.interfaceId !== null) parts.push(`interface ${sa.interfaceId}`);
  for (const [name, limit] of Object.entries(sa.lifetimes)) {
    if (limit !== null) parts.push(`${name} ${limit}`);
  }
  return parts.join(", ");
}

const ALL4 = "sel 0.0.0.0/0:null > 0.0.0.0/0:null protocol null";
const NETWORK4 =
  "192.0.2.1 > 192.0.2.2 0x20010001 reqid 41470001 transport, rfc4106(gcm(aes))/288/128, esn " +
  "0/0/1024, sel 192.0.2.1/32:20001 > 192.0.2.2/32:20001 protocol 17";
const NETWORK6 =
  "2001:db8::1 > 2001:db8::2 0x20010001 reqid 41470001 transport, rfc4106(gcm(aes))/288/128, esn " +
  "0/0/1024, sel 2001:db8::1/128:20001 > 2001:db8::2/128:20001 protocol 17";
const MARKED =
  `192.0.2.1 > 192.0.2.2 0x00000300 reqid 5 tunnel, rfc4106(gcm(aes))/288/96, short 0/0/32, ${ALL4}, ` +
  "mark 7/255";

/** iproute2 sends a filter by addresses that lets all pass. */
const withoutFilter = cutTo(16);

Deno.test("golden: ip -s xfrm state list", () => {
  const sas = replayDump("states", "ip -s xfrm state list", dumpSas(), withoutFilter);
  assert.deepEqual(sas.map(line), [
    "192.0.2.1 > 192.0.2.2 0x00000400 reqid 6 transport, larval, short 0/0/0, hardAddSeconds 30",
    `192.0.2.1 > 192.0.2.2 0x00000303 reqid 5 transport, other, short 0/0/0, ${ALL4}, interface 9`,
    `192.0.2.1 > 192.0.2.2 0x00000302 reqid 5 transport, rfc4106(gcm(aes))/288/128, short 0/0/0, ` +
    `${ALL4}, softBytes 1000, hardBytes 2000, softPackets 10, hardPackets 20, ` +
    "softAddSeconds 100000, hardAddSeconds 200000, softUseSeconds 300000, hardUseSeconds 400000",
    `192.0.2.1 > 192.0.2.2 0x00000301 reqid 5 transport, rfc4106(gcm(aes))/288/128, esn ` +
    `${0x1fffffff0}/${0x2fffffff1}/64, ${ALL4}`,
    MARKED,
    NETWORK6,
    // The update took the limit away.
    NETWORK4,
  ]);
  assert.ok(sas.every(({ use }) => use.packets === 0n && use.usedSeconds === null));
  assert.ok(sas.every(({ refused }) => refused.late + refused.replayed + refused.integrity === 0));
  assert.ok(sas.every(({ use }) => use.addedSeconds > 1_600_000_000n));
});

Deno.test("golden: ip xfrm state list, when there is none", () => {
  assert.deepEqual(replayDump("states", "ip xfrm state list", dumpSas(), withoutFilter), []);
});

Deno.test("golden: ip xfrm state get", () => {
  const get = (command: string, id: SaId) =>
    line(replayQuery("states", `ip xfrm state get ${command}`, getSa(id)));
  assert.equal(get(`${ip4} spi 0x20010001`, { ...v4, spi: SPI }), NETWORK4);
  assert.equal(get(`${ip6} spi 0x20010001`, { ...v6, spi: SPI }), NETWORK6);
  assert.equal(
    get(`${ip4} spi 0x300 mark 7 mask 255`, { ...v4, spi: 0x300, mark: MARK }),
    MARKED,
  );
  assert.throws(
    () => get(`${ip6} spi 0x999`, { ...v6, spi: 0x999 }),
    (error) => error instanceof NetlinkError && error.code === "ESRCH",
  );
});

Deno.test("golden: ip xfrm state count", () => {
  assert.equal(replayQuery("states", "ip xfrm state count", countSas()), 7);
});

Deno.test("golden: replay_state get", () => {
  const target = { destination: v4.destination, spi: 0x301 };
  const command = "replay_state get 192.0.2.2 0x301";
  // Recorded twice; after it was set.
  const state = replayQuery("states", command, getReplayState(target));
  assert.equal(String(state.source), "192.0.2.1");
  assert.equal(String(state.destination), "192.0.2.2");
  assert.equal(state.spi, 0x301);
  assert.equal(state.protocol, IPPROTO_ESP);
  assert.equal(state.reqid, 5);
  assert.equal(state.mark, null);
  assert.deepEqual(state.replay, {
    inbound: 0x1fffffff0n,
    outbound: 0x2fffffff1n,
    windowPackets: 64,
  });
  assert.equal(state.use?.packets, 0n);
  const other = replayQuery(
    "states",
    "replay_state get 2001:db8::2 0x20010001",
    getReplayState({ destination: v6.destination, spi: SPI }),
  );
  assert.equal(String(other.source), "2001:db8::1");
  assert.deepEqual(other.replay, { inbound: 0n, outbound: 0n, windowPackets: 1024 });
});
