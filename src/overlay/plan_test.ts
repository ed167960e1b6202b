import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBase32, IpAddress } from "../base/mod.ts";
import type { DesiredEndpoint, DesiredNetwork, RemoteEndpoint } from "./desired.ts";
import { linkNamed } from "./model.ts";
import { BRIDGE, VXLAN, VXLAN_INDEX } from "./names.ts";
import { type Device, formatOperation, type Operation } from "./operation.ts";
import { planSandbox, type SandboxPlan } from "./plan.ts";
import { planEndpoint } from "./plan_endpoint.ts";
import {
  type MutableSandbox,
  type MutableWorkload,
  PORT,
  SimulatedKernel,
} from "./testing_kernel.ts";

function id(number: number): string {
  return encodeBase32(new Uint8Array(16).fill(number));
}

const SHOP: DesiredNetwork = {
  id: id(1),
  name: "shop",
  vni: 4096,
  port: 19_999,
  vtepAddress: "192.0.2.1",
  mtuBytes: 1450,
  encryption: null,
  remotes: [{ ip: "10.64.0.4", mac: "02:00:0a:40:00:04", vtepAddress: "192.0.2.2" }],
};

const WEB: DesiredEndpoint = {
  id: id(2),
  networkId: SHOP.id,
  ip: "10.64.0.2",
  prefixLength: 24,
  mac: "02:00:0a:40:00:02",
  mtuBytes: 1450,
  target: { kind: "path", path: "/run/netns/web" },
  interfaceName: null,
};

/** What a round over one sandbox does, step by step; it stops before `steps` are done. */
function reconcile(
  kernel: SimulatedKernel,
  network: DesiredNetwork | null,
  endpoints: readonly DesiredEndpoint[],
  steps = Infinity,
): readonly Operation[] {
  const done: Operation[] = [];
  const apply = (operations: readonly Operation[]) => {
    const affordable = operations.slice(0, Math.max(0, steps - done.length));
    kernel.apply(affordable);
    done.push(...affordable);
  };
  const { refusal, removals, devices, entries } = plan(kernel, network, endpoints);
  assert.equal(refusal, null);
  for (const step of [removals, devices, entries]) apply(step);
  const bridge = kernel.sandbox === null ? null : linkNamed(kernel.sandbox.links, BRIDGE);
  for (const endpoint of network === null || bridge === null ? [] : endpoints) {
    if (done.length >= steps) break;
    apply(planOne(kernel, endpoint, bridge));
  }
  return done;
}

function plan(
  kernel: SimulatedKernel,
  network: DesiredNetwork | null,
  endpoints: readonly DesiredEndpoint[],
): SandboxPlan {
  return planSandbox(network, endpoints, kernel.sandbox);
}

function planOne(
  kernel: SimulatedKernel,
  endpoint: DesiredEndpoint,
  bridge: Device | null,
): readonly Operation[] {
  assert.ok(kernel.sandbox !== null && bridge !== null);
  const target = kernel.look(endpoint.target);
  const planned = planEndpoint(endpoint, kernel.sandbox, bridge, target, "unseen");
  return planned.kind === "attached" ? planned.operations : [];
}

function text(operations: readonly Operation[]): string {
  return operations.map((operation) => `${formatOperation(operation)}\n`).join("");
}

/** A kernel that is as desired. */
function shopKernel(): SimulatedKernel {
  const kernel = new SimulatedKernel(SHOP.id);
  kernel.workload("/run/netns/web");
  reconcile(kernel, SHOP, [WEB]);
  return kernel;
}

Deno.test("a network from nothing, in the order that lets nothing through too early", () => {
  const kernel = new SimulatedKernel(SHOP.id);
  kernel.workload("/run/netns/web");
  assert.equal(
    text(reconcile(kernel, SHOP, [WEB])),
    `netns add
link add bridge0 type bridge mtu 1450
link add vxlan0 type vxlan id 4096 local 192.0.2.1 dstport 19999 mtu 1450
link set vxlan0 alias "agent network ${SHOP.id}" master bridge0
bridge link set vxlan0 learning off flood off mcast_flood off
link set vxlan0 up
fdb replace 02:00:0a:40:00:04 dev vxlan0 self dst 192.0.2.2
neigh replace 10.64.0.4 lladdr 02:00:0a:40:00:04 dev vxlan0
fdb replace 02:00:0a:40:00:04 dev vxlan0 master static
attach epaibaeaqcaibae to /run/netns/web as eth0 10.64.0.2/24 address 02:00:0a:40:00:02 mtu 1450
`,
  );
  assert.equal(text(reconcile(kernel, SHOP, [WEB])), "");
});

interface Case {
  readonly name: string;
  readonly network?: DesiredNetwork | null;
  readonly endpoints?: readonly DesiredEndpoint[];
  readonly broken?: (box: MutableSandbox, web: MutableWorkload) => void;
  readonly plan: string;
}

/** Changes a link of the sandbox, or of the workload. */
function set(links: MutableSandbox["links"], name: string, changes: Record<string, unknown>): void {
  const link = linkNamed(links, name);
  assert.ok(link !== null);
  links.set(link.index, { ...link, ...changes });
}

const MAC = "02:00:0a:40:00:04";
const PORT_NAME = "epaibaeaqcaibae";

const CASES: readonly Case[] = [
  { name: "as it should be", plan: "" },
  { name: "no network any more", network: null, endpoints: [], plan: "netns delete\n" },
  {
    name: "no endpoint any more",
    endpoints: [],
    plan: `link delete ${PORT_NAME}\n`,
  },
  {
    name: "a remote more",
    network: {
      ...SHOP,
      remotes: [...SHOP.remotes, {
        ip: "10.64.0.5",
        mac: "02:00:0a:40:00:05",
        vtepAddress: "2001:db8::3",
      }],
    },
    plan: `fdb replace 02:00:0a:40:00:05 dev vxlan0 self dst 2001:db8::3
neigh replace 10.64.0.5 lladdr 02:00:0a:40:00:05 dev vxlan0
fdb replace 02:00:0a:40:00:05 dev vxlan0 master static
`,
  },
  {
    name: "a remote less",
    network: { ...SHOP, remotes: [] },
    plan: `fdb delete ${MAC} dev vxlan0 master
fdb delete ${MAC} dev vxlan0 self
neigh delete 10.64.0.4 dev vxlan0
`,
  },
  {
    name: "a remote on another host",
    network: {
      ...SHOP,
      remotes: [{ ip: "10.64.0.4", mac: MAC, vtepAddress: "192.0.2.3" }],
    },
    plan: `fdb replace ${MAC} dev vxlan0 self dst 192.0.2.3\n`,
  },
  {
    name: "another MTU",
    network: { ...SHOP, mtuBytes: 1400 },
    endpoints: [{ ...WEB, mtuBytes: 1400 }],
    plan: `link set bridge0 mtu 1400
link set vxlan0 mtu 1400
link set ${PORT_NAME} mtu 1400
link set eth0 mtu 1400 in /run/netns/web
`,
  },
  {
    name: "another VTEP address: another device, with all its entries",
    network: { ...SHOP, vtepAddress: "192.0.2.9" },
    plan: `link delete vxlan0
link add vxlan0 type vxlan id 4096 local 192.0.2.9 dstport 19999 mtu 1450
link set vxlan0 alias "agent network ${SHOP.id}" master bridge0
bridge link set vxlan0 learning off flood off mcast_flood off
link set vxlan0 up
fdb replace ${MAC} dev vxlan0 self dst 192.0.2.2
neigh replace 10.64.0.4 lladdr ${MAC} dev vxlan0
fdb replace ${MAC} dev vxlan0 master static
`,
  },
  {
    name: "forwarding, and IPv6",
    broken: ({ settings }) => {
      settings.set("net/ipv4/ip_forward", "1");
      settings.set("net/ipv6/conf/all/disable_ipv6", "0");
    },
    plan: `sysctl net/ipv4/ip_forward=0
sysctl net/ipv6/conf/all/disable_ipv6=1
`,
  },
  {
    name: "marks gone",
    broken: ({ links }) => {
      set(links, "lo", { alias: null });
      set(links, BRIDGE, { group: 0 });
      set(links, PORT_NAME, { alias: "stranger" });
    },
    plan: `link set lo alias "agent network ${SHOP.id}"
link set bridge0 group 1095192148
link set ${PORT_NAME} alias "agent endpoint ${WEB.id}"
`,
  },
  {
    name: "an entry and a neighbour that nobody asked for",
    broken: (box) => {
      box.vxlanEntries.set("00:00:00:00:00:00", { vtepAddress: "192.0.2.9", state: "permanent" });
      box.neighbours.set("10.64.0.9", "02:00:0a:40:00:09");
      box.bridgeEntries.set("02:00:0a:40:00:09", { port: VXLAN_INDEX, state: "dynamic" });
      box.bridgeEntries.set("02:00:0a:40:00:0a", { port: VXLAN_INDEX, state: "permanent" });
    },
    plan: `fdb delete 02:00:0a:40:00:09 dev vxlan0 master
fdb delete 00:00:00:00:00:00 dev vxlan0 self
neigh delete 10.64.0.9 dev vxlan0
`,
  },
  {
    name: "a learned entry where a fixed one should be",
    broken: (box) => box.bridgeEntries.set(MAC, { port: VXLAN_INDEX, state: "dynamic" }),
    plan: `fdb replace ${MAC} dev vxlan0 master static\n`,
  },
  {
    name: "the VXLAN device down: first all else, then up",
    broken: (box) => {
      set(box.links, VXLAN, { up: false, bridgePort: PORT, mtuBytes: 1300 });
      box.neighbours.clear();
    },
    plan: `link set vxlan0 mtu 1450
bridge link set vxlan0 learning off flood off mcast_flood off
link set vxlan0 up
neigh replace 10.64.0.4 lladdr ${MAC} dev vxlan0
`,
  },
  {
    name: "the port out of its bridge",
    broken: (box) => {
      set(box.links, PORT_NAME, { master: null, bridgePort: null });
      box.bridgeEntries.delete(WEB.mac);
    },
    plan: `link set ${PORT_NAME} master bridge0
bridge link set ${PORT_NAME} learning off flood off mcast_flood off
fdb replace ${WEB.mac} dev ${PORT_NAME} master static
`,
  },
  {
    name: "the workload's interface changed",
    broken: (_box, web) => {
      set(web.links, "eth0", { up: false, address: "02:00:00:00:00:99" });
      web.addresses.length = 0;
    },
    plan: `link set eth0 address ${WEB.mac} up in /run/netns/web
address add 10.64.0.2/24 dev eth0 in /run/netns/web
`,
  },
  {
    name: "the workload's interface renamed by the workload",
    broken: (_box, web) => set(web.links, "eth0", { name: "uplink0" }),
    plan: "",
  },
  {
    name: "another namespace at the workload's path",
    broken: (box) => set(box.links, PORT_NAME, { linkNamespaceId: 77 }),
    plan: `link delete ${PORT_NAME}
attach ${PORT_NAME} to /run/netns/web as eth1 10.64.0.2/24 address ${WEB.mac} mtu 1450
`,
  },
];

for (const { name, network = SHOP, endpoints = [WEB], broken, plan: expected } of CASES) {
  Deno.test(`plan: ${name}`, () => {
    const kernel = shopKernel();
    broken?.(kernel.broken, kernel.workload("/run/netns/web"));
    assert.equal(text(reconcile(kernel, network, endpoints)), expected);
    assert.equal(text(reconcile(kernel, network, endpoints)), "");
  });
}

Deno.test("plan: what is not ours is named and left", () => {
  const cases: readonly (readonly [(box: MutableSandbox) => void, RegExp])[] = [
    [({ links }) => {
      for (const name of ["lo", BRIDGE, VXLAN]) set(links, name, { alias: null });
    }, /namespace that is not ours/],
    [(box) => set(box.links, VXLAN, { linkNamespaceId: 5 }), /namespace that is not ours/],
    [(box) => set(box.links, BRIDGE, { alias: null, group: 0 }), /link bridge0 that is not ours/],
    [(box) => set(box.links, VXLAN, { alias: null, group: 0 }), /link vxlan0 that is not ours/],
  ];
  for (const [breakIt, expected] of cases) {
    const kernel = shopKernel();
    breakIt(kernel.broken);
    const { refusal, removals, devices, entries } = plan(kernel, SHOP, [WEB]);
    assert.match(refusal ?? "", expected);
    assert.deepEqual([...removals, ...devices, ...entries], []);
  }
  const kernel = shopKernel();
  set(kernel.broken.links, VXLAN, { linkNamespaceId: 5 });
  assert.deepEqual(plan(kernel, null, []).removals, [], "another agent's sandbox is not removed");
});

const BANK: DesiredNetwork = {
  ...SHOP,
  port: 20_001,
  mtuBytes: 1416,
  encryption: { slot: 1, epochs: [], peers: [], upTo: 0 },
};

Deno.test("plan: an encrypted network sends from its own port alone", () => {
  const kernel = new SimulatedKernel(SHOP.id);
  const { devices } = plan(kernel, BANK, []);
  assert.match(
    text(devices),
    /link add vxlan0 type vxlan id 4096 local 192\.0\.2\.1 dstport 20001 srcport 20001 20002 mtu 1416/,
  );
  reconcile(kernel, BANK, []);
  assert.equal(text(reconcile(kernel, BANK, [])), "");
  const vxlan = linkNamed(kernel.broken.links, VXLAN);
  assert.ok(vxlan?.info?.kind === "vxlan");
  for (const change of [{ sourcePorts: { low: 0, high: 0 } }, { udpChecksum: true }]) {
    kernel.broken.links.set(vxlan.index, { ...vxlan, info: { ...vxlan.info, ...change } });
    assert.match(text(plan(kernel, BANK, []).removals), /link delete vxlan0/);
  }
});

Deno.test("plan: of an encrypted network nothing leads to peers when its device goes", () => {
  const kernel = new SimulatedKernel(SHOP.id);
  reconcile(kernel, BANK, []);
  assert.equal(
    text(plan(kernel, null, []).removals),
    "fdb delete 02:00:0a:40:00:04 dev vxlan0 self\nnetns delete\n",
  );
});

Deno.test("plan: a network that took the name of one that is gone gets a sandbox of its own", () => {
  const kernel = shopKernel();
  const { removals, devices } = plan(kernel, { ...SHOP, id: id(9) }, []);
  assert.equal(text(removals), "netns delete\n");
  assert.equal(text(devices.slice(0, 2)), "netns add\nlink add bridge0 type bridge mtu 1450\n");
});

Deno.test("plan: an endpoint waits for its path, and is gone with its process or its namespace", () => {
  const kernel = shopKernel();
  const bridge = linkNamed(kernel.broken.links, BRIDGE);
  const port = linkNamed(kernel.broken.links, PORT_NAME);
  assert.ok(bridge !== null && port !== null);
  const absent = { kind: "absent" } as const;
  const kindOf = (endpoint: DesiredEndpoint, seen: "seen" | "unseen") =>
    planEndpoint(endpoint, kernel.broken, bridge, absent, seen).kind;
  const byPid: DesiredEndpoint = { ...WEB, target: { kind: "pid", pid: 4711, startTicks: 1 } };
  // The veth stands, so somebody is at its other end.
  assert.equal(kindOf(byPid, "seen"), "attached");
  kernel.apply([{ kind: "delete-link", device: port }]);
  assert.equal(kindOf(byPid, "unseen"), "gone");
  assert.equal(kindOf(WEB, "unseen"), "waiting");
  assert.equal(kindOf(WEB, "seen"), "gone");
});

Deno.test("plan: an interface name that is taken, and a port of another endpoint, are refused", () => {
  const kernel = shopKernel();
  const bridge = linkNamed(kernel.broken.links, BRIDGE);
  assert.ok(bridge !== null);
  const other = { ...WEB, id: id(3), interfaceName: "eth0" };
  const target = kernel.look(other.target);
  const taken = planEndpoint(other, kernel.broken, bridge, target, "unseen");
  assert.match(taken.kind === "refused" ? taken.reason : "", /interface eth0 in \/run\/netns\/web/);
  // The same first 13 characters of the id.
  const twin = { ...WEB, id: WEB.id.slice(0, 13) + id(3).slice(13) };
  const twice = planEndpoint(twin, kernel.broken, bridge, target, "unseen");
  assert.match(twice.kind === "refused" ? twice.reason : "", /link epaibaeaqcaibae.*not its own/);
});

const remote: fc.Arbitrary<RemoteEndpoint> = fc.record({
  number: fc.integer({ min: 20, max: 26 }),
  vtep: fc.integer({ min: 2, max: 4 }),
}).map(({ number, vtep }) => ({
  ip: `10.64.0.${number}`,
  mac: `02:00:0a:40:00:${number}`,
  vtepAddress: `192.0.2.${vtep}`,
}));

const desired = fc.record({
  there: fc.boolean(),
  mtuBytes: fc.constantFrom(1400, 1450),
  vtepAddress: fc.constantFrom("192.0.2.1", "192.0.2.11"),
  remotes: fc.uniqueArray(remote, { selector: ({ ip }) => ip }),
  locals: fc.uniqueArray(fc.integer({ min: 20, max: 26 }), { maxLength: 4 }),
}).map(({ there, mtuBytes, vtepAddress, remotes, locals }) => ({
  network: there
    ? {
      ...SHOP,
      mtuBytes,
      vtepAddress,
      remotes: remotes.filter(({ ip }) => !locals.some((number) => ip.endsWith(`.${number}`))),
    }
    : null,
  endpoints: !there ? [] : locals.map((number): DesiredEndpoint => ({
    ...WEB,
    id: id(number),
    ip: `10.64.0.${number}`,
    mac: `02:00:0a:40:00:${number}`,
    mtuBytes,
    target: { kind: "path", path: `/run/netns/${number % 3}` },
  })),
}));

Deno.test("plan: from any state to any other, also after a stop half way; what is foreign stays", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(desired, fc.nat(30)), { maxLength: 4 }),
    desired,
    (before, last) => {
      const kernel = new SimulatedKernel(SHOP.id);
      for (const place of [0, 1, 2]) kernel.workload(`/run/netns/${place}`);
      for (const [{ network, endpoints }, steps] of before) {
        reconcile(kernel, network, endpoints, steps);
        if (kernel.sandbox !== null && !kernel.sandbox.links.has(90)) {
          kernel.addForeign(90, "theirs");
          kernel.broken.bridgeEntries.set("02:99:99:99:99:99", { port: 90, state: "static" });
        }
      }
      const foreign = kernel.sandbox?.links.get(90);
      const operations = reconcile(kernel, last.network, last.endpoints);
      assert.deepEqual(text(reconcile(kernel, last.network, last.endpoints)), "");
      assertRight(kernel, last.network, last.endpoints);
      assert.ok(operations.every((one) => !("device" in one) || one.device.index !== 90));
      if (foreign === undefined || last.network === null) return;
      assert.deepEqual(kernel.sandbox?.links.get(90), foreign);
      const entry = kernel.sandbox?.bridgeEntries.get("02:99:99:99:99:99");
      assert.deepEqual(entry, { port: 90, state: "static" });
    },
  ));
});

/** Says from the desired state alone what the kernel must have: not by the planner's own reckoning. */
function assertRight(
  { sandbox }: SimulatedKernel,
  network: DesiredNetwork | null,
  endpoints: readonly DesiredEndpoint[],
): void {
  if (network === null) return assert.equal(sandbox, null);
  assert.ok(sandbox !== null);
  const vxlan = linkNamed(sandbox.links, VXLAN);
  const bridge = linkNamed(sandbox.links, BRIDGE);
  assert.ok(vxlan?.info?.kind === "vxlan" && bridge !== null);
  assert.ok(vxlan.info.local?.equals(IpAddress.parse(network.vtepAddress)));
  assert.deepEqual([vxlan.up, vxlan.master, bridge.up], [true, bridge.index, true]);
  const { remotes } = network;
  assert.deepEqual(
    [...sandbox.vxlanEntries].map(([mac, { vtepAddress }]) => `${mac} ${vtepAddress}`).sort(),
    remotes.map(({ mac, vtepAddress }) => `${mac} ${vtepAddress}`).sort(),
  );
  assert.deepEqual(
    [...sandbox.neighbours].map(([ip, mac]) => `${ip} ${mac}`).sort(),
    remotes.map(({ ip, mac }) => `${ip} ${mac}`).sort(),
  );
  const places = [...sandbox.bridgeEntries].filter(([, { port }]) => port !== 90)
    .map(([mac, { port }]) => `${mac} ${sandbox.links.get(port)?.name}`);
  const wanted = [
    ...remotes.map(({ mac }) => `${mac} ${VXLAN}`),
    ...endpoints.map(({ mac, id }) => `${mac} ep${id.slice(0, 13)}`),
  ];
  assert.deepEqual(places.sort(), wanted.sort());
  for (const link of sandbox.links.values()) {
    if (link.master === null) continue;
    assert.equal(link.mtuBytes, network.mtuBytes);
    assert.deepEqual(link.bridgePort, {
      ...PORT,
      learning: false,
      unicastFlood: false,
      multicastFlood: false,
    });
  }
}
