import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Cidr, decodeHex, IpAddress, SecretBytes } from "../../base/mod.ts";
import { NetlinkError } from "../errors.ts";
import { encodeRequests } from "../message.ts";
import { addPolicy, deletePolicy, getPolicy, type NewPolicy } from "./policy.ts";
import { getReplayState, setReplayState } from "./replay_state.ts";
import { addSa, deleteSa, flushSas, getSa, type NewSa, updateLarvalSa } from "./sa.ts";
import type { Selector } from "./selector.ts";

const v4 = IpAddress.parse("192.0.2.1");
const v6 = IpAddress.parse("2001:db8::1");
const KEY = "deadbeef".repeat(9);

const selector: Selector = {
  source: Cidr.parse("192.0.2.1/32"),
  destination: Cidr.parse("192.0.2.2/32"),
  protocol: 17,
  sourcePort: 20001,
  destinationPort: 20001,
  index: null,
};
const sa: NewSa = {
  source: v4,
  destination: IpAddress.parse("192.0.2.2"),
  spi: 0x20010001,
  reqid: 1,
  mode: "transport",
  aead: { name: "rfc4106(gcm(aes))", key: new SecretBytes(decodeHex(KEY)), icvBits: 128 },
  esn: true,
  windowPackets: 1024,
  selector,
};
const policy: NewPolicy = { direction: "out", selector, priority: 100, action: "allow" };

Deno.test("what the kernel could not take is refused by name", () => {
  const template = { source: v4, destination: v4, mode: "transport" } as const;
  const cases: readonly [() => unknown, RegExp][] = [
    [() => addSa({ ...sa, spi: 255 }), /SPI: 255 is not in 256/],
    [() => addSa({ ...sa, spi: 2 ** 32 }), /SPI/],
    [() => addSa({ ...sa, reqid: -1 }), /reqid/],
    [() => addSa({ ...sa, destination: v6 }), /two families/],
    [() => addSa({ ...sa, windowPackets: 0 }), /replay window: 0 is not in 1\.\.32768/],
    [() => addSa({ ...sa, windowPackets: 32769 }), /replay window/],
    [() => addSa({ ...sa, esn: false }), /replay window without ESN: 1024/],
    [() => addSa({ ...sa, aead: { ...sa.aead, name: "" } }), /algorithm's name/],
    [() => addSa({ ...sa, aead: { ...sa.aead, name: "x".repeat(64) } }), /algorithm's name/],
    [() => addSa({ ...sa, mark: { value: 2 ** 32, mask: 0 } }), /mark/],
    // 0 would expire with the first packet, and an SA that has a limit must have a sensible one.
    [() => addSa({ ...sa, lifetimes: { softBytes: 0n } }), /softBytes: 0 is not in 1/],
    [() => addSa({ ...sa, lifetimes: { hardBytes: 2n ** 64n - 1n } }), /hardBytes/],
    // As signed seconds it would be −1, and expire at once.
    [() => addSa({ ...sa, lifetimes: { hardAddSeconds: 2n ** 64n - 1n } }), /hardAddSeconds/],
    [() => addSa({ ...sa, selector: { ...selector, sourcePort: 65536 } }), /port: 65536/],
    [() => addSa({ ...sa, selector: { ...selector, protocol: 0 } }), /protocol: 0/],
    [() => addSa({ ...sa, selector: { ...selector, index: 0 } }), /ifindex: 0/],
    [() => addSa({ ...sa, selector: { ...selector, source: Cidr.parse("::/0") } }), /two families/],
    [() => addSa({ ...sa, selector: { ...selector, sourcePort: { value: 1, mask: 0 } } }), /mask/],
    [() => getSa({ ...sa, spi: -1 }), /SPI/],
    [() => deleteSa({ ...sa, protocol: 256 }), /protocol/],
    [() => flushSas(0), /protocol: 0/],
    [() => getReplayState({ destination: v4, spi: 2 ** 32 }), /SPI/],
    [
      () => setReplayState(sa, { inbound: -1n, outbound: 0n, windowPackets: 32 }),
      /inbound sequence number: -1/,
    ],
    [() => addPolicy({ ...policy, priority: -1 }), /priority/],
    [() => addPolicy({ ...policy, index: 0 }), /index of a policy/],
    [() => addPolicy({ ...policy, templates: Array(7).fill(template) }), /number of templates: 7/],
    [() => addPolicy({ ...policy, templates: [{ ...template, destination: v6 }] }), /two families/],
    [() => addPolicy({ ...policy, templates: [{ ...template, reqid: 2 ** 32 }] }), /reqid/],
    [() => getPolicy({ direction: "in", index: -1 }), /index of a policy/],
  ];
  for (const [make, reason] of cases) {
    assert.throws(
      make,
      (error) => error instanceof RangeError && reason.test(error.message),
      String(reason),
    );
  }
});

Deno.test("errors will name what was asked", () => {
  const from = "from 192.0.2.1 to 192.0.2.2 with SPI 0x20010001";
  const packets = "protocol 17 from 192.0.2.1/32 port 20001 to 192.0.2.2/32 port 20001";
  for (
    const [request, words] of [
      [addSa(sa), `add SA ${from}`],
      [updateLarvalSa(sa), `update SA ${from}`],
      [deleteSa(sa), `delete SA ${from}`],
      [addPolicy(policy), `add out policy for ${packets}`],
      [deletePolicy({ direction: "in", index: 8 }), "delete in policy with index 8"],
    ] as const
  ) assert.equal(request.describe(), words);
});

Deno.test("a key is in the bytes that go to the kernel, and nowhere else", () => {
  for (const request of [addSa(sa), updateLarvalSa(sa)]) {
    const shown = [
      JSON.stringify(request),
      JSON.stringify({ ...request }),
      JSON.stringify(sa, (_key, value) => typeof value === "bigint" ? `${value}` : value),
      Deno.inspect(request, { depth: 9, showHidden: true }),
      Deno.inspect(sa, { depth: 9, showHidden: true }),
      inspect(request, { depth: 9, showHidden: true, customInspect: false }),
      inspect(sa, { depth: 9, showHidden: true, customInspect: false }),
      String(request),
      request.describe(),
      Deno.inspect(new NetlinkError(request.describe(), 17, null)),
    ].join("\n");
    // As hexadecimal, as an array of numbers, as one of characters.
    for (const form of [/deadbeef/i, /222,\s*173/, /\\xde|Þ/i]) assert.doesNotMatch(shown, form);
    const sent = encodeRequests([request], 1);
    assert.ok(sent.length > 300);
    assert.ok(hex(sent).includes(KEY));
  }
});

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
