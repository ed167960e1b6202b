/**
 * How members, entries and messages are written in conversations.
 *
 * @module
 */
import type { Entry, Membership, Message, Position, Raft } from "../../../src/raft/mod.ts";

const decoder = new TextDecoder();

/** `follower of a in term 2` */
export function standing(raft: Raft): string {
  const leader = raft.role === "follower" && raft.leader !== null ? ` of ${raft.leader}` : "";
  return `${raft.role}${leader} in term ${raft.term}`;
}

/** `index/term` */
export function place({ term, index }: Position): string {
  return `${index}/${term}`;
}

/** The words of an entry, or nothing. */
export function said(entry: Entry): string {
  return entry.kind === "data" ? decoder.decode(entry.data) : "";
}

function describeEntry(entry: Entry): string {
  if (entry.kind === "data") return `${place(entry)} ${said(entry)}`;
  if (entry.kind === "noop") return `${place(entry)} noop`;
  const { voters, learners } = JSON.parse(decoder.decode(entry.data)) as Membership;
  const others = learners.length > 0 ? ` + ${learners.join(" ")}` : "";
  return `${place(entry)} members ${voters.join(" ")}${others}`;
}

/** `a → b: vote in term 2, log ends at 1/1`; places are index/term. */
export function describe(message: Message): string {
  return `${message.from} → ${message.to}: ${content(message)}`;
}

function content(message: Message): string {
  const { kind, term } = message;
  switch (kind) {
    case "pre-vote":
    case "vote":
      return `${kind} in term ${term}? log ends at ${place(message.last)}` +
        (kind === "vote" && message.transfer ? ", by transfer" : "");
    case "pre-vote-reply":
    case "vote-reply":
      return `${kind.slice(0, -6)} ${message.granted ? "granted" : "refused"} in term ${term}`;
    case "append": {
      const entries = message.entries.map(describeEntry).join(", ");
      return `append in term ${term} after ${place(message.prev)}: ${entries || "nothing"}; ` +
        `commit ${message.commit}`;
    }
    case "append-accepted":
      return `accepted in term ${term} up to ${message.match}`;
    case "append-rejected":
      return `rejected in term ${term} after ${message.rejected}, at best ${place(message.hint)}`;
    case "heartbeat":
      return `heartbeat in term ${term}, commit ${message.commit}, match ${message.match}, ` +
        `round ${message.round}`;
    case "heartbeat-reply":
      return `alive in term ${term}, round ${message.round}`;
    case "snapshot-part": {
      const end = message.offset + message.data.length;
      return `snapshot ${place(message.meta)} in term ${term}, bytes ${message.offset}…${end}` +
        (message.done ? ", the last" : "");
    }
    case "snapshot-progress":
      return `snapshot ${place(message.snapshot)} in term ${term}, next byte ${message.offset}`;
    case "timeout-now":
      return `stand for election now, in term ${term}`;
  }
}
