import assert from "node:assert/strict";
import { overlayMtuBytes, underlayMtuBytesFor } from "./encapsulation.ts";

Deno.test("an inner packet's size and the underlay's MTU follow from each other", () => {
  const cases: readonly [string, boolean, number, number][] = [
    ["192.0.2.1", false, 1500, 1450],
    ["2001:db8::1", false, 1500, 1430],
    // Measured: one byte more makes fragments.
    ["192.0.2.1", true, 1500, 1416],
    ["2001:db8::1", true, 1500, 1396],
  ];
  for (const [vtepAddress, encrypted, underlay, inner] of cases) {
    const encapsulation = { vtepAddress, encrypted };
    assert.equal(overlayMtuBytes(underlay, encapsulation), inner);
    assert.equal(underlayMtuBytesFor(inner, encapsulation), underlay);
    for (let mtu = 1280; mtu < 1600; mtu++) {
      const carried = overlayMtuBytes(mtu, encapsulation);
      assert(underlayMtuBytesFor(carried, encapsulation) <= mtu);
      assert(underlayMtuBytesFor(carried + 1, encapsulation) > mtu);
    }
  }
});
