// needs: root vxlan
import assert from "node:assert/strict";
import type { EndpointView, NetworkView } from "../../src/api/mod.ts";
import { Cluster, type ClusterHost, withHosts } from "./cluster.ts";
import { problemOf } from "./socket.ts";

Deno.test(
  "subnets and addresses",
  { sanitizeOps: true, sanitizeResources: true },
  (t) =>
    withHosts(2, async (_lab, hosts) => {
      const [one, two] = hosts;
      assert(one !== undefined && two !== undefined);
      await one.sh("ip route add 10.64.0.0/24 dev eth0");
      await two.sh("ip route add 10.64.2.128/25 dev eth0");
      await Cluster.form(hosts);
      await t.step("subnets from the pool avoid the routes of every host", () => fromPool(one));
      await t.step(
        "a subnet can be chosen, unless it is taken or in use on a host",
        () => chosenSubnet(one),
      );
      await t.step("the subnet of a deleted network is given out again", () => reusedSubnet(one));
      await t.step("addresses are the lowest free ones, or chosen", () => addresses(one));
    }),
);

async function fromPool(host: ClusterHost): Promise<void> {
  const subnets = [];
  for (const name of ["a", "b", "c"]) subnets.push((await host.createNetwork(name)).subnet);
  assert.deepEqual(subnets, ["10.64.1.0/24", "10.64.3.0/24", "10.64.4.0/24"]);
}

async function chosenSubnet(host: ClusterHost): Promise<void> {
  const chosen = await host.createNetwork("chosen", { subnet: "10.70.0.0/16" });
  assert.equal(chosen.subnet, "10.70.0.0/16");
  for (
    const [subnet, code] of [
      ["10.70.3.0/24", "subnet-taken"],
      ["10.64.1.0/24", "subnet-taken"],
      ["10.64.0.0/25", "subnet-in-use-on-host"],
      ["10.64.2.0/24", "subnet-in-use-on-host"],
    ] as const
  ) {
    const answer = await host.socket.request("POST", "/v1/networks", { name: "other", subnet });
    const problem = problemOf(answer, subnet);
    assert.deepEqual([problem.status, problem.code, problem.field], [409, code, "/subnet"]);
  }
}

async function reusedSubnet(host: ClusterHost): Promise<void> {
  const before = await host.socket.get<NetworkView>("/v1/networks/b");
  await host.must("network", "rm", "b");
  const after = await host.createNetwork("b-again");
  assert.equal(after.subnet, before.subnet);
  assert.notEqual(after.vni, before.vni, "a VNI rests before it is used again");
}

async function addresses(host: ClusterHost): Promise<void> {
  const add = (more: { readonly ip?: string }) =>
    host.socket.post<EndpointView>("/v1/networks/chosen/endpoints", more);
  const first = await add({});
  assert.deepEqual([first.ip, first.mac.slice(-11)], ["10.70.0.2", "0a:46:00:02"]);
  assert.equal((await add({ ip: "10.70.0.3" })).ip, "10.70.0.3");
  assert.equal((await add({})).ip, "10.70.0.4");
  assert.equal((await add({ ip: "10.70.200.7" })).ip, "10.70.200.7");
  for (
    const [ip, status] of [
      ["10.70.0.3", 409],
      ["10.70.0.0", 422],
      ["10.70.0.1", 422],
      ["10.70.255.255", 422],
      ["10.71.0.2", 422],
    ] as const
  ) {
    const answer = await host.socket.request("POST", "/v1/networks/chosen/endpoints", { ip });
    const problem = problemOf(answer, ip);
    assert.deepEqual([problem.status, problem.field], [status, "/ip"]);
  }
  await host.must("endpoint", "rm", first.id);
  const again = await add({});
  assert.deepEqual([again.ip, again.mac], [first.ip, first.mac]);
}
