import type { Status } from "../raft/mod.ts";
import type { LeaderHint } from "./errors.ts";
import type { Timing } from "./timing.ts";
import type { MemberStatus, StoreStatus } from "./port.ts";

/** What the core says, in the caller's terms. */
export function statusOf(
  status: Status,
  options: {
    readonly leader: LeaderHint | null;
    readonly snapshotIndex: number;
    readonly timing: Timing;
  },
): StoreStatus {
  const { leader, snapshotIndex, timing: { tickMs, electionTicks } } = options;
  const { id, role, term, last, commit, applied, membership: { voters, learners } } = status;
  const members = status.peers.map(({ silentTicks, ...peer }): MemberStatus => ({
    ...peer,
    lag: Math.max(0, last.index - peer.match),
    silentMs: silentTicks * tickMs,
    isHeard: silentTicks < electionTicks,
  }));
  const silent = status.peers.filter((peer) => peer.voter && peer.silentTicks >= electionTicks);
  const majority = Math.floor(voters.length / 2) + 1;
  return {
    id,
    role,
    term,
    leader,
    lastIndex: last.index,
    commitIndex: commit,
    appliedIndex: applied,
    snapshotIndex,
    voters,
    learners,
    members,
    mayLose: role === "leader" ? Math.max(0, voters.length - silent.length - majority) : null,
  };
}
