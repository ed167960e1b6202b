// needs: root vxlan
import assert from "node:assert/strict";
import type { EndpointView, Page } from "../../src/api/mod.ts";
import { type ClusterHost, withCluster } from "./cluster.ts";
import { pause, waitFor } from "./wait.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const WRITERS = 8;
const KILLS = 8;
/** Longest time between a start and the next kill; the writers do some 1000 writes in it. */
const LIFE_MS = 400;

Deno.test(
  "what was acknowledged is there after kill -9, and nothing is there twice",
  sanitized,
  () =>
    withCluster(1, async ({ manager }) => {
      await manager.createNetwork("red", { subnet: "10.64.0.0/14" });
      const acknowledged = new Map<string, EndpointView>();
      const work = { goesOn: true };
      const writers = Array.from(
        { length: WRITERS },
        (_, writer) => write(manager, `writer-${writer}`, acknowledged, work),
      );
      // Their failures are told below, unless something else fails first.
      for (const writer of writers) writer.catch(() => {});
      for (let kill = 0; kill < KILLS; kill++) {
        const before = acknowledged.size;
        await waitFor("writes to go on", () => acknowledged.size > before);
        // Not a wait for anything: the moment has to be any.
        await pause(Math.random() * LIFE_MS);
        await manager.killAgent();
        manager.startAgent();
        // The next answer may be of the one that is dead by now.
        await waitFor("it to be at work", () => manager.processRuns(manager.agentPid()));
      }
      work.goesOn = false;
      await Promise.all(writers);
      await manager.killAgent();
      await manager.restartAgent();

      const there = new Map((await endpoints(manager)).map((endpoint) => [endpoint.id, endpoint]));
      for (const [key, { id, ip }] of acknowledged) assert.equal(there.get(id)?.ip, ip, key);
      // Every key was sent until it was acknowledged: what is there beyond was made by a key twice.
      assert.equal(there.size, acknowledged.size);
      assert(acknowledged.size > KILLS * WRITERS);
    }),
);

/** Writes one after the other, each with a key of its own, until each is acknowledged. */
async function write(
  { socket }: ClusterHost,
  name: string,
  acknowledged: Map<string, EndpointView>,
  work: { goesOn: boolean },
): Promise<void> {
  for (let number = 0; work.goesOn; number++) {
    const key = `${name}-${number}`;
    const headers = { "idempotency-key": key };
    const endpoint = await waitFor(`${key} to be acknowledged`, async () => {
      const answer = await socket.request("POST", "/v1/networks/red/endpoints", {}, headers);
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
      // The API's own tests hold its answers to their schemas.
      return answer.body as EndpointView;
    });
    acknowledged.set(key, endpoint);
  }
}

async function endpoints({ socket }: ClusterHost): Promise<EndpointView[]> {
  const all: EndpointView[] = [];
  let after = "";
  for (;;) {
    const path = `/v1/networks/red/endpoints?limit=1000${after}`;
    const { items, next } = await socket.get<Page<EndpointView>>(path);
    all.push(...items);
    if (next === null) return all;
    after = `&after=${next}`;
  }
}

Deno.test(
  "a reply is sent after its entry was synced to the disk",
  sanitized,
  () =>
    withCluster(1, async ({ manager }) => {
      const file = "/run/trace";
      const tracer = manager.start([
        ...["strace", "-f", "-y", "-s", "64", "-o", file],
        ...["-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg,read,recvfrom,recvmsg,readv"],
        ...["-p", `${manager.agentPid()}`],
      ], { output: "null" });
      const trace = () => Deno.readTextFileSync(manager.lab.path(file)).split("\n");
      // It is attached when it sees what the agent does.
      await waitFor("strace to see a request", async () => {
        await manager.socket.get("/v1/self");
        return trace().some((line) => /"GET \S*\/v1\/self /.test(line));
      });
      const names = Array.from({ length: 10 }, (_, index) => `network-${index}`);
      for (const name of names) await manager.createNetwork(name);
      await waitFor("strace to have written the last reply", () => {
        return trace().filter((line) => line.includes("HTTP/1.1 201")).length === names.length;
      });
      await tracer.kill("SIGTERM");
      await tracer.status;
      assert.deepEqual(order(trace()), names.flatMap(() => ["request", "sync", "reply"]));
    }),
);

/** The order of requests, syncs of the log that have come back, and replies. */
function order(trace: readonly string[]): string[] {
  const events = trace.flatMap((line) => {
    if (/"POST \S*\/v1\/networks /.test(line)) return ["request"];
    if (line.includes("HTTP/1.1 201")) return ["reply"];
    return /(fsync|fdatasync)\(\d+<[^>]*store\/log\.db[^>]*>.*= 0$/.test(line) ? ["sync"] : [];
  });
  // An entry may need several syncs.
  return events.filter((event, index) => event !== "sync" || events[index - 1] !== "sync");
}
