import type { Core } from "./core.ts";
import { campaignForTransfer } from "./election.ts";
import type { Append, Heartbeat, Message, SnapshotPart, TimeoutNow } from "./message.ts";
import type { Complaint } from "./types.ts";

/** AppendEntries (paper, figure 2). */
export function onAppend(core: Core, message: Append): Complaint | null {
  const complaint = hearLeader(core, message);
  if (complaint !== null) return complaint;
  const { log } = core;
  const { from, prev, entries } = message;
  if (prev.index < log.commit) {
    // Late or doubled. What is committed agrees with every leader of this or a later term.
    core.send(from, { kind: "append-accepted", term: core.term, match: log.commit });
    return null;
  }
  if (!log.matches(prev)) {
    const hint = log.lastNotAbove(prev.index, prev.term);
    core.send(from, { kind: "append-rejected", term: core.term, rejected: prev.index, hint });
    return null;
  }
  // Entries that are there already may be followed by newer ones: only a conflict drops anything.
  const conflict = entries.findIndex((entry) => !log.matches(entry));
  if (conflict >= 0) core.overwrite(entries.slice(conflict));
  const match = prev.index + entries.length;
  // Entries beyond `match` may still be of another leader: they do not count.
  log.commitTo(Math.max(log.commit, Math.min(message.commit, match)));
  core.send(from, { kind: "append-accepted", term: core.term, match });
  return null;
}

/** A heartbeat carries the commit index as far as this member has acknowledged the log. */
export function onHeartbeat(core: Core, message: Heartbeat): Complaint | null {
  const complaint = hearLeader(core, message);
  if (complaint !== null) return complaint;
  const { log } = core;
  if (message.match > log.last.index) {
    core.becomeDamaged(
      `This member has acknowledged entry ${message.match} to ${message.from} in term ` +
        `${core.term}, and its log ends at entry ${log.last.index}: its disk has lost data`,
    );
    return null;
  }
  log.commitTo(Math.max(log.commit, Math.min(message.commit, message.match)));
  core.send(message.from, { kind: "heartbeat-reply", term: core.term, round: message.round });
  return null;
}

/** InstallSnapshot (paper, figure 13), a piece of it. */
export function onSnapshotPart(core: Core, message: SnapshotPart): Complaint | null {
  const complaint = hearLeader(core, message);
  if (complaint !== null) return complaint;
  const { log } = core;
  const { from, meta, offset, data } = message;
  if (meta.index <= log.commit || log.matches(meta)) {
    // The log has all that the snapshot stands for, and perhaps more that must not be lost.
    log.commitTo(Math.max(log.commit, meta.index));
    core.incoming = null;
    core.send(from, { kind: "append-accepted", term: core.term, match: log.commit });
    return null;
  }
  // One at a time: the leader sends this piece again when the one before has been installed.
  if (log.received !== null) return null;
  const place = { term: meta.term, index: meta.index };
  let { incoming } = core;
  if (
    incoming === null || incoming.from !== from || incoming.term !== core.term ||
    incoming.place.index !== place.index || incoming.place.term !== place.term
  ) {
    incoming = core.incoming = { from, term: core.term, place, next: 0 };
  }
  if (offset === incoming.next) {
    core.chunks.push({ meta, offset, data });
    incoming.next += data.length;
    if (message.done) {
      core.restore(meta);
      core.send(from, { kind: "append-accepted", term: core.term, match: meta.index });
      return null;
    }
  }
  const progress = { snapshot: place, offset: incoming.next };
  core.send(from, { kind: "snapshot-progress", term: core.term, ...progress });
  return null;
}

/** The leader hands over to this member. */
export function onTimeoutNow(core: Core, message: TimeoutNow): void {
  if (core.leader === message.from && core.role.kind === "follower") campaignForTransfer(core);
}

/** A message of the leader of this term has come. */
function hearLeader(core: Core, message: Message): Complaint | null {
  if ((core.leader ?? message.from) !== message.from) {
    return {
      code: "impossible",
      reason: `${message.from} says that it leads term ${core.term}, and so does ${core.leader}`,
    };
  }
  if (core.role.kind !== "follower") core.becomeFollower(core.term, message.from);
  core.leader = message.from;
  core.electionElapsed = 0;
  return null;
}
