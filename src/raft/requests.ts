import type { Core } from "./core.ts";
import type { Leadership } from "./leadership.ts";
import { changeMembership, encodeMembership } from "./membership.ts";
import {
  entryBytes,
  type MemberId,
  type MembershipChange,
  type Proposed,
  type ReadRequested,
  type Refusal,
  type RefusalCode,
} from "./types.ts";

/** Takes an entry into the log. */
export function propose(core: Core, data: Uint8Array): Proposed {
  const leading = requireLeader(core);
  if ("refusal" in leading) return { ok: false, ...leading };
  const { leadership } = leading;
  const { maxEntryBytes, maxUncommittedBytes } = core.limits;
  if (data.length > maxEntryBytes) {
    return refused("too-large", `${data.length} bytes are more than ${maxEntryBytes}`);
  }
  // One entry is let in whatever the limit is: otherwise a large one would wait for ever.
  if (leadership.uncommittedBytes >= maxUncommittedBytes) {
    const waiting = leadership.uncommittedBytes;
    return refused("overloaded", `${waiting} bytes wait to be committed: try later`);
  }
  leadership.uncommittedBytes += entryBytes({ data });
  return { ok: true, position: core.append("data", data) };
}

/** Takes a membership into the log, where it is in force at once (thesis, 4.1). */
export function proposeChange(core: Core, change: MembershipChange): Proposed {
  const leading = requireLeader(core);
  if ("refusal" in leading) return { ok: false, ...leading };
  const { leadership } = leading;
  const { history, log } = core;
  if (!leadership.termHasBegun) {
    // Otherwise two leaders could each have changed the membership by one member, of which the
    // other knows nothing, and have majorities without a common member (the error in the thesis'
    // first print, published in 2015).
    return refused("term-not-begun", "This leader does not know yet what is committed");
  }
  if (history.currentIndex > log.commit) {
    return refused("change-pending", "The change before this one is not committed yet");
  }
  const changed = changeMembership(history.current, change);
  if ("refusal" in changed) return { ok: false, ...changed };
  if (change.kind === "promote") {
    const peer = leadership.peers.get(change.id);
    if (peer === undefined || !leadership.isCaughtUp(peer)) {
      return refused("not-caught-up", `${change.id} is too far behind to vote: try later`);
    }
  }
  if (!leadership.hearsMajorityOf(changed.next)) {
    return refused(
      "quorum-at-risk",
      "Of the voters that would be left, too few are heard: bring back or remove one of those " +
        "that are silent first",
    );
  }
  const position = core.append("membership", encodeMembership(changed.next));
  leadership.trackMembers();
  return { ok: true, position };
}

/** Begins to hand the leadership over. */
export function transferLeadership(core: Core, to: MemberId): Refusal | null {
  const leading = requireLeader(core);
  if ("refusal" in leading) return leading.refusal;
  const { voters } = core.history.current;
  if (!voters.includes(to)) return { code: "not-a-member", reason: `${to} is no voter` };
  if (to !== core.id) leading.leadership.transfer = { to, ticks: 0, asked: false };
  return null;
}

/** Takes a read. It is no change, so a transfer does not keep it waiting. */
export function requestRead(core: Core, id: number): ReadRequested {
  const { role } = core;
  if (role.kind !== "leader") return { ok: false, refusal: notLeader(core) };
  return role.reads.add(id)
    ? { ok: true, id }
    : refused("overloaded", "Too many reads wait: try later");
}

function requireLeader(
  core: Core,
): { readonly leadership: Leadership } | { readonly refusal: Refusal } {
  const { role } = core;
  if (role.kind !== "leader") return { refusal: notLeader(core) };
  if (role.transfer !== null) {
    const reason = `The leadership is going to ${role.transfer.to}: ask again in a moment`;
    return { refusal: { code: "transferring", reason } };
  }
  return { leadership: role };
}

function notLeader({ leader }: Core): Refusal {
  return { code: "not-leader", reason: `The leader is ${leader ?? "not known at the moment"}` };
}

function refused(
  code: RefusalCode,
  reason: string,
): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { code, reason } };
}
