// needs: root vxlan
import assert from "node:assert/strict";
import { type Cluster, type ClusterHost, RUN_DIR, withCluster, type Workload } from "./cluster.ts";
import { type Answer, problemOf } from "./socket.ts";
import { pause, waitFor } from "./wait.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

const FLOOD = 10_000;
/** A write, so that there is something to wait for; what it wants is there already. */
const BODY = '{"name":"red"}';
const REQUEST = new TextEncoder().encode(
  "POST /v1/networks HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n" +
    `content-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
);

/** A request that has to be refused: with this status, and the problem names this field. */
interface BadRequest {
  readonly what: string;
  readonly method: "POST" | "PATCH" | "GET";
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  readonly field: string | undefined;
}

function network(what: string, body: object, status: number, field: string): BadRequest {
  return { what, method: "POST", path: "/v1/networks", body, status, field };
}

const NETWORKS: readonly BadRequest[] = [
  network("no name", {}, 422, "/name"),
  network("a name with capitals", { name: "Shop" }, 422, "/name"),
  network("a name with a slash", { name: "../shop" }, 422, "/name"),
  network("an endless name", { name: "a".repeat(64) }, 422, "/name"),
  network("a name like an id", { name: "abcdefghijklmnopqrstuvwxyz" }, 422, "/name"),
  network("a taken name", { name: "red" }, 409, "/name"),
  network("no subnet", { name: "n", subnet: "here" }, 422, "/subnet"),
  network("an overlapping subnet", { name: "n", subnet: "10.64.0.0/16" }, 409, "/subnet"),
  network("host bits set", { name: "n", subnet: "10.90.0.1/24" }, 422, "/subnet"),
  network("a subnet too small", { name: "n", subnet: "10.90.0.0/30" }, 422, "/subnet"),
  network("a subnet in use on a host", { name: "n", subnet: "192.0.2.0/24" }, 409, "/subnet"),
  network("IPv6", { name: "n", subnet: "fd00::/64" }, 422, "/subnet"),
  network("an MTU too small", { name: "n", mtuBytes: 100 }, 422, "/mtuBytes"),
  network("an MTU too large", { name: "n", mtuBytes: 65536 }, 422, "/mtuBytes"),
  network("an MTU that is a text", { name: "n", mtuBytes: "1400" }, 422, "/mtuBytes"),
  network("an unknown field", { name: "n", colour: "red" }, 422, "/colour"),
  network("labels that are a list", { name: "n", labels: [] }, 422, "/labels"),
  network(
    "keys that change too often",
    { name: "n", encrypted: true, rotationIntervalMs: 1000 },
    422,
    "/rotationIntervalMs",
  ),
  {
    what: "an endpoint on an unknown network",
    method: "POST",
    path: "/v1/networks/green/endpoints",
    body: {},
    status: 404,
    field: "network",
  },
  {
    what: "a taken address",
    method: "POST",
    path: "/v1/networks/red/endpoints",
    body: { ip: "10.64.0.2" },
    status: 409,
    field: "/ip",
  },
  {
    what: "a limit that is no number",
    method: "GET",
    path: "/v1/networks?limit=many",
    status: 400,
    field: "limit",
  },
  {
    what: "a certificate that lives for a second",
    method: "PATCH",
    path: "/v1/cluster",
    body: { settings: { certificateValidityMs: 1000 } },
    status: 422,
    field: "/settings/certificateValidityMs",
  },
];

Deno.test(
  "bad input is refused by field, and changes nothing",
  sanitized,
  (t) =>
    withCluster(2, async (cluster) => {
      const { manager } = cluster;
      const worker = cluster.host(2);
      await manager.createNetwork("red");
      const ofManager = await manager.addWorkload("near", ["red"]);
      const ofWorker = await worker.addWorkload("far", ["red"]);
      await waitFor("both to be known as attached", async () => {
        const list = await manager.socket.get<{ items: { attachment: string }[] }>(
          "/v1/networks/red/endpoints",
        );
        assert.deepEqual(list.items.map(({ attachment }) => attachment), ["attached", "attached"]);
        return true;
      });
      for (const bad of NETWORKS) {
        await t.step(bad.what, () => unchanged(cluster, () => refused(manager, bad)));
      }
      for (const near of [ofManager, ofWorker]) {
        for (const bad of attachments(near)) {
          await t.step(
            `${bad.what}, on ${near.host.name}`,
            () => unchanged(cluster, () => refused(near.host, bad)),
          );
        }
      }
      for (
        const [host, path] of [
          [manager, "/v1/networks"],
          [manager, "/v1/attachments"],
          [worker, "/v1/attachments"],
        ] as const
      ) {
        await t.step(`what is no JSON, to ${path} on ${host.name}`, () =>
          unchanged(cluster, () => noJson(host, path)));
      }
      await t.step("a worker's root is no operator", () =>
        unchanged(cluster, async () => {
          const answer = await worker.socket.request("POST", "/v1/networks", { name: "mine" });
          assert.equal(problemOf(answer, "a network from a worker").code, "not-permitted");
        }));
    }),
);

/** What can be wrong with an attachment on a host that has one already. */
function attachments(near: Workload): BadRequest[] {
  const attachment = (what: string, body: object, status: number, field: string): BadRequest => {
    return { what, method: "POST", path: "/v1/attachments", body, status, field };
  };
  const networks = [{ network: "red" }];
  const netns = "/run/netns/free";
  return [
    attachment("neither netns nor pid", { networks }, 422, "/netns"),
    attachment("both netns and pid", { netns, pid: 1, networks }, 422, "/pid"),
    attachment("no network", { netns, networks: [] }, 422, "/networks"),
    attachment(
      "an unknown network",
      { netns, networks: [{ network: "green" }] },
      404,
      "/networks/0/network",
    ),
    attachment("no such namespace", { netns: "/run/netns/none", networks }, 422, "/netns"),
    attachment("a path to no namespace", { netns: "/etc/passwd", networks }, 422, "/netns"),
    attachment("a dead pid", { pid: 4_000_000, networks }, 422, "/pid"),
    attachment(
      "the namespace of another's endpoint",
      { netns: near.attachment.netns, networks },
      409,
      "/netns",
    ),
    attachment(
      "a taken address",
      { netns, networks: [{ network: "red", ip: near.ip }] },
      409,
      "/networks/0/ip",
    ),
    attachment(
      "an address outside",
      { netns, networks: [{ network: "red", ip: "10.65.0.2" }] },
      422,
      "/networks/0/ip",
    ),
    attachment("an unknown field", { netns, networks, speed: 10 }, 422, "/speed"),
  ];
}

async function refused(host: ClusterHost, bad: BadRequest): Promise<void> {
  await host.sh("ip netns add free");
  try {
    const answer = await host.socket.request(bad.method, bad.path, bad.body);
    const problem = problemOf(answer, bad.what);
    assert.deepEqual([problem.status, problem.field], [bad.status, bad.field], problem.detail);
  } finally {
    await host.sh("ip netns del free");
  }
}

async function noJson(host: ClusterHost, path: string): Promise<void> {
  const json = { "content-type": "application/json" };
  const send = (headers: Record<string, string>, body: string) =>
    host.socket.send(path, { method: "POST", headers, body });
  const answers: [string, number, Answer][] = [
    ["malformed-json", 400, await send(json, '{"name": "n"')],
    ["malformed-json", 400, await send(json, "")],
    ["unsupported-media-type", 415, await send({ "content-type": "text/plain" }, "{}")],
    ["body-too-large", 413, await send(json, JSON.stringify({ name: "n".repeat(70_000) }))],
  ];
  for (const [code, status, answer] of answers) {
    const problem = problemOf(answer, code);
    assert.deepEqual([problem.code, problem.status], [code, status]);
  }
}

/** All lists are as before, and so is the kernel of each host. */
async function unchanged(cluster: Cluster, attempt: () => Promise<void>): Promise<void> {
  const before = await everything(cluster);
  await attempt();
  assert.deepEqual(await everything(cluster), before);
}

async function everything({ manager, hosts }: Cluster): Promise<unknown> {
  const [networks, tokens] = [await manager.list("networks"), await manager.list("tokens")];
  const endpoints = await manager.socket.get("/v1/networks/red/endpoints?limit=1000");
  const { settings } = await manager.socket.get<{ settings: unknown }>("/v1/cluster");
  const ofHosts = [];
  for (const host of hosts) {
    ofHosts.push(await host.socket.get("/v1/attachments"), await host.sh("ip netns | sort"));
  }
  return [networks, tokens, endpoints, settings, ofHosts];
}

Deno.test(
  "of 10,000 requests at once, those over 256 are put off, and no memory stays taken",
  sanitized,
  () =>
    withCluster(2, async ({ hosts, manager }) => {
      await manager.createNetwork("red");
      for (const host of hosts) {
        // The first floods make room that the runtime keeps for the next; more must not be taken.
        for (let count = 0; count < 2; count++) await flood(host);
        const before = await settledMemoryMb(host);
        const { answered, putOff, unserved, others } = await flood(host);
        assert.deepEqual(others, [], "each is answered, or told when to come again");
        assert(
          answered + putOff + unserved === FLOOD && putOff > 0 && answered + unserved > 0,
          `${answered} answered, ${putOff} put off, ${unserved} unserved`,
        );
        await waitFor(
          `the memory of ${host.name} to be back within 20 MB of ${before} MB`,
          () =>
            memoryMb(host) <= before + 20 ? true : Promise.reject(new Error(`${memoryMb(host)}`)),
        );
      }
    }),
);

/**
 * Requests at once, each on a connection of its own: the agent is stopped while they are sent. Each
 * is answered: with what was asked, or with when to come again.
 */
async function flood(
  host: ClusterHost,
): Promise<
  { answered: number; putOff: number; unserved: number; others: readonly string[] }
> {
  const path = host.lab.path(`${RUN_DIR}/agent.sock`);
  const connections = await Promise.all(Array.from({ length: FLOOD }, () => connect(path)));
  const pid = `${host.agentPid()}`;
  await host.lab.exec("kill", "-STOP", pid);
  await Promise.all(connections.map((connection) => connection.write(REQUEST)));
  await host.lab.exec("kill", "-CONT", pid);
  const answers = await Promise.all(
    connections.map((connection) => new Response(connection.readable).text()),
  );
  const ofStatus = (status: RegExp) => answers.filter((answer) => status.test(answer));
  const putOff = ofStatus(/^HTTP\/1.1 429 /);
  // What a worker has let in, and its manager, in a flood itself, has not answered in time: on a slow machine.
  const unserved = ofStatus(/^HTTP\/1.1 503 /);
  for (const answer of [...putOff, ...unserved]) assert.match(answer, /^retry-after: [1-9]\d*\r$/m);
  // The manager says that the name is taken, a worker that its root may not ask.
  const answered = ofStatus(/^HTTP\/1.1 (409|403) /);
  const others = ofStatus(/^(?!HTTP\/1.1 (429|503|409|403) )/).map((answer) =>
    answer.slice(0, 300)
  );
  return {
    answered: answered.length,
    putOff: putOff.length,
    unserved: unserved.length,
    others,
  };
}

/** A queue of the kernel that is full just now is no refusal. */
async function connect(path: string): Promise<Deno.UnixConn> {
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (!String(error).includes("os error 11")) throw error;
      await pause(5);
    }
  }
}

/** Resident memory of a host's agent. */
function memoryMb(host: ClusterHost): number {
  const status = Deno.readTextFileSync(host.lab.path(`/proc/${host.agentPid()}/status`));
  return Number(status.match(/^VmRSS:\s+(\d+) kB$/m)?.[1]) / 1024;
}

/** When it has stopped to fall: the lowest of what is seen until three looks found none lower. */
async function settledMemoryMb(host: ClusterHost): Promise<number> {
  let lowest = memoryMb(host);
  let looks = 0;
  return await waitFor("the memory to settle", () => {
    const now = memoryMb(host);
    looks = now < lowest ? 0 : looks + 1;
    lowest = Math.min(lowest, now);
    return looks > 3 ? lowest : null;
  });
}
