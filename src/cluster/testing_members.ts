// Hosts as the leader sees them: what they report of their SAs, and nothing behind it.
import { encodeBase64url, type Id } from "../base/mod.ts";
import type { NetworkKeys, NodeReport, ReportedEpochs, ReportReply } from "../state/mod.ts";
import { HandClock } from "./testing_clock.ts";
import { reportOf, type TestMember, TestPlane, testRandom } from "./testing_plane.ts";

/** A member that can encrypt. */
export class KeyMember {
  readonly id: Id;
  readonly member: TestMember;
  readonly #cluster: TestPlane;
  publicKey = encodeBase64url(testRandom.bytes(32));
  bootId = "boot-1";
  number = 0;

  private constructor(cluster: TestPlane, member: TestMember) {
    this.#cluster = cluster;
    this.member = member;
    this.id = member.id;
  }

  static async join(cluster: TestPlane, hostname: string): Promise<KeyMember> {
    return new KeyMember(cluster, await cluster.member(hostname, "worker", { encryption: "ok" }));
  }

  /** A new kernel, and so a new key. */
  reboot(): void {
    this.publicKey = encodeBase64url(testRandom.bytes(32));
    this.bootId = `${this.bootId}+1`;
  }

  /** Reports what it has of networks; null: it has not looked yet. */
  report(
    epochs: readonly ReportedEpochs[] | null = [],
    more: Partial<NodeReport> = {},
  ): Promise<ReportReply> {
    const { publicKey, bootId } = this;
    const { incarnation } = this.#cluster.plane.state;
    return this.#cluster.plane.report(
      this.id,
      reportOf(this.member.facts, {
        number: ++this.number,
        bootKey: { publicKey, bootId, incarnation },
        epochs,
        ...more,
      }),
    );
  }
}

/** What it has of one network: `installed` epochs, sending with the last of them. */
export function told(
  networkId: Id,
  installed: readonly number[],
  more: Partial<ReportedEpochs> = {},
): ReportedEpochs {
  const oldestSending = installed.at(-1) ?? null;
  return { networkId, installed, upTo: 1_000_000, oldestSending, wantsAfter: null, ...more };
}

/** The epochs of a network that live, newest first. */
export function liveEpochs(cluster: TestPlane, networkId: Id): number[] {
  return keysOf(cluster, networkId).epochs.map(({ epoch }) => epoch);
}

/** A network's keys. */
export function keysOf(cluster: TestPlane, networkId: Id): NetworkKeys {
  const keys = cluster.plane.state.networks.get(networkId)?.keys ?? null;
  if (keys === null) throw new Error("it is encrypted");
  return keys;
}

/** An encrypted network with an endpoint on each of two hosts. */
export async function pairOnBank() {
  const clock = new HandClock();
  const cluster = await TestPlane.found({ clock });
  const network = await cluster.encrypted("bank");
  const [one, two] = [
    await KeyMember.join(cluster, "host1"),
    await KeyMember.join(cluster, "host2"),
  ];
  await cluster.endpoint(network.id, one.id);
  const last = await cluster.endpoint(network.id, two.id);
  return { clock, cluster, id: network.id, one, two, last };
}
