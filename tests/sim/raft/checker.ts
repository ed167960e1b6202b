import type {
  Entry,
  MemberId,
  Membership,
  Position,
  Ready,
  SnapshotMeta,
  Status,
} from "../../../src/raft/mod.ts";
import type { Disk } from "./disk.ts";

/** Something happened that must never happen. */
export class Violation extends Error {
  override name = "Violation";
}

/** A member as the checker sees it. */
export interface Observed {
  readonly id: MemberId;
  readonly disk: Disk;
}

interface Known {
  readonly entry: Entry;
  readonly prevTerm: number | null;
}

/**
 * Looks at every member after every event, and knows what the paper's figure 3 promises. It sees
 * what members do not: all of them at once, and what is on their disks for certain.
 */
export class Checker {
  /** Who led each term. */
  readonly leaders: Map<number, MemberId> = new Map();
  /** Every entry that ever was in a log, by index and term. */
  readonly #entries = new Map<string, Known>();
  /** By index: what was applied there, and with what answer. */
  readonly #applied: { readonly entry: Entry; answer: string | null }[] = [];
  /** By index: in which leader's term it was committed. */
  readonly #committedIn: number[] = [0];
  /** By leader: the term and how far its log went. */
  readonly #extents = new Map<MemberId, { readonly term: number; readonly last: number }>();

  /** How many entries were ever applied. */
  get appliedCount(): number {
    return this.#applied.length;
  }

  /** After every event: what does this member claim? */
  checkStanding(member: Observed, status: Status, all: readonly Observed[]): void {
    this.#checkCommit(member, status, all);
    const { id } = member;
    if (status.role !== "leader") {
      this.#extents.delete(id);
      return;
    }
    const { term, last } = status;
    const other = this.leaders.get(term) ?? id;
    this.leaders.set(term, id);
    if (other !== id) throw new Violation(`Election Safety: ${other} and ${id} lead term ${term}`);
    const extent = this.#extents.get(id);
    if (extent?.term === term && extent.last > last.index) {
      throw new Violation(
        `Leader Append-Only: the log of ${id} shrinks from ${extent.last} to ${last.index}`,
      );
    }
    this.#extents.set(id, { term, last: last.index });
  }

  /**
   * The commit index grows on leaders first, and then an entry of that leader's term is on the
   * disks of a majority, for certain.
   */
  #checkCommit({ id }: Observed, status: Status, all: readonly Observed[]): void {
    const { commit: index, membership: { voters }, role, term } = status;
    const before = this.#committedIn.length - 1;
    if (index <= before) return;
    for (let newly = before + 1; newly <= index; newly++) this.#committedIn.push(term);
    if (role !== "leader") {
      throw new Violation(`${id} calls entry ${index} committed, and no leader did`);
    }
    const holders = all.filter((other) =>
      voters.includes(other.id) && other.disk.keeps({ term, index })
    );
    if (holders.length > voters.length / 2) return;
    throw new Violation(
      `${id} calls entry ${index} committed in term ${term}, and of the disks of ` +
        `${voters.join(" ")} only these have such an entry of its term: ` +
        `${holders.map((holder) => holder.id).join(" ")}`,
    );
  }

  /** A member has written something to its disk: its whole log is there now. */
  checkWritten(member: Observed, ready: Ready, membership: Membership): void {
    this.#checkMembership(member, membership);
    const [first] = ready.entries;
    if (first === undefined) return;
    const { disk, id } = member;
    let prevTerm = first.index - 1 >= disk.base().index ? disk.term(first.index - 1) : null;
    for (const entry of ready.entries) {
      const key = `${entry.index}/${entry.term}`;
      const known = this.#entries.get(key);
      if (known === undefined) {
        this.#entries.set(key, { entry, prevTerm });
      } else if (!isSame(known.entry, entry) || (known.prevTerm ?? prevTerm) !== prevTerm) {
        throw new Violation(
          `Log Matching: ${id} has another entry ${key} than others, or another before it`,
        );
      }
      prevTerm = entry.term;
    }
  }

  /** The membership that a member works with is the newest in its log. */
  #checkMembership({ disk, id }: Observed, membership: Membership): void {
    const log = disk.entries(disk.base().index + 1, disk.lastIndex(), Infinity);
    const newest = log.findLast(({ index, kind }) =>
      kind === "membership" && index > disk.snapshot().index
    );
    const inLog = newest === undefined ? disk.snapshot().membership : parseMembership(newest);
    if (isSameMembership(inLog, membership)) return;
    throw new Violation(
      `${id} works with the members ${describe(membership)}, and its log says ${describe(inLog)}`,
    );
  }

  /** A member makes a snapshot: it goes with the membership that was committed up to there. */
  checkSnapshot({ id }: Observed, meta: SnapshotMeta): void {
    const newest = this.#applied.findLast(({ entry }) =>
      entry.kind === "membership" && entry.index <= meta.index
    );
    if (newest === undefined) return;
    const inLog = parseMembership(newest.entry);
    if (isSameMembership(inLog, meta.membership)) return;
    throw new Violation(
      `The snapshot of ${id} at ${meta.index} says ${
        describe(meta.membership)
      }, and committed were ` +
        describe(inLog),
    );
  }

  /** A member leads, and its log is on its disk: it must have all that earlier leaders committed. */
  checkComplete(member: Observed, term: number): void {
    const { disk, id } = member;
    for (let index = disk.base().index + 1; index <= this.#applied.length; index++) {
      const { entry } = this.#at(index);
      // A leader that is late to write need not have what its successors have committed since.
      if ((this.#committedIn[index] ?? Infinity) >= term) return;
      if (index <= disk.lastIndex() && disk.term(index) === entry.term) continue;
      throw new Violation(
        `Leader Completeness: ${id} leads without the committed entry ${index}/${entry.term}`,
      );
    }
  }

  /** A member gives out entries as committed: all give out the same. */
  checkCommitted(member: Observed, committed: readonly Entry[]): void {
    for (const entry of committed) {
      const before = this.#applied[entry.index - 1];
      if (before === undefined) {
        if (entry.index !== this.#applied.length + 1) {
          throw new Violation(`${member.id} applies ${place(entry)}, and none before it`);
        }
        this.#applied.push({ entry, answer: null });
      } else if (!isSame(before.entry, entry)) {
        throw new Violation(
          `State Machine Safety: ${member.id} applies ${place(entry)}, others applied ` +
            place(before.entry),
        );
      }
    }
  }

  /** A state machine has answered an entry: all answer the same. */
  checkAnswer(id: MemberId, entry: Entry, answer: string): void {
    const known = this.#at(entry.index);
    if (known.answer !== null && known.answer !== answer) {
      throw new Violation(
        `State Machine Safety: ${id} answers ${place(entry)} with ${answer}, ` +
          `others with ${known.answer}`,
      );
    }
    known.answer = answer;
  }

  #at(index: number) {
    const known = this.#applied[index - 1];
    if (known === undefined) throw new Violation(`Entry ${index} was never given out`);
    return known;
  }
}

function isSame(left: Entry, right: Entry): boolean {
  return left === right ||
    (left.term === right.term && left.kind === right.kind &&
      left.data.length === right.data.length &&
      left.data.every((byte, at) => byte === right.data[at]));
}

function parseMembership(entry: Entry): Membership {
  return JSON.parse(new TextDecoder().decode(entry.data));
}

function isSameMembership(left: Membership, right: Membership): boolean {
  return describe(left) === describe(right);
}

function describe({ voters, learners }: Membership): string {
  return `${voters.toSorted().join(" ")} + ${learners.toSorted().join(" ")}`;
}

function place({ index, term }: Position): string {
  return `entry ${index} of term ${term}`;
}
