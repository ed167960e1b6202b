import assert from "node:assert/strict";
import { RefusedError } from "./mod.ts";
import { requireForgotten } from "./spareable.ts";
import { TestPlanes } from "./testing_managers.ts";
import { factsOf, reportOf } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function ownerOf({ all: [first] }: TestPlanes) {
  if (first === undefined) throw new Error("there is a manager");
  return { first, principal: { kind: "node", id: first.id, role: "manager" } as const };
}

async function three(): Promise<TestPlanes> {
  const planes = await TestPlanes.found();
  await planes.join("host2");
  await planes.join("host3");
  await planes.voters(3);
  return planes;
}

function network(name: string, id: string) {
  return { kind: "network.create", body: { id, name, labels: {}, allowedNodes: "any" } } as const;
}

Deno.test(
  "who the state names a manager decides, and who it does not is taken out",
  sanitized,
  async () => {
    await using planes = await three();
    const { first, principal } = ownerOf(planes);
    const [, second, third] = planes.all;
    assert(second !== undefined && third !== undefined);
    await first.plane.writeOnce(principal, network("shop", first.plane.newId()));
    await first.plane.writeOnce(principal, { kind: "node.remove", body: { id: third.id } });
    await planes.voters(2);
    assert.deepEqual(first.store.status().voters.toSorted(), [first.id, second.id].toSorted());
    while (second.machine.state.nodes.size !== 2) await new Promise((go) => setTimeout(go, 5));
    // Its connections end on every manager that hears of it.
    assert(planes.removed.filter((id) => id === third.id).length >= 2);
    assert.notEqual(second.machine.state.networkByName("shop"), undefined);
  },
);

Deno.test("who does not lead names the leader, to everybody alike", sanitized, async () => {
  await using planes = await three();
  const { first, principal } = ownerOf(planes);
  const other = planes.all.find((one) => one !== first && !one.plane.leads);
  assert(other !== undefined && first.plane.leads);
  while (other.store.leader?.address === null || other.store.leader === null) {
    await new Promise((go) => setTimeout(go, 5));
  }
  const elsewhere = { code: "not-leader", leaderAddress: "192.0.2.1:7443" };
  const { plane } = other;
  await assert.rejects(plane.read(), elsewhere);
  await assert.rejects(plane.writeOnce(principal, network("a", plane.newId())), elsewhere);
  await assert.rejects(plane.openStream(first.id, AbortSignal.timeout(1000)), elsewhere);
  await assert.rejects(plane.report(first.id, reportOf(factsOf("host1"))), elsewhere);
});

Deno.test(
  "a leader that is deposed ends its streams, and another takes over",
  sanitized,
  async () => {
    await using planes = await three();
    const { first } = ownerOf(planes);
    const stream = await first.plane.openStream(first.id, new AbortController().signal);
    const reader = stream.getReader();
    planes.cut.add(first.id);
    let isOpen = true;
    const drained = (async () => {
      while (!(await reader.read()).done);
      isOpen = false;
    })();
    while (first.plane.leads) await new Promise((go) => setTimeout(go, 5));
    // It ends with the leadership, not when the node has been silent for long.
    await new Promise((go) => setTimeout(go, 5));
    assert.equal(isOpen, false);
    await drained;
    await assert.rejects(first.plane.read(), { code: "unavailable" });
    const next = await planes.leader(planes.all.filter((one) => one !== first));
    await next.plane.read();
    planes.cut.clear();
  },
);

Deno.test(
  "a removal that would leave no quorum is refused, with who is in the way",
  sanitized,
  async () => {
    await using planes = await three();
    const { first, principal } = ownerOf(planes);
    const [, second, third] = planes.all;
    assert(second !== undefined && third !== undefined);
    planes.cut.add(third.id);
    while (first.store.status().mayLose !== 0) await new Promise((go) => setTimeout(go, 5));
    const remove = (id: string) =>
      first.plane.writeOnce(principal, { kind: "node.remove", body: { id } });
    const demote = (id: string) =>
      first.plane.writeOnce(principal, { kind: "node.update", body: { id, role: "worker" } });
    for (const refused of [remove(second.id), demote(second.id)]) {
      await assert.rejects(refused, (error) => {
        assert(error instanceof RefusedError);
        assert.equal(error.code, "quorum-at-risk");
        assert.match(error.message, /Without host2 .* host3 does not answer/);
        return true;
      });
    }
    await remove(third.id);
    await planes.voters(2);
    await remove(second.id);
    await planes.voters(1);
    await assert.rejects(remove(first.id), { code: "last-manager" });
  },
);

Deno.test(
  "a leader that is to go hands over first, and nobody comes back with an empty disk",
  sanitized,
  async () => {
    await using planes = await three();
    const { first, principal } = ownerOf(planes);
    const demotion = { kind: "node.update", body: { id: first.id, role: "worker" } } as const;
    await assert.rejects(first.plane.writeOnce(principal, demotion));
    const next = await planes.leader(planes.all.filter((one) => one !== first));
    // The change of membership waits for the first entry of its term, and so does this.
    await next.plane.read();
    const node = next.machine.state.nodes.get(first.id);
    assert(node !== undefined);
    // It may be a worker by then, but whoever still votes has not thrown its disk away yet.
    assert.throws(() => requireForgotten(node, next.store), { code: "quorum-at-risk" });
    await next.plane.writeOnce(principal, demotion);
    await planes.voters(2);
    assert(!next.store.status().voters.includes(first.id));
    requireForgotten(node, next.store);
    const promotion = { kind: "node.update", body: { id: first.id, role: "manager" } } as const;
    await next.plane.writeOnce(principal, promotion);
    await planes.voters(3);
  },
);
