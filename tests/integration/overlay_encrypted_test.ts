// needs: root netns esp flower
import assert from "node:assert/strict";
import { type EncryptionStatus } from "../../src/overlay/mod.ts";
import {
  attempt,
  id,
  Lab,
  type LabEncryption,
  type LabNetwork,
  run,
  until,
} from "./overlay_lab.ts";
import { Sender, Wire } from "./overlay_wire.ts";

function encryptedTest(name: string, hosts: number, test: (lab: Lab) => Promise<void>): void {
  Deno.test({
    name: `overlay, encrypted: ${name}`,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: () => Lab.run(hosts, test),
  });
}

const BANK: LabNetwork = {
  name: "bank",
  mtuBytes: 1416,
  encryption: { slot: 1, epochs: [1] },
  endpoints: [
    { host: 1, number: 2, workload: "web" },
    { host: 2, number: 4, workload: "store" },
  ],
};

const BANK_ID = id("network bank");

/** The bank in another state of its keys. */
function bank(encryption: Partial<LabEncryption>): LabNetwork {
  return { ...BANK, encryption: { slot: 1, epochs: [1], ...encryption } };
}

function statusOf(lab: Lab, host: number): EncryptionStatus | undefined {
  return lab.reconciler(host).result.encryption.get(BANK_ID);
}

async function startBank(lab: Lab): Promise<void> {
  for (const workload of ["web", "store"]) await lab.addWorkload(workload);
  await lab.apply([1, 2], [BANK]);
  assert.ok(await lab.reaches("web", "10.64.0.4"));
}

encryptedTest("packets between two hosts are ESP and nothing else", 2, async (lab) => {
  await startBank(lab);
  const wire = await Wire.tap(lab);
  const [web, store] = [lab.workload("web"), lab.workload("store")];
  await lab.in(web, "ping -q -c 20 -i 0.01 -W 1 10.64.0.4");
  await lab.in(web, "ping -q -c 2 -W 1 -M do -s 1388 10.64.0.4");
  const tooLong = await attempt(`ip netns exec ${web} ping -c 1 -W 1 -M do -s 1389 10.64.0.4`);
  assert.match(tooLong.output, /message too long/i);
  // Nobody listens there: the ICMP error goes back in ESP, too.
  await lab.in(store, "bash -c 'echo x >/dev/udp/10.64.0.2/9'");
  await attempt(`ip netns exec ${web} bash -c 'echo x >/dev/tcp/10.64.0.4/9'`);
  assert.deepEqual(await wire.close(), []);
  for (const host of [1, 2]) {
    assert.deepEqual(await lab.reconciler(host).plan(), []);
    assert.deepEqual(statusOf(lab, host), {
      installed: [1],
      upTo: 1,
      oldestSending: 1,
      wantsAfter: null,
    });
  }
  const sas = await lab.in(lab.host(1), "ip -s -d xfrm state");
  assert.match(
    sas,
    /proto esp spi 0x20010001\(\d+\) reqid 1095172097\(0x41470001\) mode transport/,
  );
  assert.match(
    sas,
    /sel src 192\.0\.2\.1\/32 dst 192\.0\.2\.2\/32 proto udp sport 20001 dport 20001/,
  );
  assert.match(sas, /replay_window 1024, bitmap-length 32/);
  assert.match(sas, /limit: soft 70368744177664\(bytes\)/);
});

/** What a hand can do on host 1; each is put right without being asked, and nothing leaves in the clear. */
const DAMAGES: readonly (readonly [name: string, script: string])[] = [
  ["policies flushed", "ip -n $HOST xfrm policy flush"],
  [
    "a block deleted",
    "ip -n $HOST xfrm policy delete src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dport 20001 dir out",
  ],
  [
    "a block that allows",
    "ip -n $HOST xfrm policy update src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dport 20001 dir out priority 1 action allow",
  ],
  [
    "out policy deleted",
    "ip -n $HOST xfrm policy delete src 192.0.2.1/32 dst 192.0.2.2/32 proto udp sport 20001 dport 20001 dir out",
  ],
  [
    "in policy deleted",
    "ip -n $HOST xfrm policy delete src 192.0.2.2/32 dst 192.0.2.1/32 proto udp sport 20001 dport 20001 dir in",
  ],
  [
    "out policy without template",
    "ip -n $HOST xfrm policy update src 192.0.2.1/32 dst 192.0.2.2/32 proto udp sport 20001 dport 20001 dir out priority 100",
  ],
  [
    "filters deleted",
    "tc -n $HOST filter delete dev under0 egress pref 71; tc -n $HOST filter delete dev under0 ingress",
  ],
  ["clsact deleted", "tc -n $HOST qdisc delete dev under0 clsact"],
  ["VXLAN device down", "ip -n $BOX link set vxlan0 down"],
  ["VXLAN device deleted", "ip -n $BOX link delete vxlan0"],
  ["loopback out of policies", "ip netns exec $HOST sysctl -qw net.ipv4.conf.lo.disable_policy=1"],
];

encryptedTest("what hands can do is put right, and nothing leaves in the clear", 2, async (lab) => {
  await startBank(lab);
  const wire = await Wire.tap(lab);
  const sender = new Sender(lab, "web", "10.64.0.4");
  for (const [name, script] of DAMAGES) {
    await run(`HOST=${lab.host(1)}; BOX=${lab.sandbox(1, "bank")}; ${script}`);
    await until(`repaired: ${name}`, async () => {
      await lab.reconciler(1).settled();
      return (await lab.reconciler(1).plan()).length === 0;
    });
    await until(`reached after: ${name}`, () => lab.reaches("web", "10.64.0.4"));
    assert.deepEqual(lab.reconciler(1).result.problems, [], name);
  }
  assert.ok((await sender.stop()).sent > 10);
  assert.deepEqual(await wire.close(), []);
  assert.equal(lab.ring(1).recorded.length, 2, "no key twice");
});

encryptedTest(
  "the kernel's switches off IPsec close the network, and open it again",
  2,
  async (lab) => {
    await startBank(lab);
    const wire = await Wire.tap(lab);
    const sender = new Sender(lab, "web", "10.64.0.4");
    const switches = [
      "all.disable_xfrm",
      "all.disable_policy",
      "under0.disable_xfrm",
      "under0.disable_policy",
    ];
    for (const name of switches) {
      const set = (value: number) =>
        lab.in(lab.host(1), `sysctl -qw net.ipv4.conf.${name}=${value}`);
      await set(1);
      await until(`refused: ${name}`, async () => {
        const [problem] = lab.reconciler(1).result.problems;
        const link = await lab.in(lab.sandbox(1, "bank"), "ip link show vxlan0");
        return problem !== undefined && problem.message.includes(name.replace(".", "/")) &&
          !link.includes("master");
      });
      assert.deepEqual(statusOf(lab, 1)?.installed, []);
      await set(0);
      await until(`allowed: ${name}`, () => lab.reaches("web", "10.64.0.4"));
    }
    await sender.stop();
    assert.deepEqual(await wire.close(), []);
  },
);

encryptedTest("SAs that are gone close their pair until there is a fresh key", 2, async (lab) => {
  await startBank(lab);
  const wire = await Wire.tap(lab);
  const sender = new Sender(lab, "web", "10.64.0.4");
  await run(`ip -n ${lab.host(1)} xfrm state flush`);
  await until("it is told", async () => {
    await lab.reconciler(1).settled();
    return statusOf(lab, 1)?.wantsAfter === 1;
  });
  assert.equal(statusOf(lab, 1)?.oldestSending, null);
  assert.ok(!await lab.reaches("web", "10.64.0.4"));
  const policies = await lab.in(lab.host(1), "ip xfrm policy");
  assert.doesNotMatch(policies, /tmpl/);
  assert.deepEqual(await lab.reconciler(1).plan(), []);
  // Another agent does not know more than the journal tells.
  await lab.reconciler(1).close();
  await lab.start(1);
  await lab.apply([1], [BANK]);
  assert.equal(statusOf(lab, 1)?.wantsAfter, 1);
  await lab.apply([1, 2], [bank({ epochs: [2, 1] })]);
  await until("reached with the new epoch", () => lab.reaches("web", "10.64.0.4"));
  assert.equal(statusOf(lab, 1)?.wantsAfter, null);
  await sender.stop();
  assert.deepEqual(await wire.close(), []);
});

encryptedTest("rotation under ping loses nothing", 2, async (lab) => {
  await startBank(lab);
  const wire = await Wire.tap(lab);
  const senders = [new Sender(lab, "web", "10.64.0.4"), new Sender(lab, "store", "10.64.0.2")];
  for (let epoch = 2; epoch < 12; epoch++) {
    const old = new Map([[1, [epoch - 1]], [2, [epoch - 1]]]);
    await lab.apply([1, 2], [bank({ epochs: [epoch, epoch - 1], receives: old })]);
    assert.equal(statusOf(lab, 1)?.oldestSending, epoch - 1);
    assert.deepEqual(statusOf(lab, 1)?.installed, [epoch - 1, epoch]);
    // One of the two hears of it first.
    await lab.apply([1], [bank({ epochs: [epoch, epoch - 1] })]);
    assert.equal(statusOf(lab, 1)?.oldestSending, epoch);
    await lab.apply([2, 1], [bank({ epochs: [epoch, epoch - 1] })]);
    await lab.apply([1, 2], [bank({ epochs: [epoch] })]);
    assert.deepEqual(statusOf(lab, 2)?.installed, [epoch]);
  }
  const sas = await lab.in(lab.host(1), "ip xfrm state");
  assert.equal(sas.match(/proto esp/g)?.length, 2);
  for (const sender of senders) {
    const { sent, lost } = await sender.stop();
    assert.ok(sent > 10 && lost <= 1, `${lost} of ${sent} lost`);
  }
  assert.deepEqual(await wire.close(), []);
});

encryptedTest("a restarted agent adopts all, and loses nothing", 2, async (lab) => {
  await startBank(lab);
  const sender = new Sender(lab, "web", "10.64.0.4");
  const picture = async () => {
    const all = await run(`ip -n ${lab.host(1)} xfrm state; ip -n ${lab.host(1)} xfrm policy`);
    return all.split("\n").filter((line) => /src|spi|aead|dir/.test(line)).join("\n");
  };
  const before = await picture();
  for (let restart = 0; restart < 3; restart++) {
    await lab.reconciler(1).close();
    const successor = lab.start(1);
    successor.setDesired(lab.desired(1, [BANK]));
    const { problems } = await successor.settled();
    assert.deepEqual(problems, []);
    assert.notEqual(successor.stats.lastNoopMs, null);
    assert.deepEqual(await successor.plan(), []);
    assert.deepEqual(statusOf(lab, 1)?.installed, [1]);
  }
  const { sent, lost } = await sender.stop();
  assert.ok(sent > 10 && lost <= 1, `${lost} of ${sent} lost`);
  assert.equal(await picture(), before);
  assert.equal(lab.ring(1).recorded.length, 2);
});
