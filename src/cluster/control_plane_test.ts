import assert from "node:assert/strict";
import { decodeBase64url, encodeBase64url } from "../base/mod.ts";
import { spkiHashOf, verifyPeer } from "../ca/mod.ts";
import { RefusedError } from "./mod.ts";
import { HandClock } from "./testing_clock.ts";
import { factsOf, newCsr, reportOf, TestPlane } from "./testing_plane.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function refusedWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof RefusedError && error.code === code;
}

Deno.test("a founded cluster is there again after a restart", sanitized, async () => {
  await using cluster = await TestPlane.found();
  const { clusterId, nodeId, certificate, root } = cluster.founded;
  await cluster.restart();
  const { state } = await cluster.plane.read();
  assert.equal(state.clusterId, clusterId);
  assert.deepEqual(cluster.plane.ca(), { v: 1, clusterId, roots: [root] });
  const trust = { clusterId, roots: [decodeBase64url(root)] };
  const { role, id } = verifyPeer(decodeBase64url(certificate), trust, Date.now());
  assert.deepEqual({ role, id }, { role: "manager", id: nodeId });
});

Deno.test(
  "a token that is asked for twice is one token, with the same text",
  sanitized,
  async () => {
    await using cluster = await TestPlane.found();
    const request = (requestId: string) => ({
      token: {
        id: cluster.plane.newId(),
        role: "worker" as const,
        lifetimeMs: 60_000,
        uses: 1,
      },
      principal: cluster.manager,
      requestId,
      from: null,
      bodyHash: "the same",
    });
    const first = await cluster.plane.createToken(request("key-1"));
    await cluster.restart();
    const second = await cluster.plane.createToken(request("key-1"));
    assert.notEqual(first.text, null);
    assert.equal(second.text, first.text);
    assert.equal(cluster.plane.state.tokens.size, 1);
    const other = await cluster.plane.createToken(request("key-2"));
    assert.notEqual(other.text, first.text);
  },
);

Deno.test("the leader's own writes are done after hours of silence", sanitized, async () => {
  const clock = new HandClock();
  await using cluster = await TestPlane.found({ clock });
  clock.pass(3 * 3_600_000);
  await cluster.network("shop");
  assert.equal(cluster.plane.state.networks.size, 1);
});

Deno.test(
  "a member gets a certificate for a new key, and the same again for the same",
  sanitized,
  async () => {
    await using cluster = await TestPlane.found();
    const member = await cluster.member("worker");
    const principal = { kind: "node", id: member.id, role: "worker" } as const;
    const csr = newCsr();
    const first = await cluster.plane.certify(principal, { v: 1, csr });
    const again = await cluster.plane.certify(principal, { v: 1, csr });
    assert.deepEqual(again, first);
    const trust = { clusterId: cluster.founded.clusterId, roots: first.roots.map(decodeBase64url) };
    const certificate = decodeBase64url(first.certificate);
    const { id, role } = verifyPeer(certificate, trust, Date.now());
    assert.deepEqual({ id, role }, { id: member.id, role: "worker" });
    const known = cluster.plane.state.nodes.get(member.id)?.certificates.map((one) => one.spkiHash);
    assert.deepEqual(known, [spkiHashOf(certificate), spkiHashOf(member.certificate)]);
  },
);

Deno.test("nobody else gets one, nor for a request that is none", sanitized, async () => {
  await using cluster = await TestPlane.found();
  const stranger = { kind: "recovering", id: cluster.plane.newId() } as const;
  const csr = newCsr();
  await assert.rejects(cluster.plane.certify(stranger, { v: 1, csr }), refusedWith("not-found"));
  const { id } = await cluster.member("worker");
  const principal = { kind: "node", id, role: "worker" } as const;
  for (const bad of ["", "AAAA", `${csr}!`]) {
    const request = { v: 1, csr: bad } as const;
    await assert.rejects(cluster.plane.certify(principal, request), refusedWith("csr-rejected"));
  }
});

Deno.test("one who recovers gets a new key certified once a minute", sanitized, async () => {
  const clock = new HandClock();
  await using cluster = await TestPlane.found({ clock });
  const { id } = await cluster.member("worker");
  const recovering = { kind: "recovering", id } as const;
  const certify = (csr: string) => cluster.plane.certify(recovering, { v: 1, csr });
  const [first, second] = [newCsr(), newCsr()];
  // What was refused does not count.
  await assert.rejects(certify("AAAA"), refusedWith("csr-rejected"));
  const other = await cluster.member("other");
  await assert.rejects(certify(encodeBase64url(other.key.csr)), refusedWith("node-exists"));
  const reply = await certify(first);
  await assert.rejects(certify(second), refusedWith("recovering-too-often"));
  // A lost answer is given again at once: it costs no key that is on record.
  assert.deepEqual(await certify(first), reply);
  clock.pass(59_000);
  await assert.rejects(certify(second), refusedWith("recovering-too-often"));
  clock.pass(1_000);
  await certify(second);
});

Deno.test("what a node reports as gone is gone, however much it is", sanitized, async () => {
  await using cluster = await TestPlane.found();
  const member = await cluster.member("worker");
  const other = await cluster.member("other");
  const { plane } = cluster;
  const network = await plane.writeOnce(cluster.manager, {
    kind: "network.create",
    body: {
      id: plane.newId(),
      name: "large",
      subnet: "10.64.0.0/20",
      labels: {},
      allowedNodes: "any",
    },
  });
  const gone: string[] = [];
  for (let batch = 0; batch < 20; batch++) {
    const endpoints = Array.from({ length: 64 }, () => ({
      id: plane.newId(),
      networkId: network.id,
      nodeId: member.id,
    }));
    await plane.writeOnce(cluster.manager, { kind: "endpoints.create", body: { endpoints } });
    gone.push(...endpoints.map(({ id }) => id));
  }
  const kept = await cluster.endpoint(network.id, member.id);
  const foreign = await cluster.endpoint(network.id, other.id);
  assert.equal(gone.length, 1280);
  const nobodys = plane.newId();
  await plane.report(member.id, reportOf(member.facts, { gone: [...gone, foreign, nobodys] }));
  assert.deepEqual([...plane.state.endpoints.keys()].sort(), [kept, foreign].sort());
});

Deno.test(
  "facts that are refused are proposed once a minute, not with each report",
  sanitized,
  async () => {
    const clock = new HandClock();
    await using cluster = await TestPlane.found({ clock });
    const member = await cluster.member("worker");
    await cluster.member("taken");
    const { plane, lines } = cluster;
    const refusals = () => lines.filter(({ message }) => message.includes("refused")).length;
    const report = reportOf(factsOf("taken"), { lastError: "still told" });
    for (let times = 0; times < 5; times++) await plane.report(member.id, report);
    assert.equal(refusals(), 1);
    assert.equal((await plane.read()).liveness(member.id).lastError, "still told");
    clock.pass(60_000);
    await plane.report(member.id, report);
    assert.equal(refusals(), 2);
    await plane.report(member.id, reportOf(factsOf("renamed")));
    assert.equal(plane.state.nodes.get(member.id)?.facts.hostname, "renamed");
  },
);

Deno.test("a node that was removed reports to nobody and gets no stream", sanitized, async () => {
  await using cluster = await TestPlane.found();
  const { plane } = cluster;
  const member = await cluster.member("worker");
  const stream = await plane.openStream(member.id, new AbortController().signal);
  await plane.report(member.id, reportOf(member.facts));
  assert.equal((await plane.read()).liveness(member.id).alive, true);
  await plane.writeOnce(cluster.manager, { kind: "node.remove", body: { id: member.id } });
  assert.deepEqual(cluster.removed, [member.id]);
  for await (const _ of stream);
  assert.equal((await plane.read()).liveness(member.id).lastSeenAtMs, null);
  await assert.rejects(
    plane.report(member.id, reportOf(member.facts)),
    refusedWith("not-found"),
  );
  await assert.rejects(
    plane.openStream(member.id, new AbortController().signal),
    refusedWith("not-found"),
  );
});
