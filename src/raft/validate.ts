import { checkMembership, decodeMembership } from "./membership.ts";
import type { Message } from "./message.ts";
import type { Entry, Position } from "./types.ts";

/** Counted up by one now and then, so never reached; and numbers stay exact beyond it. */
const MAX_NUMBER = 2 ** 52;

/** Says what is wrong with a message that a peer has sent, or null. */
export function faultOf(message: Message): string | null {
  if (!isNumber(message.term)) return "its term is no number";
  switch (message.kind) {
    case "pre-vote":
    case "vote":
      return positionFault(message.last, message.term);
    case "pre-vote-reply":
    case "vote-reply":
      return typeof message.granted === "boolean" ? null : "it does not say whether it is granted";
    case "append":
      return isNumber(message.commit)
        ? positionFault(message.prev, message.term) ??
          entriesFault(message.prev, message.entries, message.term)
        : "its commit index is no number";
    case "append-accepted":
      return isNumber(message.match) ? null : "its match is no number";
    case "append-rejected":
      return isNumber(message.rejected)
        ? positionFault(message.hint, MAX_NUMBER)
        : "the rejected index is no number";
    case "heartbeat":
      return [message.commit, message.match, message.round].every(isNumber)
        ? null
        : "a field is no number";
    case "heartbeat-reply":
      return isNumber(message.round) ? null : "its round is no number";
    case "snapshot-part":
      if (!isNumber(message.offset)) return "its offset is no number";
      if (!(message.data instanceof Uint8Array)) return "its data are no bytes";
      if (message.data.length === 0 && message.done !== true) return "it is an empty piece";
      if (checkMembership(message.meta?.membership) === null) return "it names no membership";
      return positionFault(message.meta, message.term);
    case "snapshot-progress":
      return isNumber(message.offset)
        ? positionFault(message.snapshot, message.term)
        : "its offset is no number";
    case "timeout-now":
      return null;
    default:
      return "its kind is unknown";
  }
}

function isNumber(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < MAX_NUMBER;
}

function positionFault(position: Position | undefined, maxTerm: number): string | null {
  return isNumber(position?.index) && isNumber(position.term) && position.term <= maxTerm
    ? null
    : "a place in it is none, or of a term to come";
}

function entriesFault(prev: Position, entries: readonly Entry[], maxTerm: number): string | null {
  if (!Array.isArray(entries)) return "it has no list of entries";
  let { index, term } = prev;
  for (const entry of entries) {
    if (entry?.index !== ++index) return `entry ${index} is not at its place`;
    if (!isNumber(entry.term) || entry.term < term || entry.term > maxTerm) {
      return `the term of entry ${index} cannot be`;
    }
    if (!(entry.data instanceof Uint8Array)) return `entry ${index} has no bytes`;
    if (entry.kind === "membership" ? decodeMembership(entry.data) === null : !isKind(entry.kind)) {
      return `entry ${index} is of no kind`;
    }
    term = entry.term;
  }
  return null;
}

function isKind(kind: string): boolean {
  return kind === "data" || kind === "noop";
}
