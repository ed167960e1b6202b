import assert from "node:assert/strict";
import type { Attachment } from "../../src/api/mod.ts";
import { type ClusterHost, Workload } from "./cluster.ts";
import { acquaint, at, type EncryptedScene } from "./encrypted_scene.ts";
import { MARKER } from "./frames.ts";
import { step } from "./killer.ts";
import { UdpSocket } from "./sockets.ts";
import { Talk } from "./talk.ts";

const NETWORK = "stage";
const NAME = "stepper";
const OFFERED = 30;
/** Messages that the way up, and that down, surely takes. */
const MESSAGES = 5;

/**
 * On the way of an encrypted network up and down on a host, while packets are offered both ways. That each
 * state between two messages is mended is the integration tests' to show, where no process has to start.
 */
export async function steps(t: Deno.TestContext, scene: EncryptedScene): Promise<void> {
  const [one, two] = [at(scene.hosts, 0), at(scene.hosts, 1)];
  const { workloads: [far] } = await scene.add(NETWORK, [one]);
  assert(far !== undefined);
  await two.lab.exec("ip", "netns", "add", NAME);
  let near = await attached(two);
  await acquaint([far, near]);
  const offer = offering(two, far, near);
  const counts = { up: 0, down: 0 };
  const from = await scene.watch.mark();
  const clear = async () => assert.deepEqual((await scene.watch.look(from)).leaks, []);
  try {
    await t.step("an agent stands still after each message: nothing in the clear", async () => {
      const look = () => {
        offer.say();
        return "go on" as const;
      };
      counts.down = await step(two, () => near.detach(), look);
      counts.up = await step(two, () => attach(two, near.ip), look);
      console.log(`${counts.down} messages on the way down, ${counts.up} up`);
      assert(counts.up >= MESSAGES && counts.down >= MESSAGES, "it was stopped often");
      near = await attached(two, near.ip);
      using talk = new Talk(far, near);
      await talk.getsThrough();
      await clear();
    });
    for (const part of [0.2, 0.5]) {
      const killed = async (action: () => Promise<unknown>, count: number) => {
        const last = Math.max(1, Math.round(count * part));
        const pid = two.agentPid();
        const messages = await step(two, action, (message) => {
          offer.say();
          return message < last ? "go on" : "kill";
        });
        assert(messages > 0, "it was stopped on its way");
        // How many messages it takes depends on what it has to tell others: it may be at its end already.
        if (two.processRuns(pid)) await two.killAgent();
        offer.say();
        await two.restartAgent();
      };
      const when = `${part * 100} % of its messages`;
      await t.step(`it is killed after ${when}: nothing in the clear, then repaired`, async () => {
        await killed(() => near.detach(), counts.down);
        for (const { id } of await attachments(two)) {
          if (id === near.attachment.id) await two.socket.delete(`/v1/attachments/${id}`);
        }
        offer.say();
        await killed(() => attach(two, near.ip), counts.up);
        near = await attached(two, near.ip);
        using talk = new Talk(far, near);
        await talk.getsThrough();
        await scene.repaired(two);
        await clear();
      });
    }
    assert(offer.count() > 1000, "packets were offered all the time");
  } finally {
    offer.end();
  }
  await near.detach();
  await far.detach();
  await scene.manager.socket.delete(`/v1/networks/${NETWORK}`);
}

async function attachments(host: ClusterHost): Promise<readonly Attachment[]> {
  return (await host.socket.get<{ readonly items: readonly Attachment[] }>("/v1/attachments"))
    .items;
}

async function attach(host: ClusterHost, ip?: string): Promise<Attachment> {
  return await host.socket.post<Attachment>("/v1/attachments", {
    netns: `/run/netns/${NAME}`,
    networks: [{ network: NETWORK, ...(ip === undefined ? {} : { ip }) }],
  });
}

/** The workload, attached anew unless the agent has kept what it was told. */
async function attached(host: ClusterHost, ip?: string): Promise<Workload> {
  const found = (await attachments(host)).find(({ netns }) => netns?.endsWith(`/${NAME}`));
  return new Workload(host, NAME, found ?? await attach(host, ip));
}

/** Packets both ways, all the time and on demand, from sockets that were there before the network. */
function offering(host: ClusterHost, far: Workload, near: Workload) {
  const text = new TextEncoder().encode(MARKER.repeat(4));
  const mouths = [
    { socket: UdpSocket.open(host.lab.path(`/run/netns/${NAME}`)), ip: far.ip },
    { socket: UdpSocket.open(far.netns), ip: near.ip },
  ];
  let count = 0;
  const say = (times = OFFERED) => {
    for (const { socket, ip } of mouths) {
      for (let i = 0; i < times; i++) if (socket.send(text, ip, 5001)) count++;
    }
  };
  const timer = setInterval(() => say(1), 10);
  return {
    say,
    count: () => count,
    end: () => {
      clearInterval(timer);
      for (const { socket } of mouths) socket.close();
    },
  };
}
