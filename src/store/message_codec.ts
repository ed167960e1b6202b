import { concatBytes, type Frame, type Id, type Json, type JsonObject } from "../base/mod.ts";
import type { Entry, EntryKind, MemberId, Membership, Message, Position } from "../raft/mod.ts";

/** Kinds of frames by kind of message. A number is never given to another message. */
const FRAME_KINDS = {
  "pre-vote": 1,
  "pre-vote-reply": 2,
  "vote": 3,
  "vote-reply": 4,
  "append": 5,
  "append-accepted": 6,
  "append-rejected": 7,
  "heartbeat": 8,
  "heartbeat-reply": 9,
  "snapshot-part": 10,
  "snapshot-progress": 11,
  "timeout-now": 12,
} as const satisfies Record<Message["kind"], number>;
const MESSAGE_KINDS = new Map<number, Message["kind"]>(
  Object.entries(FRAME_KINDS).map(([kind, number]) => [number, kind as Message["kind"]]),
);
const ENTRY_KINDS: readonly EntryKind[] = ["data", "noop", "membership"];

/** Why a frame is no message for this member. */
export type MessageErrorCode = "malformed" | "foreign-incarnation" | "unknown-kind";

/** A frame that is no message for this member; the connection may bring others that are. */
export class MessageError extends Error {
  override name = "MessageError";
  readonly code: MessageErrorCode;

  constructor(code: MessageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * A message as a frame. The addresses are not in it: the sender is whom the connection proves, the
 * receiver who has it. Each frame carries the incarnation, for a connection may have been opened
 * before a restore from a backup, and what an earlier incarnation says is about another log.
 *
 * Places are `[term, index]`; an entry is `[term, kind, length]`, its bytes are in the body, in order.
 */
export function encodeMessage(message: Message, incarnation: Id): Frame {
  const { term } = message;
  const [fields, body] = fieldsOf(message);
  return {
    kind: FRAME_KINDS[message.kind],
    header: { incarnation, term, ...fields },
    body: body ?? new Uint8Array(),
  };
}

function fieldsOf(message: Message): [JsonObject, Uint8Array?] {
  switch (message.kind) {
    case "pre-vote":
      return [{ last: placeOf(message.last) }];
    case "vote":
      return [{ last: placeOf(message.last), transfer: message.transfer }];
    case "pre-vote-reply":
    case "vote-reply":
      return [{ granted: message.granted }];
    case "append": {
      const { prev, commit, entries } = message;
      const list = entries.map(({ term, kind, data }) => [
        term,
        ENTRY_KINDS.indexOf(kind),
        data.length,
      ]);
      const body = concatBytes(...entries.map(({ data }) => data));
      return [{ prev: placeOf(prev), commit, entries: list }, body];
    }
    case "append-accepted":
      return [{ match: message.match }];
    case "append-rejected":
      return [{ rejected: message.rejected, hint: placeOf(message.hint) }];
    case "heartbeat":
      return [{ commit: message.commit, match: message.match, round: message.round }];
    case "heartbeat-reply":
      return [{ round: message.round }];
    case "snapshot-part": {
      const { meta, offset, data, done } = message;
      const { voters, learners } = meta.membership;
      return [{ snapshot: placeOf(meta), voters, learners, offset, done }, data];
    }
    case "snapshot-progress":
      return [{ snapshot: placeOf(message.snapshot), offset: message.offset }];
    case "timeout-now":
      return [{}];
  }
}

/**
 * Reads a frame of `from`. What comes out has the shape of a message; whether it makes sense is
 * for `Raft.step` to say.
 *
 * @throws {MessageError} when it is none, or of another incarnation
 */
export function decodeMessage(
  frame: Frame,
  options: { readonly from: MemberId; readonly to: MemberId; readonly incarnation: Id },
): Message {
  const kind = MESSAGE_KINDS.get(frame.kind);
  if (kind === undefined) {
    throw new MessageError("unknown-kind", `Kind ${frame.kind} of frames is not known here`);
  }
  const { from, to, incarnation } = options;
  const header = new HeaderReader(frame.header);
  if (frame.header.incarnation !== incarnation) {
    throw new MessageError(
      "foreign-incarnation",
      `${from} speaks for incarnation ${header.text("incarnation")} of the cluster, and this is ` +
        `${incarnation}: one of the two was restored or recovered without the other`,
    );
  }
  const envelope = { from, to, term: header.number("term") };
  switch (kind) {
    case "pre-vote":
      return { kind, ...envelope, last: header.place("last") };
    case "vote":
      return { kind, ...envelope, last: header.place("last"), transfer: header.flag("transfer") };
    case "pre-vote-reply":
    case "vote-reply":
      return { kind, ...envelope, granted: header.flag("granted") };
    case "append": {
      const prev = header.place("prev");
      const entries = readEntries(prev, header.list("entries"), frame.body);
      return { kind, ...envelope, prev, entries, commit: header.number("commit") };
    }
    case "append-accepted":
      return { kind, ...envelope, match: header.number("match") };
    case "append-rejected": {
      const hint = header.place("hint");
      return { kind, ...envelope, rejected: header.number("rejected"), hint };
    }
    case "heartbeat": {
      const [commit, match] = [header.number("commit"), header.number("match")];
      return { kind, ...envelope, commit, match, round: header.number("round") };
    }
    case "heartbeat-reply":
      return { kind, ...envelope, round: header.number("round") };
    case "snapshot-part": {
      const meta = { ...header.place("snapshot"), membership: header.membership() };
      const [offset, done] = [header.number("offset"), header.flag("done")];
      return { kind, ...envelope, meta, offset, done, data: frame.body };
    }
    case "snapshot-progress": {
      const snapshot = header.place("snapshot");
      return { kind, ...envelope, snapshot, offset: header.number("offset") };
    }
    case "timeout-now":
      return { kind, ...envelope };
  }
}

function placeOf({ term, index }: Position): [number, number] {
  return [term, index];
}

function readEntries(prev: Position, list: readonly Json[], body: Uint8Array): Entry[] {
  let offset = 0;
  const entries = list.map((item, place): Entry => {
    const [term, kindNumber, length] = Array.isArray(item) ? item : [];
    const kind = ENTRY_KINDS[Number(kindNumber)];
    if (!isCount(term) || kind === undefined || !isCount(length) || length > body.length - offset) {
      throw new MessageError("malformed", `Entry ${place} of an append cannot be read`);
    }
    const data = body.subarray(offset, offset + length);
    offset += length;
    return { index: prev.index + 1 + place, term, kind, data };
  });
  if (offset !== body.length) {
    throw new MessageError("malformed", "An append has more bytes than its entries");
  }
  return entries;
}

/** The fields of a header, each checked for its type. */
class HeaderReader {
  readonly #header: JsonObject;

  constructor(header: JsonObject) {
    this.#header = header;
  }

  number(name: string): number {
    const value = this.#header[name];
    return isCount(value) ? value : this.#refuse(name);
  }

  flag(name: string): boolean {
    const value = this.#header[name];
    return typeof value === "boolean" ? value : this.#refuse(name);
  }

  text(name: string): string {
    const value = this.#header[name];
    return typeof value === "string" ? value.slice(0, 64) : this.#refuse(name);
  }

  list(name: string): readonly Json[] {
    const value = this.#header[name];
    return Array.isArray(value) ? value : this.#refuse(name);
  }

  place(name: string): Position {
    const value = this.#header[name];
    const [term, index, ...more] = Array.isArray(value) ? value : [];
    return isCount(term) && isCount(index) && more.length === 0
      ? { term, index }
      : this.#refuse(name);
  }

  membership(): Membership {
    return { voters: this.#ids("voters"), learners: this.#ids("learners") };
  }

  #ids(name: string): string[] {
    return this.list(name).map((id) => typeof id === "string" ? id : this.#refuse(name));
  }

  #refuse(name: string): never {
    throw new MessageError("malformed", `The field ${name} of a message is not what it has to be`);
  }
}

function isCount(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
