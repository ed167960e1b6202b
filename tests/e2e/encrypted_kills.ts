import assert from "node:assert/strict";
import { at, type EncryptedNetwork, type EncryptedScene } from "./encrypted_scene.ts";
import { Flow } from "./flow.ts";
import { readKeyedSas } from "./key_ledger.ts";
import { Talk } from "./talk.ts";
import { pause, waitFor } from "./wait.ts";

/** Of all agents together. In the lab's guest each takes five seconds to start: `KILLS=50` has it do more. */
const KILLS = Number(Deno.env.get("KILLS") ?? 8);
/** One round of so many comes when the agents are at rest, the others at moments all over their start. */
const REST = 5;
/** After `/run` is lost there has to be traffic again so soon. */
const BACK_MS = 5000;

/** The agents of two hosts are killed. */
export async function kills(
  t: Deno.TestContext,
  scene: EncryptedScene,
  shop: EncryptedNetwork,
): Promise<void> {
  await t.step(
    `${KILLS} times, always all of them, and no packet is lost, no key comes twice, nothing is stale`,
    () => killAll(scene, shop, KILLS / scene.hosts.length),
  );
  await t.step(
    "their /run is wiped as well, and there is traffic with other keys within 5 s",
    () => wipeRun(scene, shop),
  );
}

async function killAll(
  scene: EncryptedScene,
  { workloads }: EncryptedNetwork,
  rounds: number,
): Promise<void> {
  const { hosts, ledger } = scene;
  using flow = await Flow.start(workloads);
  const keys = ledger.check();
  await Promise.all(hosts.map((host) => host.killAgent()));
  let workMs = 0;
  for (let round = 1; round < rounds; round++) {
    const agents = hosts.map((host) => host.startAgent());
    await waitFor("the agents to be at work", () => hosts.every((host) => hasLock(host)));
    const beganMs = performance.now();
    if (round % REST === 1) {
      await Promise.all(hosts.map((host) => host.ready()));
      workMs = performance.now() - beganMs;
    } else await pause(workMs * (round % REST) / REST);
    assert.equal(ledger.check(), keys, "the same SAs are there all the time");
    for (const agent of agents) await agent.kill("SIGKILL");
    await Promise.all(agents.map(({ status }) => status));
  }
  await Promise.all(hosts.map((host) => host.restartAgent()));
  console.log(`${await flow.lostNothing()} packets over ${rounds} rounds`);
  for (const host of hosts) await scene.repaired(host);
  await scene.rotate("shop");
  await scene.settled("shop");
  await waitFor("nothing of the old epoch to be left", () => {
    return hosts.every(({ lab }) => readKeyedSas(lab.netns).length === 2);
  });
}

/** Whether the agent has written its number, which is that of a process. */
function hasLock(host: EncryptedScene["hosts"][number]): boolean {
  return host.processRuns(host.agentPid());
}

async function wipeRun(scene: EncryptedScene, { workloads }: EncryptedNetwork): Promise<void> {
  const { hosts, ledger, watch } = scene;
  const [near, far] = [at(workloads, 0), at(workloads, 1)];
  using talk = new Talk(near, far);
  for (const wiped of [[at(hosts, 1)], hosts]) {
    const from = await watch.mark();
    const keys = ledger.check();
    await Promise.all(wiped.map((host) => host.killAgent()));
    const began = performance.now();
    for (const host of wiped) {
      // A lost /run is one without the agent's files; its namespaces are the kernel's.
      await host.sh("rm -rf /run/agent");
      talk.say(20);
      host.startAgent();
    }
    await waitFor("the agents to be at work", () => wiped.every(hasLock));
    const atWork = performance.now();
    await waitFor("there to be other keys", () => ledger.check() > keys);
    await talk.getsThrough();
    const through = performance.now();
    console.log(
      `/run of ${wiped.length} wiped: traffic again ${ms(through - atWork)} after the start ` +
        `of the program, which took ${ms(atWork - began)}`,
    );
    // In the lab's guest a program takes as long to start as all that it does then, and of two that start
    // at once on its one CPU each takes twice as long: that says nothing of the agent.
    if (wiped.length === 1) assert(through - atWork < BACK_MS);
    await Promise.all(wiped.map((host) => host.ready()));
    await scene.settled("shop");
    assert.deepEqual((await watch.look(from)).leaks, []);
  }
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
