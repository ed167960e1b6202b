import { assert, type Id, present } from "../base/mod.ts";
import { everyHolder } from "./holders.ts";
import { RoundRobin } from "./round_robin.ts";
import { SLOTS } from "./settings.ts";
import type { NetworkKeys, WaitingNumber } from "./types.ts";

const INDEXES = 65535;

/** A number that may be given back. */
export type UsedNumber = Pick<WaitingNumber, "kind" | "number">;

/**
 * What belongs to encrypted networks beside the objects that people see: secrets, which no outcome and
 * no answer may hold, and the numbers in SPIs.
 */
export class KeyTables {
  readonly slots: RoundRobin = new RoundRobin(0, SLOTS - 1, SLOTS);
  readonly indexes: RoundRobin = new RoundRobin(1, INDEXES, INDEXES);
  readonly #secrets = new Map<Id, ReadonlyMap<number, string>>();
  /** Slots and indexes that are in use no more, but may be in SAs. */
  readonly #waiting = new Map<string, WaitingNumber>();
  readonly #waitingFor = new Map<Id, Set<string>>();
  /** Networks of which a node is a holder, or was one and may have SAs. */
  readonly #held = new Map<Id, Set<Id>>();

  /** Secrets of the epochs that live. */
  secretsOf(networkId: Id): ReadonlyMap<number, string> {
    return present(this.#secrets.get(networkId), "The secrets of an encrypted network");
  }

  setSecrets(networkId: Id, secrets: ReadonlyMap<number, string>): void {
    this.#secrets.set(networkId, secrets);
  }

  /** Networks of which a node is a holder, or was one and may have SAs. */
  heldBy(nodeId: Id): Iterable<Id> {
    return this.#held.get(nodeId) ?? [];
  }

  /** The keys of a network are others now; null: it is not there. */
  replace(networkId: Id, before: NetworkKeys | null, after: NetworkKeys | null): void {
    if (before === after) return;
    for (const nodeId of before === null ? [] : everyHolder(before)) {
      const held = this.#held.get(nodeId);
      held?.delete(networkId);
      if (held?.size === 0) this.#held.delete(nodeId);
    }
    for (const nodeId of after === null ? [] : everyHolder(after)) {
      add(this.#held, nodeId, networkId);
    }
    if (after === null) this.#secrets.delete(networkId);
  }

  /** Gives a number back, at once when nobody can have SAs of it. */
  release(used: UsedNumber, revision: number, nodes: Iterable<Id>): void {
    const waitedFor = [...new Set(nodes)].sort();
    if (waitedFor.length === 0) this.#free(used);
    else this.wait({ ...used, revision, nodes: waitedFor });
  }

  /** The number waits. */
  wait(waiting: WaitingNumber): void {
    const key = keyOf(waiting);
    assert(!this.#waiting.has(key), "a number waits once");
    this.#waiting.set(key, waiting);
    for (const nodeId of waiting.nodes) add(this.#waitingFor, nodeId, key);
  }

  /** All that waits, in the order in which it came. */
  get waiting(): Iterable<WaitingNumber> {
    return this.#waiting.values();
  }

  /** What waits for a node, among others. */
  waitingFor(nodeId: Id): WaitingNumber[] {
    return [...this.#waitingFor.get(nodeId) ?? []].map((key) =>
      present(this.#waiting.get(key), "What waits for a node")
    );
  }

  /** Whether it waits. */
  find(used: UsedNumber): WaitingNumber | undefined {
    return this.#waiting.get(keyOf(used));
  }

  /** Nobody has SAs of it any more. */
  endWait(waiting: WaitingNumber): void {
    const key = keyOf(waiting);
    this.#waiting.delete(key);
    for (const nodeId of waiting.nodes) {
      const keys = this.#waitingFor.get(nodeId);
      keys?.delete(key);
      if (keys?.size === 0) this.#waitingFor.delete(nodeId);
    }
    this.#free(waiting);
  }

  /** The node is no member any more: nothing waits for it. */
  waitNoMoreFor(nodeId: Id): void {
    for (const waiting of this.waitingFor(nodeId)) {
      const nodes = waiting.nodes.filter((id) => id !== nodeId);
      if (nodes.length === 0) this.endWait(waiting);
      else this.#waiting.set(keyOf(waiting), { ...waiting, nodes });
    }
    this.#waitingFor.delete(nodeId);
  }

  /** Revision of the last network or node that went and of which this node may have SAs, or 0. */
  goneUpTo(nodeId: Id): number {
    let last = 0;
    for (const { revision } of this.waitingFor(nodeId)) last = Math.max(last, revision);
    return last;
  }

  #free({ kind, number }: UsedNumber): void {
    (kind === "slot" ? this.slots : this.indexes).release(number);
  }
}

function keyOf({ kind, number }: UsedNumber): string {
  return `${kind} ${number}`;
}

function add<Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}
