import assert from "node:assert/strict";
import type { ProjectedHolder, ProjectedNetwork, Projection } from "../state/mod.ts";
import { checkAsOrdered, networkToCheck } from "./pair_checks.ts";

const holder = (index: number, state: "attached" | "left" = "attached"): ProjectedHolder => ({
  nodeId: `node ${index}`,
  index,
  vtepAddress: `192.0.2.${index}`,
  bootKey: null,
  revision: 1,
  state,
});
const network: ProjectedNetwork = {
  id: "shop's id",
  name: "shop",
  vni: 4096,
  subnet: "10.64.0.0/24",
  mtuBytes: 1416,
  port: 20_005,
  encryption: {
    slot: 5,
    epochs: [{ epoch: 3, secret: "" }, { epoch: 2, secret: "" }],
    holders: [holder(1), holder(2), holder(3), holder(4, "left")],
  },
  endpoints: [],
};
const projection = {
  node: { id: "node 1", index: 1, vtepAddress: "192.0.2.1", bootKey: null },
  networks: [network, { ...network, id: "plain's id", encryption: null }],
} as unknown as Projection;
const order = { networkId: network.id, checkId: "a".repeat(26), nodeIds: null };

Deno.test("a host checks those who are on the network with it, and whom the order is about", () => {
  const checked = (nodeIds: readonly string[] | null) =>
    networkToCheck({ ...order, nodeIds }, projection, network)?.peers.map(({ nodeId }) => nodeId);
  assert.deepEqual(checked(null), ["node 2", "node 3"]);
  assert.deepEqual(checked(["node 3"]), ["node 3"]);
  assert.deepEqual(checked(["node 1"]), ["node 2", "node 3"]);
  assert.deepEqual(checked(["node 4"]), []);
  const { peers: _, ...rest } = networkToCheck(order, projection, network) ?? assert.fail();
  assert.deepEqual(rest, {
    id: network.id,
    name: "shop",
    slot: 5,
    mtuBytes: 1416,
    epochs: [3, 2],
    self: { index: 1, vtepAddress: "192.0.2.1" },
  });
});

Deno.test("what keeps a host from checking is what it tells", async () => {
  // deno-lint-ignore no-explicit-any
  const host: any = { openNamed: () => null };
  const ports = { host } as Parameters<typeof checkAsOrdered>[0];
  const random = { bytes: (count: number) => new Uint8Array(count), below: () => 0 };
  const told = async (networkId: string, of: Projection | null) =>
    (await checkAsOrdered({ ...ports, random }, { ...order, networkId }, of)).problem;
  assert.match(String(await told(network.id, projection)), /^shop is not up on this host/);
  for (const id of ["plain's id", "another"]) {
    assert.match(String(await told(id, projection)), /^this host is not on the network/);
  }
  assert.match(String(await told(network.id, null)), /^this host is not on the network/);
});
