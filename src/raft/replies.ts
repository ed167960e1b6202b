import type { Core } from "./core.ts";
import type { Leadership } from "./leadership.ts";
import type {
  AppendAccepted,
  AppendRejected,
  HeartbeatReply,
  SnapshotProgress,
} from "./message.ts";
import type { Progress } from "./progress.ts";
import type { Complaint } from "./types.ts";

/** What a leader's followers answer. */
export type Reply = AppendAccepted | AppendRejected | HeartbeatReply | SnapshotProgress;

/** A leader hears a follower, in its own term. */
export function onReply(core: Core, leadership: Leadership, message: Reply): Complaint | null {
  const peer = leadership.peers.get(message.from);
  // It was removed, and has not heard of it.
  if (peer === undefined) return null;
  peer.silentTicks = 0;
  switch (message.kind) {
    case "append-accepted":
      if (message.match > core.log.last.index) {
        return impossible(message, `entry ${message.match}, which this leader does not have`);
      }
      if (peer.accepted(message.match)) leadership.advanceCommit();
      return null;
    case "append-rejected": {
      const hint = core.log.lastNotAbove(message.hint.index, message.hint.term);
      peer.rejected(message.rejected, hint.index);
      return null;
    }
    case "heartbeat-reply":
      return onHeartbeatReply(core, leadership, peer, message);
    case "snapshot-progress": {
      const { snapshot } = peer;
      const { index, term } = message.snapshot;
      if (snapshot?.meta.index === index && snapshot.meta.term === term) {
        peer.partWanted(message.offset);
      }
      return null;
    }
  }
}

function onHeartbeatReply(
  core: Core,
  leadership: Leadership,
  peer: Progress,
  message: HeartbeatReply,
): Complaint | null {
  if (message.round > leadership.reads.round) {
    return impossible(message, `round ${message.round}, which has not begun`);
  }
  peer.round = Math.max(peer.round, message.round);
  const { electionTicks, heartbeatTicks } = core.limits;
  // It is there, and has not got on for a while: messages were lost. A piece of a snapshot may
  // simply take longer than a heartbeat, so it is given more time.
  const patience = peer.state === "snapshot" ? electionTicks : 2 * heartbeatTicks;
  if (peer.isStalled(patience)) peer.resend();
  return null;
}

function impossible(message: Reply, what: string): Complaint {
  return { code: "impossible", reason: `${message.from} acknowledges ${what}` };
}
