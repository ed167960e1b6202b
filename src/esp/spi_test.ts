import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeSpi, encodeSpi, epochTag, slotOfReqid, slotPort, slotReqid } from "./mod.ts";

Deno.test("an SPI is tag, slot and sender, as tcpdump shows it", () => {
  const table = `
    epoch  slot  sender  spi
    1      1     1       0x20010001
    1      0     1       0x20000001
    2      1     2       0x40010002
    7      8191  65535   0xffffffff
    8      8191  65535   0x3fffffff
    14     5     10      0xe005000a
    15     5     10      0x2005000a
  `;
  for (const line of table.trim().split("\n").slice(1)) {
    const [epoch = 0, slot = 0, sender = 0, spi = 0] = line.trim().split(/\s+/).map(Number);
    assert.equal(encodeSpi({ epoch, slot, sender }), spi, line);
    assert.deepEqual(decodeSpi(spi), { tag: epochTag(epoch), slot, sender });
  }
});

Deno.test("SPIs of all that can be at one receiver at once are different, and none is reserved", () => {
  const part = fc.record({
    epoch: fc.integer({ min: 100, max: 106 }),
    slot: fc.nat(8191),
    sender: fc.integer({ min: 1, max: 65535 }),
  });
  fc.assert(fc.property(part, part, (one, other) => {
    const same = one.epoch === other.epoch && one.slot === other.slot &&
      one.sender === other.sender;
    assert.equal(encodeSpi(one) === encodeSpi(other), same);
    assert.ok(encodeSpi(one) >= 256 && encodeSpi(one) <= 0xffffffff);
    assert.deepEqual(decodeSpi(encodeSpi(one)), {
      tag: epochTag(one.epoch),
      slot: one.slot,
      sender: one.sender,
    });
  }));
});

Deno.test("an SPI that is none of ours is told apart", () => {
  for (const spi of [0, 255, 256, 0x1fffffff, 0x20010000]) assert.equal(decodeSpi(spi), null);
});

Deno.test("tags go round after seven", () => {
  assert.deepEqual([1, 2, 6, 7, 8, 14, 15].map(epochTag), [1, 2, 6, 7, 1, 7, 1]);
  assert.equal(epochTag(Number.MAX_SAFE_INTEGER), 1 + (Number.MAX_SAFE_INTEGER - 1) % 7);
});

Deno.test("a slot has a port and a reqid, and the reqid says the slot", () => {
  assert.equal(slotPort(0, 20000), 20000);
  assert.equal(slotPort(8191, 20000), 28191);
  assert.equal(slotReqid(0), 0x41470000);
  assert.equal(slotReqid(8191), 0x41471fff);
  assert.equal(slotOfReqid(0x41471fff), 8191);
  for (const reqid of [0, 1, 0x41472000, 0x4147ffff, 0x41460000, 0xffffffff]) {
    assert.equal(slotOfReqid(reqid), null);
  }
});

Deno.test("what does not fit is refused by name", () => {
  const spi = { epoch: 1, slot: 1, sender: 1 };
  for (
    const [make, reason] of [
      [() => encodeSpi({ ...spi, epoch: 0 }), /epoch: 0/],
      [() => encodeSpi({ ...spi, slot: 8192 }), /slot: 8192 is not in 0\.\.8191/],
      [() => encodeSpi({ ...spi, sender: 0 }), /index of the sender: 0/],
      [() => encodeSpi({ ...spi, sender: 65536 }), /index of the sender/],
      [() => slotPort(-1, 20000), /slot/],
      [() => slotPort(1, 60000), /first port/],
      [() => slotReqid(8192), /slot/],
    ] as const
  ) assert.throws(make, (error) => error instanceof RangeError && reason.test(error.message));
});
