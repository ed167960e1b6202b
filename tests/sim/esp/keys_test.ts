import assert from "node:assert/strict";
import { Prng } from "./prng.ts";
import { Cluster, type Size } from "./cluster.ts";
import { Installations, Violation } from "./installations.ts";
import { RULES, type Rules } from "./rules.ts";

const SEED = 20261123;

/** Rotations, with all that can go wrong between them. */
function live(cluster: Cluster, prng: Prng, size: Size, steps: number): void {
  for (let step = 0; step < steps; step++) {
    const hosts = [...cluster.hosts.values()];
    const host = prng.pick(hosts);
    const networks = [...cluster.networks.values()];
    const network = prng.pick(networks);
    switch (prng.below(13)) {
      case 0:
        host.reboot();
        break;
      case 1:
        host.restartAgent();
        break;
      case 2:
        if (prng.chance(0.5)) host.wipeRun();
        else host.loseJournal();
        break;
      case 3:
        host.flush();
        break;
      case 4:
        host.takeSnapshot();
        break;
      case 5:
        for (const one of hosts) if (prng.chance(5 / hosts.length)) one.restore();
        break;
      case 6:
        if (hosts.length > 3) cluster.removeHost(host);
        cluster.addHost(size.hosts + 2);
        break;
      case 7:
        if (networks.length > 1) cluster.deleteNetwork(network);
        cluster.addNetwork(size.membersPerNetwork, size.networks + 2);
        break;
      case 8:
        cluster.toggleMember(network, host);
        break;
      case 9:
        host.connected = !host.connected;
        break;
      case 10:
        if (step % 7 === 0) cluster.restoreCluster();
        break;
      case 11:
        // More epochs than there are tags, while some members are cut.
        for (let count = 0; count < 8; count++) {
          if (cluster.networks.has(network.id)) cluster.rotate(network);
        }
        for (const one of hosts) if (prng.chance(0.5)) one.connected = true;
        break;
      case 12: {
        // A machine that was copied: the one and the other in turn.
        host.connected = false;
        cluster.rotate(network);
        host.connected = true;
        host.takeSnapshot();
        cluster.visit(network, host);
        host.restore();
        host.restartAgent();
        cluster.actUnheard(network, host);
        cluster.visit(network, host);
        break;
      }
    }
    if (cluster.networks.has(network.id)) cluster.rotate(network);
  }
}

function run(size: Size, steps: number, seed: number, rules: Rules, sampleSize: number) {
  const prng = new Prng(seed);
  const installations = new Installations(sampleSize);
  const cluster = new Cluster(prng, size, rules, installations);
  live(cluster, prng, size, steps);
  return { cluster, installations };
}

Deno.test("in a large cluster that lives long no key is installed twice and no SPI collides", () => {
  const size = { hosts: 1000, networks: 100, membersPerNetwork: 20 };
  const { cluster, installations } = run(size, 60, SEED, RULES, 100_000);
  assert.ok(cluster.counts.rotations > 300 && cluster.counts.bootKeys > 1000);
  const { derived, atBothEnds } = installations.deriveKeys();
  assert.equal(derived, 100_000);
  assert.ok(atBothEnds > 40_000);
});

const SMALL = { hosts: 5, networks: 3, membersPerNetwork: 4 };

Deno.test("small clusters, in which everything meets, hold too", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { cluster } = run(SMALL, 150, seed, RULES, 0);
    cluster.assertConverges();
    const { counts } = cluster;
    // Everything that is checked has happened.
    for (const [what, count] of Object.entries(counts)) assert.ok(count > 0, what);
  }
});

/** Each a mistake that is easily made. */
const PLANTED: Readonly<Record<string, Partial<Rules>>> = {
  "the journal is not asked": {
    decideSa: (present) => present === "absent" ? "install" : "adopt",
  },
  "a boot key is kept without its journal": {
    decideBootKey: (facts) => RULES.decideBootKey({ ...facts, journal: "intact" }),
  },
  "a copied machine is not noticed": {
    decideBootKey: (facts) => RULES.decideBootKey({ ...facts, seenBefore: null }),
  },
  "a copy is noticed only when it is more than one report behind": {
    decideBootKey: (facts) =>
      RULES.decideBootKey({ ...facts, reportNumber: facts.reportNumber + 1 }),
  },
  "a process installs before the managers have answered it": { mayInstall: () => true },
  "records are written after the installation": { record: "after" },
  "an epoch begins while its tag is in use": {
    nextEpoch: (_live, _members, last) => ({ kind: "open", epoch: last + 1 }),
  },
  "six epochs are the only limit": {
    nextEpoch: (live, _members, last) => RULES.nextEpoch(live, [], last),
  },
  "slots and indexes are used again at once": { reuse: "at-once" },
};

for (const [name, change] of Object.entries(PLANTED)) {
  Deno.test(`planted: ${name}, and it is found`, () => {
    assert.throws(() => {
      for (let seed = 1; seed <= 20; seed++) run(SMALL, 150, seed, { ...RULES, ...change }, 0);
    }, Violation);
  });
}
