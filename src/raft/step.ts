import type { Core } from "./core.ts";
import { onPreVote, onPreVoteReply, onVote, onVoteReply } from "./election.ts";
import { onAppend, onHeartbeat, onSnapshotPart, onTimeoutNow } from "./follower.ts";
import type { Message } from "./message.ts";
import { onReply } from "./replies.ts";
import type { Complaint } from "./types.ts";
import { faultOf } from "./validate.ts";

/** Takes a message of a peer: says what is wrong with it, or lets the member's role deal with it. */
export function step(core: Core, message: Message): Complaint | null {
  if (message.to !== core.id || message.from === core.id) {
    return { code: "malformed", reason: `A message from ${message.from} is for ${message.to}` };
  }
  const fault = faultOf(message);
  if (fault !== null) {
    return { code: "malformed", reason: `A ${message.kind} of ${message.from}: ${fault}` };
  }
  switch (message.kind) {
    case "pre-vote":
      onPreVote(core, message);
      return null;
    case "pre-vote-reply":
      onPreVoteReply(core, message);
      return null;
    case "vote":
      onVote(core, message);
      return null;
    default:
      return stepInTerm(core, message);
  }
}

/** All but requests for votes and opinions: a later term is taken over, an earlier one is over. */
function stepInTerm(
  core: Core,
  message: Exclude<Message, { kind: "pre-vote" | "pre-vote-reply" | "vote" }>,
): Complaint | null {
  const { from, term } = message;
  const fromLeader = message.kind === "append" || message.kind === "heartbeat" ||
    message.kind === "snapshot-part";
  if (term < core.term) {
    // A leader whose term is over must hear of it. From a member that stands for election in vain
    // it does not, for who hears a leader takes no term from a candidate.
    if (fromLeader) core.send(from, { kind: "vote-reply", term: core.term, granted: false });
    return null;
  }
  if (term > core.term) core.becomeFollower(term, fromLeader ? from : null);
  switch (message.kind) {
    case "vote-reply":
      onVoteReply(core, message);
      return null;
    case "append":
      return onAppend(core, message);
    case "heartbeat":
      return onHeartbeat(core, message);
    case "snapshot-part":
      return onSnapshotPart(core, message);
    case "timeout-now":
      onTimeoutNow(core, message);
      return null;
    default:
      return core.role.kind === "leader" ? onReply(core, core.role, message) : null;
  }
}
