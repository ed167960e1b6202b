import { assert, type Bytes, decodeUtf8, encodeUtf8, present } from "../base/mod.ts";
import type { Log } from "./log.ts";
import type { Entry, MemberId, Membership, MembershipChange, Refusal } from "./types.ts";

const VERSION = 1;
/** More voters make every write slower and hardly anything safer. */
const MAX_VOTERS = 7;
/** Bounds what a peer can make this member keep. */
const MAX_MEMBERS = 64;

/** The data of a `membership` entry. */
export function encodeMembership(membership: Membership): Bytes {
  const { voters, learners } = membership;
  return encodeUtf8(JSON.stringify({ v: VERSION, voters, learners }));
}

/** Reads what {@linkcode encodeMembership} has written; null when it is anything else. */
export function decodeMembership(data: Uint8Array): Membership | null {
  try {
    const value: unknown = JSON.parse(decodeUtf8(data));
    if (typeof value !== "object" || value === null) return null;
    const { v, voters, learners } = value as Readonly<Record<string, unknown>>;
    return v === VERSION ? checkMembership({ voters, learners }) : null;
  } catch {
    return null;
  }
}

/** Reads a membership that a peer has sent; null when it is none. */
export function checkMembership(value: unknown): Membership | null {
  if (typeof value !== "object" || value === null) return null;
  const { voters, learners } = value as Readonly<Record<string, unknown>>;
  if (!isIds(voters) || !isIds(learners)) return null;
  const all = [...voters, ...learners];
  if (all.length > MAX_MEMBERS || new Set(all).size !== all.length) return null;
  return { voters, learners };
}

/** How many of `count` are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The highest value that a majority has reached. None reaches more than 0 among no voters. */
export function reachedByMajority(values: readonly number[]): number {
  const descending = values.toSorted((left, right) => right - left);
  return descending[majorityOf(values.length) - 1] ?? 0;
}

/** The membership after a change, or why the change makes no sense. */
export function changeMembership(
  membership: Membership,
  change: MembershipChange,
): { readonly next: Membership } | { readonly refusal: Refusal } {
  const { voters, learners } = membership;
  const { id } = change;
  const votes = voters.includes(id);
  const learns = learners.includes(id);
  switch (change.kind) {
    case "add-learner":
      if (votes || learns) return refuse("already-a-member", `${id} is a member already`);
      if (voters.length + learners.length === MAX_MEMBERS) {
        return refuse("too-many-voters", `${MAX_MEMBERS} members are the most there can be`);
      }
      return { next: { voters, learners: [...learners, id] } };
    case "promote":
      if (votes) return refuse("already-a-member", `${id} is a voter already`);
      if (!learns) return refuse("not-a-member", `${id} is no learner: add it first`);
      if (voters.length === MAX_VOTERS) {
        return refuse("too-many-voters", `${MAX_VOTERS} voters are the most there can be`);
      }
      return { next: { voters: [...voters, id], learners: without(learners, id) } };
    case "remove":
      if (!votes && !learns) return refuse("not-a-member", `${id} is no member`);
      if (votes && voters.length === 1) {
        return refuse("last-voter", `${id} is the only voter: nobody would be left to decide`);
      }
      return { next: { voters: without(voters, id), learners: without(learners, id) } };
  }
}

interface Effective {
  readonly index: number;
  readonly membership: Membership;
}

/**
 * The memberships in the log, each effective from the moment its entry is there, committed or not
 * (thesis, 4.1). One that is dropped with its entry gives way to the one before.
 */
export class MembershipHistory {
  #effective: [Effective, ...Effective[]];

  constructor(log: Log) {
    const { index, membership } = log.snapshot;
    this.#effective = [{ index, membership }];
    const last = log.last.index;
    for (let from = index + 1; from <= last;) {
      const entries = log.entries(from, last, 1 << 20);
      this.appended(entries);
      from += entries.length;
    }
  }

  /** The newest membership. */
  get current(): Membership {
    return this.#newest.membership;
  }

  /** Index of the entry that made it. */
  get currentIndex(): number {
    return this.#newest.index;
  }

  /** Who was a member when the entry at `index` was made; `index` is not below what is applied. */
  at(index: number): Membership {
    const found = this.#effective.findLast((effective) => effective.index <= index);
    return present(found, `the membership at ${index}`).membership;
  }

  /** Entries were added to the log. */
  appended(entries: readonly Entry[]): void {
    for (const { kind, index, data } of entries) {
      if (kind !== "membership") continue;
      const membership = decodeMembership(data);
      assert(membership !== null, `entry ${index} holds a membership`);
      this.#effective.push({ index, membership });
    }
  }

  /** The entry at `index` and all after it were dropped. */
  truncatedFrom(index: number): void {
    while (this.#effective.length > 1 && this.#newest.index >= index) this.#effective.pop();
    assert(this.#newest.index < index, "a membership that was committed stays");
  }

  /** A snapshot has taken the place of the log. */
  restored(index: number, membership: Membership): void {
    this.#effective = [{ index, membership }];
  }

  /** All up to `index` is applied: nobody asks for a membership before that any more. */
  appliedTo(index: number): void {
    for (;;) {
      const [, second, ...others] = this.#effective;
      if (second === undefined || second.index > index) return;
      this.#effective = [second, ...others];
    }
  }

  get #newest(): Effective {
    return this.#effective.at(-1) ?? this.#effective[0];
  }
}

function without(ids: readonly MemberId[], id: MemberId): MemberId[] {
  return ids.filter((other) => other !== id);
}

function refuse(code: Refusal["code"], reason: string): { readonly refusal: Refusal } {
  return { refusal: { code, reason } };
}

function isIds(value: unknown): value is readonly MemberId[] {
  return Array.isArray(value) &&
    value.every((id) => typeof id === "string" && id.length > 0 && id.length <= 128);
}
