import assert from "node:assert/strict";
import type { CheckedPeer, CheckReport, ProbeOutcome } from "../state/mod.ts";
import { type CheckedEnd, diagnose } from "./diagnose.ts";

const [A, B] = ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbb"];
const PORT = 20_005;

interface Seen {
  readonly peer?: Partial<CheckedPeer>;
  readonly refused?: readonly string[];
  readonly problem?: string;
}

/** All well, but for what is said. */
function end(nodeId: string, other: string, seen: Seen | "silent"): CheckedEnd {
  const hostname = nodeId === A ? "host1" : "host2";
  if (seen === "silent") return { nodeId, hostname, report: null, peers: new Map() };
  const peer: CheckedPeer = {
    nodeId: other,
    heard: ["small", "full"],
    answered: ["small", "full"],
    outPackets: 4,
    inPackets: 4,
    integrityFailures: 0,
    replays: 0,
    outEpochs: [3],
    inEpochs: [2, 3],
    routeMtuBytes: 1500,
    mtuLearned: false,
    ...seen.peer,
  };
  const report: CheckReport = {
    v: 1,
    networkId: A,
    checkId: A,
    problem: seen.problem ?? null,
    neededMtuBytes: 1500,
    refused: (seen.refused ?? []).map((name) => ({
      name,
      networkName: null,
      packets: 4,
      meaning: `what ${name} means`,
    })),
    peers: seen.problem === undefined ? [peer] : [],
  };
  return { nodeId, hostname, report, peers: new Map(report.peers.map((one) => [other, one])) };
}

const LOST: Partial<CheckedPeer> = { answered: [] };
const DEAF: Partial<CheckedPeer> = { heard: [], inPackets: 0 };

/** What each end has seen, and what that means from host1 to host2. */
const CASES: readonly {
  readonly what: string;
  readonly from?: Seen | "silent";
  readonly to?: Seen | "silent";
  readonly small: ProbeOutcome;
  readonly full: ProbeOutcome;
  readonly says?: RegExp;
}[] = [
  { what: "all comes through", small: "ok", full: "ok" },
  {
    what: "all comes through, and no answer comes back",
    from: { peer: LOST },
    small: "ok",
    full: "ok",
  },
  { what: "the answers came, and the other end is silent", to: "silent", small: "ok", full: "ok" },
  { what: "the other end heard, and this one is silent", from: "silent", small: "ok", full: "ok" },
  {
    what: "nothing came, and the other end is silent",
    from: { peer: LOST },
    to: "silent",
    small: "not-checked",
    full: "not-checked",
    says: /^host2 did not take part/,
  },
  {
    what: "nothing came, and this end has a problem",
    from: { problem: "shop is not up on this host" },
    to: { peer: DEAF },
    small: "not-checked",
    full: "not-checked",
    says: /^host1: shop is not up on this host$/,
  },
  {
    what: "ESP leaves and does not arrive",
    from: { peer: LOST },
    to: { peer: DEAF },
    small: "esp",
    full: "esp",
    says: /^ESP leaves host1 \(4 packets\) and does not reach IPsec on host2.*firewall of host2/,
  },
  {
    what: "no route",
    from: { peer: { ...LOST, outPackets: 0, outEpochs: [], routeMtuBytes: null } },
    to: { peer: DEAF },
    small: "esp",
    full: "esp",
    says: /^host1 has no route to host2/,
  },
  {
    what: "what was decrypted does not reach VXLAN",
    from: { peer: LOST },
    to: { peer: { ...DEAF, inPackets: 4 } },
    small: "firewall",
    full: "firewall",
    says: /firewall of host2 drops UDP port 20005/,
  },
  {
    what: "what was decrypted is refused by a policy",
    from: { peer: LOST },
    to: { peer: { ...DEAF, inPackets: 4 }, refused: ["XfrmInPolBlock", "XfrmOutNoStates"] },
    small: "esp",
    full: "esp",
    says: /^host2 refuses what comes: what XfrmInPolBlock means \(XfrmInPolBlock\)$/,
  },
  {
    what: "nothing comes to be encrypted",
    from: { peer: { ...LOST, outPackets: 0, outEpochs: [] } },
    to: { peer: DEAF },
    small: "firewall",
    full: "firewall",
    says: /firewall of host1 drops UDP port 20005 on its way out/,
  },
  {
    what: "no SA to send with",
    from: { peer: { ...LOST, outPackets: 0, outEpochs: [] }, refused: ["XfrmOutNoStates"] },
    to: { peer: DEAF },
    small: "key",
    full: "key",
    says: /^host1 has no key with which it may send to host2/,
  },
  {
    what: "the pair is closed",
    from: { peer: { ...LOST, outPackets: 0, outEpochs: [] }, refused: ["XfrmOutPolBlock"] },
    to: { peer: DEAF },
    small: "key",
    full: "key",
  },
  {
    what: "sending fails otherwise",
    from: { peer: { ...LOST, outPackets: 0, outEpochs: [] }, refused: ["XfrmOutError"] },
    to: { peer: DEAF },
    small: "esp",
    full: "esp",
    says: /^host1 sends nothing: what XfrmOutError means/,
  },
  {
    what: "another key",
    from: { peer: LOST },
    to: { peer: { ...DEAF, integrityFailures: 4 }, refused: ["XfrmInStateProtoError"] },
    small: "key",
    full: "key",
    says: /is not intact there \(4 packets\): the two have different keys/,
  },
  {
    what: "no key of that epoch",
    from: { peer: LOST },
    to: { peer: { ...DEAF, inEpochs: [2] }, refused: ["XfrmInNoStates"] },
    small: "key",
    full: "key",
    says: /^host2 has no key for what host1 sends \(epoch 3\)/,
  },
  {
    what: "sequence numbers went back",
    from: { peer: LOST },
    to: { peer: { ...DEAF, replays: 4 } },
    small: "esp",
    full: "esp",
    says: /as a replay/,
  },
  {
    what: "large ones get lost",
    from: { peer: { answered: ["small"] } },
    to: { peer: { heard: ["small"] } },
    small: "ok",
    full: "mtu",
    says: /large ones do not/,
  },
  {
    what: "the route carries less, though fragments pass",
    from: { peer: { routeMtuBytes: 1400 } },
    small: "ok",
    full: "mtu",
    says:
      /^host1's route to host2 carries 1400 bytes, and .* need 1500: see `ip route get` on host1/,
  },
  {
    what: "an ICMP message says that the way carries less",
    from: { peer: { routeMtuBytes: 600, mtuLearned: true } },
    small: "ok",
    full: "mtu",
    says: /learned from an ICMP message, which anybody on the way can forge/,
  },
  {
    what: "the other end's route is no concern of this direction",
    to: { peer: { routeMtuBytes: 1400 } },
    small: "ok",
    full: "ok",
  },
];

for (const { what, from = {}, to = {}, small, full, says } of CASES) {
  Deno.test(`a pair's probes: ${what}`, () => {
    const verdict = diagnose(end(A, B, from), end(B, A, to), PORT);
    assert.deepEqual([verdict.from, verdict.to], [A, B]);
    assert.deepEqual([verdict.small.outcome, verdict.full.outcome], [small, full]);
    for (const { outcome, reason } of [verdict.small, verdict.full]) {
      assert.equal(reason === null, outcome === "ok");
    }
    if (says !== undefined) assert.match(String(verdict.full.reason), says);
  });
}
