// needs: root netns esp flower
import assert from "node:assert/strict";
import { probeEncryption } from "../../src/overlay/mod.ts";
import { id, Lab, type LabEncryption, type LabNetwork, run, until } from "./overlay_lab.ts";
import { MortalHost } from "./overlay_kill.ts";
import { Sender, Wire } from "./overlay_wire.ts";

function lifeTest(name: string, hosts: number, test: (lab: Lab) => Promise<void>): void {
  Deno.test({
    name: `overlay, encrypted: ${name}`,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: () => Lab.run(hosts, test),
  });
}

const WEB = { host: 1, number: 2, workload: "web" };
const STORE = { host: 2, number: 4, workload: "store" };
const BANK_ID = id("network bank");

function bank(
  encryption: Partial<LabEncryption> = {},
  endpoints: LabNetwork["endpoints"] = [WEB, STORE],
): LabNetwork {
  return {
    name: "bank",
    mtuBytes: 1416,
    encryption: { slot: 1, epochs: [1], ...encryption },
    endpoints,
  };
}

/** Host 1 has left it. */
function left(epoch: number): LabNetwork {
  return bank({ epochs: [epoch], left: [1] }, [STORE]);
}

async function addWorkloads(lab: Lab, ...names: string[]): Promise<void> {
  for (const name of names) await lab.addWorkload(name);
}

/** All that this host has of IPsec and the guard. */
function picture(lab: Lab, qdiscs = ""): Promise<string> {
  const name = lab.host(1);
  return run(`ip -n ${name} xfrm state | grep -v seq || true; ip -n ${name} xfrm policy
    tc -n ${name} qdisc show dev under0 ${qdiscs}; tc -n ${name} filter show dev under0 ingress
    tc -n ${name} filter show dev under0 egress
    ip netns exec ${name} sysctl net.ipv4.conf.lo.disable_policy`);
}

/** Blocks are the last to go, when what was let in before has been delivered. */
async function untilPicture(lab: Lab, wanted: string, qdiscs = ""): Promise<void> {
  await until("nothing of ours to be there", async () => await picture(lab, qdiscs) === wanted);
  assert.equal(await picture(lab, qdiscs), wanted);
}

lifeTest("killed at any step, up and down, nothing leaves in the clear", 2, async (lab) => {
  await addWorkloads(lab, "web", "store");
  // A qdisc on which nothing hangs may be somebody else's: killed before the first filter, one stays.
  const before = await picture(lab, ">/dev/null");
  const wire = await Wire.tap(lab);
  const sender = new Deno.Command("ip", {
    args: [
      "netns",
      "exec",
      lab.workload("web"),
      "sh",
      "-c",
      "while :; do ping -q -c 20 -i 0.005 -W 1 10.64.0.4 || sleep 0.02; done",
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const mortal = async (network: LabNetwork, steps: number): Promise<boolean> => {
    const host = new MortalHost(`/run/netns/${lab.host(1)}`, `${lab.prefix}-1-`, lab.watcher);
    host.stepsLeft = steps;
    await lab.reconciler(1).close();
    const reconciler = lab.start(1, host);
    reconciler.setDesired(lab.desired(1, [network]));
    await reconciler.settled();
    await reconciler.close();
    return host.dead;
  };
  const settle = async (network: LabNetwork) => {
    lab.start(1);
    await lab.apply([1], [network]);
    assert.deepEqual(await lab.reconciler(1).plan(), []);
  };
  let epoch = 1;
  let reached = 0;
  for (let steps = 0, alive = 0; alive < 2; steps++) {
    await lab.apply([2], [bank({ epochs: [epoch] })]);
    alive = await mortal(bank({ epochs: [epoch] }), steps) ? 0 : 1;
    await settle(bank({ epochs: [epoch] }));
    if (lab.reconciler(1).result.encryption.get(BANK_ID)?.wantsAfter === epoch) {
      epoch++;
      await lab.apply([2, 1], [bank({ epochs: [epoch, epoch - 1] })]);
    }
    if (await lab.reaches("web", "10.64.0.4")) reached++;
    else assert.fail(`not reached after ${steps} steps`);
    alive += await mortal(left(epoch), steps) ? 0 : 1;
    await settle(left(epoch));
    await lab.apply([1], []);
    assert.deepEqual(await lab.reconciler(1).plan(), [], `after ${steps} steps`);
    epoch++;
  }
  await untilPicture(lab, before, ">/dev/null");
  assert.ok(reached > 20, `${reached}`);
  sender.kill("SIGKILL");
  await sender.status;
  assert.deepEqual(await wire.close(), []);
  const contexts = lab.ring(1).recorded.map(({ context }) => context);
  assert.equal(new Set(contexts).size, contexts.length, "no key twice");
});

lifeTest("what SAs let in before they go gets no answer in the clear", 2, async (lab) => {
  await addWorkloads(lab, "web", "store");
  const wire = await Wire.tap(lab);
  let epoch = 1;
  await lab.apply([1, 2], [bank({ epochs: [epoch] })]);
  assert.ok(await lab.reaches("store", "10.64.0.2"));
  const senders = [0, 1, 2].map(() => new Sender(lab, "store", "10.64.0.2", 0.002));
  for (let time = 0; time < 15; time++) {
    await lab.apply([1], []);
    epoch++;
    await lab.apply([1, 2], [bank({ epochs: [epoch] })]);
    await until("reached again", () => lab.reaches("store", "10.64.0.2"));
  }
  for (const sender of senders) assert.ok((await sender.stop()).sent > 10);
  assert.deepEqual(await wire.close(), []);
});

lifeTest(
  "a network that is left and joined again has the same SAs, and leaves nothing at the end",
  2,
  async (lab) => {
    await addWorkloads(lab, "web", "store");
    const before = await picture(lab);
    await lab.apply([1, 2], [bank()]);
    for (let time = 0; time < 3; time++) {
      await lab.apply([1], [left(1)]);
      await lab.apply([2], [left(1)]);
      const policies = await run(`ip -n ${lab.host(1)} xfrm policy`);
      assert.equal(policies.match(/action block/g)?.length, 3);
      assert.doesNotMatch(policies, /tmpl/);
      assert.deepEqual(lab.reconciler(1).result.encryption.get(BANK_ID)?.installed, [1]);
      await lab.apply([1, 2], [bank()]);
      await until("reached again", () => lab.reaches("web", "10.64.0.4"));
    }
    assert.equal(lab.ring(1).recorded.length, 2);
    await lab.apply([1], [left(1)]);
    await lab.apply([1], [left(2)]);
    // What the SAs have let in may still be on its way to where nobody listens any more.
    assert.equal(await run(`ip -n ${lab.host(1)} xfrm state`), "");
    const blocks = await run(`ip -n ${lab.host(1)} xfrm policy`);
    assert.equal(blocks.match(/action block/g)?.length, 3);
    await untilPicture(lab, before);
    await lab.apply([1, 2], [bank({ epochs: [3] })]);
    await lab.reconciler(1).close();
    // One that was never told of the network.
    assert.deepEqual(await lab.start(1).removeAll(), []);
    assert.equal(await picture(lab), before);
  },
);

lifeTest(
  "a third host joins, another listens for ACQUIRE, and what is foreign stays",
  3,
  async (lab) => {
    await addWorkloads(lab, "web", "store", "spare");
    const host = lab.host(1);
    const foreign = `
    ip -n ${host} xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x999 reqid 7 mode transport aead 'rfc4106(gcm(aes))' 0x${
      "11".repeat(36)
    } 128
    ip -n ${host} xfrm policy add src 192.0.2.1/32 dst 192.0.2.9/32 dir out tmpl proto esp reqid 7 mode transport
    tc -n ${host} qdisc add dev under0 clsact
    tc -n ${host} filter add dev under0 egress protocol ip pref 5 flower ip_proto tcp dst_port 9 action drop`;
    await run(foreign);
    const before = await picture(lab);
    const monitors = [1, 2, 3].map((number) =>
      new Deno.Command("ip", {
        args: ["-n", lab.host(number), "xfrm", "monitor"],
        stdout: "null",
        stderr: "null",
      }).spawn()
    );
    const wire = await Wire.tap(lab);
    await lab.apply([1, 2], [bank()]);
    assert.ok(await lab.reaches("web", "10.64.0.4"));
    const sender = new Sender(lab, "web", "10.64.0.4");
    const three = bank({}, [WEB, STORE, { host: 3, number: 6, workload: "spare" }]);
    await lab.apply([3, 1, 2], [three]);
    for (
      const [from, to] of [["web", "10.64.0.6"], ["spare", "10.64.0.4"], ["store", "10.64.0.2"]]
    ) {
      assert.ok(await lab.reaches(from ?? "", to ?? ""));
    }
    await lab.apply([1], [three]);
    const { sent, lost } = await sender.stop();
    assert.ok(sent > 10 && lost <= 1, `${lost} of ${sent}`);
    assert.deepEqual(await wire.close(), []);
    await lab.apply([1], []);
    await untilPicture(lab, before);
    for (const monitor of monitors) {
      monitor.kill("SIGKILL");
      await monitor.status;
    }
  },
);

lifeTest("the guard follows the routes to peers", 2, async (lab) => {
  await addWorkloads(lab, "web", "store");
  const underlay = `${lab.prefix}-underlay`;
  await run(`for n in 1 2; do
      host=${lab.prefix}-host$n
      ip link add other0 netns $host type veth peer name other$n netns ${underlay}
      ip -n ${underlay} link set other$n master bridge0 up
      ip -n $host link set other0 up
    done`);
  await lab.apply([1, 2], [bank()]);
  const wire = await Wire.tap(lab);
  const sender = new Sender(lab, "web", "10.64.0.4");
  await run(`ip -n ${lab.host(1)} route add 192.0.2.2/32 dev other0`);
  await until("guarded", async () => {
    const filters = await run(`tc -n ${lab.host(1)} filter show dev other0 egress`);
    return filters.match(/port 20001/g)?.length === 2;
  });
  // Only the guard stands.
  await run(`ip netns exec ${lab.host(1)} sysctl -qw net.ipv4.conf.other0.disable_xfrm=1`);
  await until("closed", async () => {
    const link = await lab.in(lab.sandbox(1, "bank"), "ip link show vxlan0");
    return !link.includes("master");
  });
  await sender.stop();
  assert.deepEqual(await wire.close(), []);
  await run(`ip netns exec ${lab.host(1)} sysctl -qw net.ipv4.conf.other0.disable_xfrm=0
    ip -n ${lab.host(1)} route delete 192.0.2.2/32 dev other0`);
  await until("the other device is as it was", async () => {
    await lab.reconciler(1).settled();
    return !(await run(`tc -n ${lab.host(1)} qdisc show dev other0`)).includes("clsact");
  });
  await until("reached", () => lab.reaches("web", "10.64.0.4"));
});

lifeTest("this kernel can encrypt, and the probe leaves nothing", 1, async (lab) => {
  const names = await run("ip netns");
  const started = performance.now();
  assert.equal(await probeEncryption(lab.testHost(1)), "ok");
  console.log(`probe: ${Math.round(performance.now() - started)} ms`);
  assert.equal(await run("ip netns"), names);
});
