import assert from "node:assert/strict";
import type {
  EndpointView,
  HostStatus,
  ManagersView,
  ManagerView,
  NetworkView,
  NodeView,
  OwnManager,
  TokenView,
} from "../../api/mod.ts";
import { EXIT_CODES } from "../exit.ts";
import {
  AgentDouble,
  type Answers,
  CLEAN,
  problem,
  type Ran,
  runLine,
  type Seen,
} from "../testing_machine.ts";

const AT = "2026-01-31T12:00:00.000Z";
const SHOP: NetworkView = {
  id: "wwwwwwwwwwwwwwwwwwwwwwwwww",
  name: "shop",
  vni: 4096,
  subnet: "10.64.0.0/24",
  labels: { tier: "db" },
  mtuBytes: null,
  allowedNodes: "any",
  encrypted: false,
  encryption: null,
  createdAt: AT,
  revision: 3,
};
const IPSEC: NonNullable<NodeView["ipsec"]> = {
  networks: [{
    networkId: SHOP.id,
    networkName: "shop",
    sentPackets: 15,
    sentBytes: 1500,
    receivedPackets: 7,
    receivedBytes: 700,
    replays: 3,
    integrityFailures: 2,
    faulty: [{ nodeId: "oooooooooooooooooooooooooo", replays: 3, integrityFailures: 2 }],
  }],
  refused: [{
    name: "guard-egress",
    networkName: "shop",
    packets: 4,
    meaning: "cleartext was offered for an encrypted network and dropped",
  }, { name: "XfrmInNoStates", networkName: null, packets: 1, meaning: "no key" }],
  guardLack: "no flower",
  unreadable: null,
};
const HOST2: NodeView = {
  id: "nnnnnnnnnnnnnnnnnnnnnnnnnn",
  index: 2,
  role: "worker",
  labels: {},
  hostname: "host2",
  controlAddress: "192.0.2.2:7443",
  vtepAddress: "192.0.2.2",
  underlayMtuBytes: 1500,
  hostRoutes: ["10.0.0.0/8"],
  encryption: "ok",
  agentVersion: "0.1.0",
  featureLevel: 1,
  certificates: [{ serial: "01", notAfter: AT }],
  joinedAt: AT,
  revision: 4,
  alive: false,
  lastSeenAt: AT,
  lastError: "no room",
  ipsec: IPSEC,
};
const WEB: EndpointView = {
  id: "eeeeeeeeeeeeeeeeeeeeeeeeee",
  networkId: SHOP.id,
  nodeId: HOST2.id,
  name: "web",
  ip: "10.64.0.2",
  mac: "02:00:0a:40:00:02",
  attachment: "attached",
  createdAt: AT,
  revision: 5,
};
const TOKEN: TokenView = {
  id: "tttttttttttttttttttttttttt",
  role: "worker",
  usesLeft: 1,
  createdAt: AT,
  expiresAt: AT,
  revision: 6,
};
const OWN: OwnManager = {
  role: "follower",
  term: 7,
  leaderId: null,
  lastIndex: 30,
  commitIndex: 30,
  appliedIndex: 30,
  voters: [],
  learners: [],
};
const MANAGERS: ManagersView = {
  term: 7,
  leaderId: "l".repeat(26),
  commitIndex: 42,
  mayLose: 0,
  items: [
    manager("host1", { standing: "leader", heard: true, lag: 0 }),
    manager("host2", { standing: "voter", heard: false, lag: 12 }),
  ],
};
const STATUS: HostStatus = {
  nodeId: HOST2.id,
  clusterId: "cccccccccccccccccccccccccc",
  incarnation: { generation: 1, id: "iiiiiiiiiiiiiiiiiiiiiiiiii" },
  role: "worker",
  hostname: "host2",
  agentVersion: "0.1.0",
  controlAddress: "192.0.2.2:7443",
  vtepAddress: "192.0.2.2",
  encryption: "ok",
  connected: true,
  leaderAddress: "192.0.2.1:7443",
  certificateNotAfter: AT,
  applied: "digest",
  ready: true,
  lastError: null,
  manager: null,
  ipsec: IPSEC,
  counters: {},
};
const MANAGER_STATUS: HostStatus = { ...STATUS, role: "manager", manager: OWN };

const LIST = "?limit=1000";
const page = (...items: readonly unknown[]) => ({ items, next: null });
const NETWORKS = { [`GET /v1/networks${LIST}`]: page(SHOP) };
const NODES = { [`GET /v1/nodes${LIST}`]: page(HOST2) };
const ENDPOINTS = { [`GET /v1/networks/${SHOP.id}/endpoints${LIST}`]: page(WEB) };

function manager(
  hostname: string,
  view: Pick<ManagerView, "standing" | "heard" | "lag">,
): ManagerView {
  return { id: "m".repeat(26), hostname, controlAddress: "192.0.2.1:7443", silentMs: 0, ...view };
}

async function run(line: string, answers: Answers): Promise<Ran & { seen: readonly Seen[] }> {
  await using agent = new AgentDouble(answers);
  const [command, ...rest] = line.split(" -- ");
  const words = [`${command} --run-dir ${agent.runDir}`, ...rest].join(" -- ");
  return { ...await runLine(words), seen: agent.seen };
}

/** A command line, what it sends, what comes back, and what a program and a person read of it. */
interface Case {
  readonly line: string;
  readonly answers: Answers;
  readonly sends?: readonly Seen[];
  readonly json: unknown;
  readonly text: RegExp;
  readonly code?: number;
}

const CASES: readonly Case[] = [
  {
    line: "network create shop",
    answers: { "POST /v1/networks": SHOP },
    sends: [{
      line: "POST /v1/networks",
      body: { name: "shop", labels: {}, allowedNodes: "any", encrypted: false },
    }],
    json: SHOP,
    text: /^Network +shop\n.*Subnet +10\.64\.0\.0\/24\n/s,
  },
  {
    line: "network create shop --subnet 10.64.0.0/24 --mtu 1400 --label a=b --label c=d=e " +
      "--allow-node host2 --allow-label zone=x --encrypted",
    answers: { "GET /v1/nodes/host2": HOST2, "POST /v1/networks": SHOP },
    sends: [{ line: "GET /v1/nodes/host2", body: null }, {
      line: "POST /v1/networks",
      body: {
        name: "shop",
        subnet: "10.64.0.0/24",
        mtuBytes: 1400,
        labels: { a: "b", c: "d=e" },
        encrypted: true,
        allowedNodes: { ids: [HOST2.id], labels: { zone: "x" } },
      },
    }],
    json: SHOP,
    text: /shop/,
  },
  {
    line: "network ls",
    answers: NETWORKS,
    json: page(SHOP),
    text: /^ID +NAME +SUBNET.*\nw{26} +shop +10\.64\.0\.0\/24 +4096 +- +no +tier=db\n$/,
  },
  {
    line: "network inspect shop",
    answers: { "GET /v1/networks/shop": SHOP, ...ENDPOINTS, ...NODES },
    json: { ...SHOP, endpoints: [WEB] },
    text: /^Network +shop\n.*\n\nID .*\n.* shop +web +10\.64\.0\.2 +02:00:0a:40:00:02 +host2 /s,
  },
  {
    line: "network rm shop bank",
    answers: { "DELETE /v1/networks/shop": null, "DELETE /v1/networks/bank": null },
    json: { removed: ["shop", "bank"] },
    text: /^shop\nbank\n$/,
  },
  {
    line: "endpoint add shop --name web --ip 10.64.0.2 --mac 02:00:0a:40:00:02 --node host2",
    answers: { "POST /v1/networks/shop/endpoints": WEB },
    sends: [{
      line: "POST /v1/networks/shop/endpoints",
      body: { name: "web", ip: "10.64.0.2", mac: "02:00:0a:40:00:02", node: "host2" },
    }],
    json: WEB,
    text: /^e{26} +10\.64\.0\.2\n$/,
  },
  {
    line: "endpoint ls",
    answers: { ...NETWORKS, ...ENDPOINTS, ...NODES },
    json: page(WEB),
    text: /^ID .*\ne{26} +shop +web +10\.64\.0\.2 .* host2 +attached\n$/,
  },
  {
    line: "endpoint ls shop",
    answers: { "GET /v1/networks/shop": SHOP, ...ENDPOINTS, ...NODES },
    json: page(WEB),
    text: /shop +web/,
  },
  {
    line: `endpoint rm ${WEB.id}`,
    answers: { [`DELETE /v1/endpoints/${WEB.id}`]: null },
    json: { removed: [WEB.id] },
    text: /^e{26}\n$/,
  },
  {
    line: "node ls",
    answers: NODES,
    json: page(HOST2),
    text: /^ID +HOSTNAME +ROLE +ALIVE.*\nn{26} +host2 +worker +no +192\.0\.2\.2:7443 +0\.1\.0/,
  },
  {
    line: "node inspect host2",
    answers: { "GET /v1/nodes/host2": HOST2 },
    json: HOST2,
    text:
      /Alive +no, last seen 2026.*Last error +no room\n.*Host routes +10\.0\.0\.0\/8\n.*^guard-egress +shop +4 +cleartext was offered/ms,
  },
  {
    line: "node update host2 --label zone=a --rm-label old",
    answers: { "PATCH /v1/nodes/host2": HOST2 },
    sends: [{ line: "PATCH /v1/nodes/host2", body: { labels: { zone: "a", old: null } } }],
    json: HOST2,
    text: /^Node +host2\n/,
  },
  {
    line: "node promote host2",
    answers: { "PATCH /v1/nodes/host2": HOST2 },
    sends: [{ line: "PATCH /v1/nodes/host2", body: { role: "manager" } }],
    json: HOST2,
    text: /^Node +host2\n/,
  },
  {
    line: "node demote host2",
    answers: { "PATCH /v1/nodes/host2": HOST2 },
    sends: [{ line: "PATCH /v1/nodes/host2", body: { role: "worker" } }],
    json: HOST2,
    text: /^Node +host2\n/,
  },
  {
    line: "node rm host2",
    answers: { "DELETE /v1/nodes/host2": null },
    json: { removed: ["host2"] },
    text: /^host2\n$/,
  },
  {
    line: "token create --role manager --lifetime 90d --uses 3",
    answers: { "GET /v1/self": STATUS, "POST /v1/tokens": { ...TOKEN, token: "AGTKN-1-a-b" } },
    sends: [{ line: "GET /v1/self", body: null }, {
      line: "POST /v1/tokens",
      body: { role: "manager", lifetimeMs: 7_776_000_000, uses: 3 },
    }],
    json: {
      ...TOKEN,
      token: "AGTKN-1-a-b",
      joinCommand: "agent join 192.0.2.1:7443 --token AGTKN-1-a-b",
    },
    text: /^agent join 192\.0\.2\.1:7443 --token AGTKN-1-a-b\n$/,
  },
  {
    line: "token ls",
    answers: { [`GET /v1/tokens${LIST}`]: page(TOKEN) },
    json: page(TOKEN),
    text: /^ID +ROLE +USES LEFT +EXPIRES\nt{26} +worker +1 +2026-01-31T12:00:00\.000Z\n$/,
  },
  {
    line: `token rm ${TOKEN.id}`,
    answers: { [`DELETE /v1/tokens/${TOKEN.id}`]: null },
    json: { removed: [TOKEN.id] },
    text: /^t{26}\n$/,
  },
  {
    line: "status",
    answers: { "GET /v1/self": STATUS },
    json: STATUS,
    text:
      /^Node +host2 \(n{26}\)\n.*Incarnation +i{26}, generation 1\n.*Leader +192\.0\.2\.1:7443, connected\n/s,
  },
  {
    line: "status",
    answers: { "GET /v1/self": STATUS },
    json: STATUS,
    text:
      /^shop +15 packets, 1500 bytes +7 packets, 700 bytes +3 +2\n.*^XfrmInNoStates +- +1 +no key\n.*^Only one guard stands on this host: no flower\n/ms,
  },
  {
    line: "status",
    answers: { "GET /v1/self": MANAGER_STATUS, "GET /v1/managers": MANAGERS },
    json: { ...MANAGER_STATUS, managers: MANAGERS },
    text:
      /\nMANAGER +ADDRESS +STANDING +HEARD +LAG\nhost1 .* leader +yes +0\nhost2 .* voter +no +12\n.*Term 7\. If one more/s,
  },
  {
    line: "status",
    answers: { "GET /v1/self": { ...STATUS, connected: false, leaderAddress: null } },
    json: { ...STATUS, connected: false, leaderAddress: null },
    text: /Leader +unknown, no contact\n/,
    code: EXIT_CODES.notAsWanted,
  },
  {
    line: "plan",
    answers: { "GET /v1/plan": { operations: [] } },
    json: { operations: [] },
    text: /^$/,
  },
  {
    line: "plan",
    answers: { "GET /v1/plan": { operations: ["link add br0", "link up br0"] } },
    json: { operations: ["link add br0", "link up br0"] },
    text: /^link add br0\nlink up br0\n$/,
    code: EXIT_CODES.notAsWanted,
  },
];

for (const { line, answers, sends, json, text, code = EXIT_CODES.ok } of CASES) {
  Deno.test(`agent ${line}`, CLEAN, async () => {
    const forPerson = await run(line, answers);
    assert.equal(forPerson.code, code, forPerson.stderr);
    assert.match(forPerson.stdout, text);
    if (sends !== undefined) assert.deepEqual(forPerson.seen, sends);
    const forProgram = await run(`${line} --json`, answers);
    assert.equal(forProgram.code, code);
    assert.deepEqual(JSON.parse(forProgram.stdout), json);
  });
}

Deno.test("a list is all its pages", CLEAN, async () => {
  const bank = { ...SHOP, id: "xxxxxxxxxxxxxxxxxxxxxxxxxx", name: "bank" };
  const { stdout, seen } = await run("network ls --json", {
    [`GET /v1/networks${LIST}`]: { items: [SHOP], next: SHOP.id },
    [`GET /v1/networks${LIST}&after=${SHOP.id}`]: page(bank),
  });
  assert.deepEqual(JSON.parse(stdout), page(SHOP, bank));
  assert.equal(seen.length, 2);
});

Deno.test("whatever a name is, it stays one segment of the path", CLEAN, async () => {
  const { seen } = await run("network inspect a/../b?c#d%2e", {});
  assert.deepEqual(seen.map(({ line }) => line), ["GET /v1/networks/a%2F..%2Fb%3Fc%23d%252e"]);
});

const REFUSALS: readonly (readonly [answer: Response, code: number, line: string])[] = [
  [
    problem(409, "name-taken", 'A network is called "shop" already', "/name"),
    EXIT_CODES.failed,
    'agent: A network is called "shop" already (name-taken, name)\n',
  ],
  [
    problem(503, "kernel-refused", "VXLAN is not there"),
    EXIT_CODES.failed,
    "agent: VXLAN is not there (kernel-refused)\n",
  ],
  [
    problem(503, "unavailable", "No manager\nleads"),
    EXIT_CODES.unavailable,
    "agent: No manager leads (unavailable)\n",
  ],
  [problem(429, "busy", "Later"), EXIT_CODES.unavailable, "agent: Later (busy)\n"],
  [problem(421, "not-leader", "Another"), EXIT_CODES.unavailable, "agent: Another (not-leader)\n"],
  [
    new Response("<html>", { status: 502 }),
    EXIT_CODES.failed,
    "agent: The agent answered 502 and no reason (internal)\n",
  ],
];

for (const [answer, code, line] of REFUSALS) {
  Deno.test(`a refusal is one line: ${line.trim()}`, CLEAN, async () => {
    const ran = await run("network create shop", { "POST /v1/networks": answer });
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [code, "", line]);
  });
}

Deno.test("rm goes on after a refusal, and says what is gone", CLEAN, async () => {
  const { code, stdout, stderr } = await run("network rm shop bank --json", {
    "DELETE /v1/networks/shop": problem(409, "in-use", "The network shop has endpoints"),
    "DELETE /v1/networks/bank": null,
  });
  assert.equal(code, EXIT_CODES.failed);
  assert.deepEqual(JSON.parse(stdout), { removed: ["bank"] });
  assert.equal(stderr, "agent: The network shop has endpoints (in-use)\n");
});

Deno.test("every client says when no agent runs here", CLEAN, async () => {
  for (const line of ["status", "plan", "network ls", "node rm host2", "token create"]) {
    const { code, stdout, stderr } = await runLine(`${line} --run-dir /nix`);
    assert.deepEqual([code, stdout], [EXIT_CODES.notRunning, ""], line);
    assert.match(stderr, /^agent: No agent runs here \(\/nix\/agent\.sock\)[^\n]*\n$/);
  }
});

Deno.test("an agent that dies before it has answered is said to be gone", CLEAN, async () => {
  const runDir = Deno.makeTempDirSync({ prefix: "cli-test-" });
  const listener = Deno.listen({ transport: "unix", path: `${runDir}/agent.sock` });
  try {
    const dying = listener.accept().then(async (connection) => {
      await connection.read(new Uint8Array(4096));
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-le"));
      connection.close();
    });
    const { code, stdout, stderr } = await runLine(`status --run-dir ${runDir}`);
    await dying;
    assert.deepEqual([code, stdout], [EXIT_CODES.failed, ""]);
    assert.match(stderr, /^agent: The agent closed the connection[^\n]*may have been done\n$/);
  } finally {
    listener.close();
    Deno.removeSync(runDir, { recursive: true });
  }
});

Deno.test("a socket that nobody listens on any more is no running agent", CLEAN, async () => {
  const runDir = Deno.makeTempDirSync({ prefix: "cli-test-" });
  try {
    Deno.writeTextFileSync(`${runDir}/agent.sock`, "");
    const { code, stderr } = await runLine(`status --run-dir ${runDir}`);
    assert.equal(code, EXIT_CODES.notRunning);
    assert.match(stderr, /start it with `agent run`.*`agent init`.*`agent join`/);
  } finally {
    Deno.removeSync(runDir, { recursive: true });
  }
});
