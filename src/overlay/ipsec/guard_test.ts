import assert from "node:assert/strict";
import type { Filter } from "../../netlink/mod.ts";
import {
  type DevicePicture,
  filterKey,
  guardFilters,
  type PictureFilter,
  planGuard,
  planGuardSweep,
  readGuardFilter,
} from "./guard_plan.ts";
import { formatIpsecOperation, type GuardOperation } from "./operation.ts";
import { GUARD_PREFERENCE, guardHandle } from "./requests.ts";

const UNDER = { index: 7, name: "under0" };
const BANK = { slot: 1, port: 20_001, family: 4 } as const;
const SHOP = { slot: 2, port: 20_002, family: 4 } as const;

function text(operations: readonly GuardOperation[]): string {
  return operations.map((operation) => `${formatIpsecOperation(operation)}\n`).join("");
}

/** A device with the filters of these ports. */
function guarded(
  ports: readonly (typeof BANK | typeof SHOP)[],
  changes: Partial<DevicePicture> = {},
): DevicePicture {
  const filters = ports.flatMap(guardFilters).map((filter): [string, PictureFilter] => [
    filterKey(filter),
    { filter, right: true },
  ]);
  return { device: UNDER, clsact: "ours", filters: new Map(filters), others: 0, ...changes };
}

const FOUR = `tc filter replace dev under0 ingress flower ip_proto udp dst_port 20001 action drop
tc filter replace dev under0 ingress flower ip_proto udp src_port 20001 action drop
tc filter replace dev under0 egress flower ip_proto udp dst_port 20001 action drop
tc filter replace dev under0 egress flower ip_proto udp src_port 20001 action drop
`;

Deno.test("guard: from nothing, and beside what others have there", () => {
  assert.equal(
    text(planGuard(UNDER, [BANK], null)),
    `tc qdisc add dev under0 clsact\n${FOUR}`,
  );
  const foreign = guarded([], { clsact: "foreign", others: 3 });
  assert.equal(text(planGuard(UNDER, [BANK], foreign)), FOUR);
  assert.equal(text(planGuard(UNDER, [BANK], guarded([BANK]))), "");
  assert.equal(text(planGuard(UNDER, [], null)), "");
});

Deno.test("guard: what was changed is put back, one filter alone", () => {
  const found = guarded([BANK, SHOP]);
  const [first] = guardFilters(BANK);
  assert.ok(first !== undefined);
  const filters = new Map(found.filters).set(filterKey(first), { filter: first, right: false });
  assert.equal(
    text(planGuard(UNDER, [BANK, SHOP], { ...found, filters })),
    `${FOUR.split("\n")[0]}\n`,
  );
});

Deno.test("guard: what nobody needs goes; the qdisc only if it is ours and nobody else's", () => {
  const deletes = FOUR.replaceAll("replace", "delete").replaceAll(" action drop", "");
  assert.equal(text(planGuardSweep([SHOP], guarded([BANK, SHOP]))), deletes);
  assert.equal(text(planGuardSweep([], guarded([BANK]))), "tc qdisc delete dev under0 clsact\n");
  assert.equal(text(planGuardSweep([], guarded([BANK], { others: 1 }))), deletes);
  assert.equal(text(planGuardSweep([], guarded([BANK], { clsact: "foreign" }))), deletes);
  assert.equal(text(planGuardSweep([BANK], guarded([BANK]))), "");
});

Deno.test("guard: a filter is ours by preference, kind and handle, and right only if it drops all", () => {
  const drop = { kind: "gact", drops: true, counters: null };
  const flower = {
    protocol: 17,
    udpSourcePort: null,
    udpDestinationPort: 20_001,
    complete: true,
  };
  const filter: Filter = {
    index: 7,
    hook: "egress",
    preference: GUARD_PREFERENCE,
    etherType: 0x800,
    chain: 0,
    handle: guardHandle({ slot: 1, end: "to" }),
    kind: "flower",
    flower,
    actions: [drop],
  };
  assert.deepEqual(readGuardFilter(filter), {
    filter: { family: 4, slot: 1, port: 20_001, hook: "egress", end: "to" },
    right: true,
  });
  for (const change of [{ preference: 1 }, { kind: "u32", flower: null }, { handle: 0x10000 }]) {
    assert.equal(readGuardFilter({ ...filter, ...change }), null);
  }
  for (
    const change of [
      { actions: [] },
      { actions: [{ ...drop, drops: false }] },
      { flower: { ...flower, complete: false } },
      { flower: { ...flower, protocol: 6 } },
      { flower: { ...flower, udpSourcePort: 1 } },
      { chain: 1 },
    ]
  ) assert.equal(readGuardFilter({ ...filter, ...change })?.right, false);
});
