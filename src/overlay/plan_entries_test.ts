import assert from "node:assert/strict";
import fc from "fast-check";
import type { DesiredNetwork, RemoteEndpoint } from "./desired.ts";
import { EMPTY_SANDBOX, type Sandbox } from "./model.ts";
import { planEntries } from "./plan_entries.ts";

const VXLAN = { index: 7, name: "vxlan0" };
const ID = "a".repeat(26);

function remoteOf(number: number): RemoteEndpoint {
  const mac = `02:00:0a:40:00:${number.toString(16).padStart(2, "0")}`;
  return { ip: `10.64.0.${number}`, mac, vtepAddress: `192.0.2.${number}` };
}

function networkOf(remotes: readonly RemoteEndpoint[]): DesiredNetwork {
  const network = { id: ID, name: "red", vni: 4096, port: 19_999, mtuBytes: 1450 };
  return { ...network, vtepAddress: "192.0.2.1", encryption: null, remotes };
}

/** As it is when all entries are right. */
function sandboxOf(remotes: readonly RemoteEndpoint[]): Sandbox {
  return {
    ...EMPTY_SANDBOX,
    bridgeEntries: new Map(remotes.map(({ mac }) => [mac, { port: VXLAN.index, state: "static" }])),
    vxlanEntries: new Map(
      remotes.map(({ mac, vtepAddress }) => [mac, { vtepAddress, state: "permanent" }]),
    ),
    neighbours: new Map(remotes.map(({ ip, mac }) => [ip, mac])),
  };
}

Deno.test("entries that were settled are planned as if nothing was known of them", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 2, max: 12 }));
  fc.assert(fc.property(numbers, numbers, (before, after) => {
    const all = Array.from({ length: 13 }, (_, number) => remoteOf(number));
    const pick = (places: readonly number[]) => places.flatMap((place) => all[place] ?? []);
    const sandbox = sandboxOf(pick(before));
    const settled = { remotes: pick(before), endpoints: new Set<string>() };
    const network = networkOf(pick(after));
    const known = planEntries(network, [], sandbox, VXLAN, settled);
    assert.deepEqual(known, planEntries(network, [], sandbox, VXLAN, null));
    assert.deepEqual(
      known.additions.length,
      3 * pick(after.filter((one) => !before.includes(one))).length,
    );
  }));
});

Deno.test("what was settled is not looked at again: who says so has to know", () => {
  const remotes = [remoteOf(2), remoteOf(3)];
  const settled = { remotes, endpoints: new Set<string>() };
  const empty = sandboxOf([]);
  assert.deepEqual(planEntries(networkOf(remotes), [], empty, VXLAN, settled).additions, []);
  assert.equal(planEntries(networkOf(remotes), [], empty, VXLAN, null).additions.length, 6);
  const moved = [remoteOf(2), { ...remoteOf(3), vtepAddress: "192.0.2.9" }];
  const plan = planEntries(networkOf(moved), [], sandboxOf(remotes), VXLAN, settled);
  assert.deepEqual(plan.additions.map(({ kind }) => kind), ["replace-vxlan-entry"]);
});
