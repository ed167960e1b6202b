// needs: root vxlan
import assert from "node:assert/strict";
import type { EndpointView, HostStatus } from "../../src/api/mod.ts";
import { Cluster, type ClusterHost, STATE_DIR, withHosts } from "./cluster.ts";
import { pause, waitFor } from "./wait.ts";

/** The shortest that the setting allows; each is renewed after 50 to 80 % of it. */
const VALIDITY_MS = 30_000;
const RENEWALS = 3;
const PATIENCE_MS = (RENEWALS + 1) * VALIDITY_MS;

Deno.test(
  "every node renews three times, and meanwhile no request fails and no stream has a gap",
  { sanitizeOps: true, sanitizeResources: true },
  () =>
    withHosts(3, async (_lab, hosts) => {
      const [manager, ...workers] = hosts;
      assert(manager !== undefined);
      await Cluster.form(hosts, {
        founded: async () => {
          const settings = { certificateValidityMs: VALIDITY_MS };
          await manager.socket.patch("/v1/cluster", { settings });
          await shortenOwnCertificate(manager);
        },
      });
      await manager.createNetwork("red");
      const logs = new Map(hosts.map((host) => [host, host.log(100_000)]));
      const work = { goesOn: true };
      const requests = workers.map((worker) => keepRequesting(worker, work));
      const watches = hosts.map((host) => watchRenewals(host));
      const renewed = await Promise.allSettled(watches);
      work.goesOn = false;
      const answered = await Promise.allSettled(requests);
      for (const result of [...renewed, ...answered]) {
        if (result.status === "rejected") throw result.reason;
      }
      for (const result of answered) {
        assert(result.status === "fulfilled" && result.value > 100, "requests went on");
      }
      for (const [host, before] of logs) {
        const since = host.log(100_000).slice(before.length).split("\n");
        assert.deepEqual(since.filter((line) => /[Ss]tream from (the|a) leader/.test(line)), []);
      }
    }),
);

/** Resolves after the renewals; the stream from the leader must be there at every look. */
async function watchRenewals(host: ClusterHost): Promise<void> {
  const seen = new Set<string>();
  const gaps: string[] = [];
  await waitFor(`${host.name} to have renewed ${RENEWALS} times`, async () => {
    const self = await host.socket.get<HostStatus>("/v1/self");
    const { certificateNotAfter } = self;
    if (!self.connected) gaps.push(new Date().toISOString());
    seen.add(certificateNotAfter);
    assert(Date.parse(certificateNotAfter) > Date.now(), "a certificate never runs out");
    return seen.size > RENEWALS;
  }, PATIENCE_MS);
  assert.deepEqual(gaps, [], `the stream of ${host.name} was down`);
}

/**
 * Makes and deletes an endpoint, again and again: each is two requests to the leader with the node's
 * certificate, and has to come back over the stream. How many were answered.
 */
async function keepRequesting(
  { socket }: ClusterHost,
  work: { readonly goesOn: boolean },
): Promise<number> {
  let answered = 0;
  while (work.goesOn) {
    const { id } = await socket.post<EndpointView>("/v1/networks/red/endpoints", {});
    await waitFor("the endpoint to come over the stream", async () => {
      return JSON.stringify(await socket.get("/v1/self/projection")).includes(id);
    });
    await socket.delete(`/v1/endpoints/${id}`);
    answered += 2;
    await pause(20);
  }
  return answered;
}

/**
 * The founder has its certificate before there is a setting that it could go by, so it gets one more
 * now, as it would get it at its first renewal in 45 days.
 */
async function shortenOwnCertificate(manager: ClusterHost): Promise<void> {
  await manager.sh(`cd /run
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node \
      -keyout key.pem -outform DER -out csr.der 2>/dev/null
    csr=$(openssl base64 -A -in csr.der | tr +/ -_ | tr -d =)
    curl --silent --fail --insecure --cert ${STATE_DIR}/tls/identity.pem \
      --header 'content-type: application/json' --data "{\\"v\\":1,\\"csr\\":\\"$csr\\"}" \
      https://${manager.address}:7443/v1/self/certificate >reply`);
  const file = (path: string) => manager.lab.path(path);
  const { certificate } = JSON.parse(Deno.readTextFileSync(file("/run/reply")));
  const lines = certificate.replaceAll("-", "+").replaceAll("_", "/").match(/.{1,64}/g).join("\n");
  const pad = "=".repeat((4 - certificate.length % 4) % 4);
  await manager.killAgent();
  Deno.writeTextFileSync(
    file(`${STATE_DIR}/tls/identity.pem`),
    Deno.readTextFileSync(file("/run/key.pem")) +
      `-----BEGIN CERTIFICATE-----\n${lines}${pad}\n-----END CERTIFICATE-----\n`,
  );
  await manager.restartAgent();
}
