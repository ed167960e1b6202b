import assert from "node:assert/strict";
import fc from "fast-check";
import { Cidr, IpAddress, type IpFamily, SecretBytes } from "../../base/mod.ts";
import { DecodeError } from "../errors.ts";
import { encodeRequests } from "../message.ts";
import type { Request } from "../request.ts";
import { decodeXfrmNotifications } from "./notification.ts";
import { addPolicy, type NewPolicy } from "./policy.ts";
import { addSa, type NewSa } from "./sa.ts";
import { parseXfrmStat } from "./stat.ts";
import type { NewTemplate } from "./template.ts";

/** Objects as literals are, which compare equal to what decoders make. */
const record = <T>(members: { [K in keyof T]-?: fc.Arbitrary<T[K]> }) =>
  fc.record(members, { noNullPrototype: true });

const family = fc.constantFrom<IpFamily>(4, 6);
const address = (family: IpFamily) =>
  fc.bigInt({ min: 0n, max: (1n << (family === 4 ? 32n : 128n)) - 1n }).map((value) =>
    new IpAddress(family, value)
  );
const prefix = (family: IpFamily) =>
  fc.tuple(address(family), fc.nat(family === 4 ? 32 : 128)).map(([of, length]) =>
    Cidr.containing(of, length)
  );
const u32 = fc.nat(0xffffffff);
const port = fc.option(
  fc.oneof(
    fc.nat(0xffff),
    record({ value: fc.nat(0xffff), mask: fc.integer({ min: 1, max: 0xfffe }) }),
  ),
);
const mark = record({ value: u32, mask: u32 });
const selector = (family: IpFamily) =>
  record({
    source: prefix(family),
    destination: prefix(family),
    protocol: fc.option(fc.integer({ min: 1, max: 255 })),
    sourcePort: port,
    destinationPort: port,
    index: fc.option(fc.integer({ min: 1, max: 0x7fffffff })),
  });
const count = fc.option(fc.bigInt({ min: 1n, max: (1n << 64n) - 2n }));
const seconds = fc.option(fc.bigInt({ min: 1n, max: 0xffffffffn }));
const lifetimes = record({
  softBytes: count,
  hardBytes: count,
  softPackets: count,
  hardPackets: count,
  softAddSeconds: seconds,
  hardAddSeconds: seconds,
  softUseSeconds: seconds,
  hardUseSeconds: seconds,
});

/** What goes to the kernel is of the form of what comes from it. */
function decoded(request: Request) {
  const [notification] = decodeXfrmNotifications(encodeRequests([request], 1));
  return notification;
}

Deno.test("an SA of any values comes out as it went in, but for the key", () => {
  const any: fc.Arbitrary<NewSa> = family.chain((family) =>
    record({
      source: address(family),
      destination: address(family),
      spi: fc.integer({ min: 256, max: 0xffffffff }),
      reqid: u32,
      mode: fc.constantFrom("transport", "tunnel"),
      aead: record({
        name: fc.stringMatching(/^[a-z0-9()]{1,63}$/),
        key: fc.uint8Array({ maxLength: 64 }).map((bytes) => new SecretBytes(bytes)),
        icvBits: fc.constantFrom(64, 96, 128),
      }),
      esn: fc.constant(true),
      windowPackets: fc.integer({ min: 1, max: 32768 }),
      selector: selector(family),
      mark,
      lifetimes,
    })
  );
  fc.assert(fc.property(any, (sa) => {
    const notification = decoded(addSa(sa));
    assert.ok(notification?.kind === "sa");
    const { aead, replay, larval, interfaceId, use: _use, refused: _refused, ...rest } =
      notification.sa;
    const { aead: { name, key, icvBits }, windowPackets, ...expected } = sa;
    assert.deepEqual(rest, { ...expected, protocol: 50 });
    assert.deepEqual(aead, { name, keyBits: key.length * 8, icvBits });
    assert.deepEqual(replay, { inbound: 0n, outbound: 0n, windowPackets });
    assert.equal(larval, false);
    assert.equal(interfaceId, null);
  }));
});

Deno.test("a policy of any values comes out as it went in", () => {
  const any: fc.Arbitrary<NewPolicy> = family.chain((family) =>
    record({
      direction: fc.constantFrom("in", "out", "fwd"),
      selector: selector(family),
      priority: u32,
      action: fc.constantFrom("allow", "block"),
      templates: fc.array(
        record<NewTemplate>({
          source: address(family),
          destination: address(family),
          protocol: fc.integer({ min: 1, max: 255 }),
          spi: fc.option(fc.integer({ min: 1, max: 0xffffffff })),
          reqid: u32,
          mode: fc.constantFrom("transport", "tunnel"),
          optional: fc.boolean(),
        }),
        { maxLength: 6 },
      ),
      icmp: fc.boolean(),
      localOk: fc.boolean(),
      index: fc.integer({ min: 1, max: 0xffffffff }),
      mark,
      lifetimes,
    })
  );
  fc.assert(fc.property(any, (policy) => {
    const notification = decoded(addPolicy(policy));
    assert.ok(notification?.kind === "policy");
    const { interfaceId, use: _use, ...rest } = notification.policy;
    assert.deepEqual(rest, policy);
    assert.equal(interfaceId, null);
  }));
});

Deno.test("counters of xfrm_stat are read by the kernel's names", () => {
  const counters = parseXfrmStat(
    "XfrmInError             \t0\nXfrmInTmplMismatch      \t20\nXfrmOutPolBlock         \t389\n",
  );
  assert.deepEqual([...counters], [
    ["XfrmInError", 0],
    ["XfrmInTmplMismatch", 20],
    ["XfrmOutPolBlock", 389],
  ]);
  assert.equal(parseXfrmStat("").size, 0);
  for (const text of ["XfrmInError", "XfrmInError -1", "0", "XfrmInError 1 2"]) {
    assert.throws(() => parseXfrmStat(text), DecodeError, text);
  }
});
