import assert from "node:assert/strict";
import { encodeRequests } from "../message.ts";
import { addDropFilter, deleteFilter, dumpFilters, type NewDropFilter } from "./tc_filter.ts";
import { addClsact, deleteClsact, dumpQdiscs } from "./tc_qdisc.ts";

const filter: NewDropFilter = {
  index: 7,
  hook: "egress",
  preference: 1,
  family: 4,
  handle: 1,
  udpDestinationPort: 20001,
};

Deno.test("what the kernel could not take is refused by name", () => {
  const { udpDestinationPort: _port, ...withoutPort } = filter;
  const cases: readonly [() => unknown, RegExp][] = [
    [() => addClsact(0), /ifindex: 0/],
    [() => deleteClsact(-1), /ifindex/],
    [() => dumpQdiscs({ index: 0 }), /ifindex/],
    [() => dumpFilters({ index: 0, hook: "ingress" }), /ifindex/],
    [() => addDropFilter(withoutPort), /neither a source nor a destination port/],
    [() => addDropFilter({ ...filter, udpSourcePort: 65536 }), /65536/],
    [() => addDropFilter({ ...filter, preference: 0 }), /preference of a filter: 0/],
    [() => addDropFilter({ ...filter, handle: 0 }), /handle of a filter: 0/],
    [() => deleteFilter({ ...filter, preference: 65536 }), /preference/],
  ];
  for (const [make, reason] of cases) {
    assert.throws(make, (error) => error instanceof RangeError && reason.test(error.message));
  }
});

Deno.test("errors will name what was asked", () => {
  assert.equal(
    addDropFilter({ ...filter, family: 6, handle: 9 }).describe(),
    "add egress filter 1/9 for IPv6 on ifindex 7",
  );
  assert.equal(addClsact(7).describe(), "add clsact qdisc to ifindex 7");
});

Deno.test("each address family has a filter of its own type", () => {
  const bytes = (family: 4 | 6) => [...encodeRequests([addDropFilter({ ...filter, family })], 1)];
  const differing = bytes(4).flatMap((byte, offset) => byte === bytes(6)[offset] ? [] : [offset]);
  // In the header of the filter, and among its conditions.
  assert.equal(differing.length, 4);
});
