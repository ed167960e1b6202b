import type { Id } from "../base/mod.ts";
import type {
  CheckedPeer,
  CheckReport,
  DirectionVerdict,
  ProbeOutcome,
  ProbeSize,
  ProbeVerdict,
} from "../state/mod.ts";

/** One host in a check. */
export interface CheckedEnd {
  readonly nodeId: Id;
  readonly hostname: string;
  /** Null: it has not told what it found. */
  readonly report: Omit<CheckReport, "peers"> | null;
  readonly peers: ReadonlyMap<Id, CheckedPeer>;
}

const OK: ProbeVerdict = { outcome: "ok", reason: null };

/** What a host counts when a packet finds no key to be sent with, or no policy that lets it out. */
const NO_KEY = ["XfrmOutNoStates", "XfrmOutPolBlock", "XfrmOutTmplMismatch"];

/**
 * What became of the frames that one host sent to another, and what is to blame where they did not come
 * through, by what both have counted. Pure.
 *
 * @param port UDP port of the network's VXLAN, inside ESP
 */
export function diagnose(from: CheckedEnd, to: CheckedEnd, port: number): DirectionVerdict {
  const ends = { from, to, port };
  const small = verdictOf(ends, "small");
  const full = verdictOf(ends, "full");
  return { from: from.nodeId, to: to.nodeId, small, full };
}

interface Ends {
  readonly from: CheckedEnd;
  readonly to: CheckedEnd;
  readonly port: number;
}

function verdictOf(ends: Ends, size: ProbeSize): ProbeVerdict {
  const { from, to } = ends;
  const sender = from.peers.get(to.nodeId);
  const receiver = to.peers.get(from.nodeId);
  const arrived = (one: ProbeSize) =>
    sender?.answered.includes(one) === true || receiver?.heard.includes(one) === true;
  if (size === "full" && sender !== undefined) {
    // Fragments of ESP may get through; a workload's packet that must not be fragmented does not.
    const narrow = narrowRoute(ends, sender);
    if (narrow !== null) return blame("mtu", narrow);
  }
  if (arrived(size)) return OK;
  if (sender === undefined) return notChecked(from);
  if (receiver === undefined) return notChecked(to);
  if (size === "full" && arrived("small")) {
    return blame(
      "mtu",
      `small packets from ${from.hostname} reach ${to.hostname}, large ones do not: something between ` +
        "the two carries less than it says, or drops fragments: find it, or give the network a smaller " +
        "MTU (agent network create --mtu)",
    );
  }
  return whyNothing(ends, sender, receiver);
}

function narrowRoute({ from, to }: Ends, sender: CheckedPeer): string | null {
  const { routeMtuBytes, mtuLearned } = sender;
  const neededBytes = from.report?.neededMtuBytes ?? 0;
  if (routeMtuBytes === null || routeMtuBytes >= neededBytes) return null;
  const carries =
    `${from.hostname}'s route to ${to.hostname} carries ${routeMtuBytes} bytes, and full packets of the ` +
    `network need ${neededBytes}`;
  return mtuLearned
    ? `${carries}: it was learned from an ICMP message, which anybody on the way can forge; ` +
      "`ip route flush cache` forgets it. If it is learned again, something between the two carries less"
    : `${carries}: see \`ip route get\` on ${from.hostname}, and set the MTU of the route or the link, or ` +
      "give the network a smaller one";
}

function whyNothing(ends: Ends, sender: CheckedPeer, receiver: CheckedPeer): ProbeVerdict {
  const { from, to, port } = ends;
  const [near, far] = [from.hostname, to.hostname];
  if (receiver.integrityFailures > 0) {
    return blame(
      "key",
      `ESP from ${near} reaches ${far} and is not intact there (${receiver.integrityFailures} packets): ` +
        "the two have different keys, or it is changed on the way: agent network rotate gives them new keys",
    );
  }
  if (sender.outPackets === 0) return whyNotSent(ends, sender);
  if (!sender.outEpochs.some((epoch) => receiver.inEpochs.includes(epoch))) {
    return blame(
      "key",
      `${far} has no key for what ${near} sends (epoch ${sender.outEpochs.join(", ")}): ` +
        "agent network rotate gives them new keys",
    );
  }
  if (receiver.replays > 0) {
    return blame(
      "esp",
      `ESP from ${near} is refused on ${far} as a replay (${receiver.replays} packets): its sequence ` +
        "numbers went back: agent network rotate gives them new keys",
    );
  }
  if (receiver.inPackets === 0) {
    return blame(
      "esp",
      `ESP leaves ${near} (${sender.outPackets} packets) and does not reach IPsec on ${far}: the firewall of ` +
        `${far}, or something between the two, drops IP protocol 50 (ESP): let it pass`,
    );
  }
  const refused = to.report?.refused.filter(({ name }) => name.startsWith("XfrmIn")) ?? [];
  if (refused.length > 0) return blame("esp", `${far} refuses what comes: ${wordsOf(refused)}`);
  return blame(
    "firewall",
    `ESP from ${near} is decrypted on ${far} (${receiver.inPackets} packets), and what is in it does not reach ` +
      `VXLAN: the firewall of ${far} drops UDP port ${port}: let it pass, it is never on the wire`,
  );
}

function whyNotSent({ from, to, port }: Ends, sender: CheckedPeer): ProbeVerdict {
  const [near, far] = [from.hostname, to.hostname];
  if (sender.routeMtuBytes === null) {
    return blame("esp", `${near} has no route to ${far}: see \`ip route get\` there`);
  }
  const refused = from.report?.refused.filter(({ name }) => name.startsWith("XfrmOut")) ?? [];
  const keyless = refused.filter(({ name }) => NO_KEY.includes(name));
  if (keyless.length > 0) {
    return blame(
      "key",
      `${near} has no key with which it may send to ${far} (${
        wordsOf(keyless)
      }): agent status there says ` +
        "what it waits for; agent network rotate gives them new keys",
    );
  }
  if (refused.length > 0) return blame("esp", `${near} sends nothing: ${wordsOf(refused)}`);
  return blame(
    "firewall",
    `nothing from ${near} to ${far} comes to be encrypted: the firewall of ${near} drops UDP port ${port} on ` +
      "its way out: let it pass, it leaves as ESP only",
  );
}

function wordsOf(refused: readonly { readonly name: string; readonly meaning: string }[]): string {
  return refused.map(({ name, meaning }) => `${meaning} (${name})`).join("; ");
}

function notChecked({ hostname, report }: CheckedEnd): ProbeVerdict {
  return {
    outcome: "not-checked",
    reason: report !== null && report.problem !== null
      ? `${hostname}: ${report.problem}`
      : `${hostname} did not take part: its agent does not run, or cannot be reached by the leader`,
  };
}

function blame(outcome: ProbeOutcome, reason: string): ProbeVerdict {
  return { outcome, reason };
}
