import assert from "node:assert/strict";
import type { PeerInfo } from "../tls/mod.ts";
import { TestPlane } from "../cluster/testing_plane.ts";
import { spkiHashOf } from "../ca/mod.ts";
import { mayBeNewerManager, principalOf, standingOf } from "./standing.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function peerOf(
  cluster: TestPlane,
  member: { readonly id: string; readonly certificate: Uint8Array },
  role: "manager" | "worker",
): PeerInfo {
  const spkiHash = spkiHashOf(new Uint8Array(member.certificate));
  return {
    address: "192.0.2.9",
    identity: {
      clusterId: cluster.founded.clusterId,
      role,
      id: member.id,
      serial: "01",
      fingerprint: "00",
      spkiHash,
      notBeforeMs: 0,
      notAfterMs: Infinity,
    },
    presentedSpkiHash: spkiHash,
  };
}

Deno.test("a certificate and the state have to agree on the role", sanitized, async () => {
  await using cluster = await TestPlane.found();
  const member = await cluster.member("host2");
  const { id } = member;
  const { state } = cluster.plane;
  const worker = peerOf(cluster, member, "worker");
  const manager = peerOf(cluster, member, "manager");
  assert.deepEqual(principalOf(state, worker), { kind: "node", id, role: "worker" });
  // Good for one thing: to ask for the certificate that belongs to its role.
  assert.deepEqual(principalOf(state, manager), { kind: "recovering", id });
  await cluster.plane.writeOnce(cluster.manager, {
    kind: "node.update",
    body: { id, role: "manager" },
  });
  assert.deepEqual(principalOf(state, manager), { kind: "node", id, role: "manager" });
  assert.deepEqual(principalOf(state, worker), { kind: "recovering", id });
  assert.equal(standingOf(principalOf(state, worker), worker), "recovering");
  const stranger = { ...peerOf(cluster, member, "manager"), presentedSpkiHash: "other" };
  const unknown = { ...stranger, identity: { ...manager.identity, spkiHash: "other" } };
  assert.deepEqual(principalOf(state, unknown as PeerInfo), { kind: "anonymous" });
});

Deno.test(
  "a manager that the state does not know is heard while no other leader is",
  sanitized,
  async () => {
    await using cluster = await TestPlane.found();
    const member = await cluster.member("host2");
    for (const role of ["manager", "worker"] as const) {
      const peer = peerOf(cluster, member, role);
      assert.equal(mayBeNewerManager(peer, { leaderId: null }), role === "manager");
      assert.equal(mayBeNewerManager(peer, { leaderId: member.id }), role === "manager");
      assert.equal(mayBeNewerManager(peer, { leaderId: "another" }), false);
    }
    const unverified = { ...peerOf(cluster, member, "manager"), identity: null };
    assert.equal(mayBeNewerManager(unverified, { leaderId: null }), false);
  },
);
