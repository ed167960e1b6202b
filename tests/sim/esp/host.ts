import {
  encodeBase64url,
  type Id,
  type Random,
  SecretBytes,
  sha256,
} from "../../../src/base/mod.ts";
import * as esp from "../../../src/esp/mod.ts";
import type { Rules } from "./rules.ts";

/** An SA in a kernel. */
export interface KernelEntry extends esp.Installation {
  /** Left over from what the leader does not know of: a machine's former life. */
  readonly forgotten: boolean;
}

/** A boot key, and when it was made. */
export interface BootKey extends esp.PublishedBootKey {
  /** Tells it from all others of all hosts, in few digits. */
  readonly serial: number;
  readonly pair: esp.BootKeyPair;
}

/** What a snapshot of a machine with its memory holds. */
export interface Machine {
  bootId: string;
  /** `/run`: the boot key and the journal's text. */
  run: { readonly key: BootKey; journal: string } | null;
  /** By destination and SPI. */
  kernel: Map<string, KernelEntry>;
  /** Number of its last report; on disk. */
  reports: number;
}

/** A host and its agent. */
export class Host {
  readonly id: Id;
  readonly index: number;
  machine: Machine;
  /** In the agent's memory. */
  journal: esp.Journal | null = null;
  /** What the managers have answered to this process. */
  published: esp.PublishedBootKey | null = null;
  snapshot: Machine | null = null;
  connected = true;
  /** As it has reported them. */
  heldSlots: ReadonlySet<number> = new Set();
  heldIndexes: ReadonlySet<number> = new Set();
  readonly #random: Random;
  readonly #rules: Rules;

  constructor(id: Id, index: number, random: Random, rules: Rules) {
    this.id = id;
    this.index = index;
    this.#random = random;
    this.#rules = rules;
    this.machine = { bootId: this.#newBootId(), run: null, kernel: new Map(), reports: 0 };
  }

  #newBootId(): string {
    return encodeBase64url(this.#random.bytes(16));
  }

  get key(): BootKey | null {
    return this.machine.run?.key ?? null;
  }

  /** The process ends, or is killed; what it had in memory is gone. */
  restartAgent(): void {
    this.journal = null;
    this.published = null;
  }

  reboot(): void {
    this.machine.bootId = this.#newBootId();
    this.machine.run = null;
    this.machine.kernel = new Map();
    this.restartAgent();
  }

  wipeRun(): void {
    this.machine.run = null;
    this.restartAgent();
  }

  loseJournal(): void {
    if (this.machine.run !== null) this.machine.run.journal = "";
    this.restartAgent();
  }

  /** `ip xfrm state flush` */
  flush(): void {
    this.machine.kernel.clear();
  }

  takeSnapshot(): void {
    this.snapshot = copy(this.machine);
  }

  /** The machine goes on from its snapshot, and so does the process in its memory. */
  restore(): void {
    if (this.snapshot === null) return;
    this.machine = copy(this.snapshot);
    for (const [place, entry] of this.machine.kernel) {
      this.machine.kernel.set(place, { ...entry, forgotten: true });
    }
    this.journal = null;
  }

  /**
   * Looks whether the boot key will do, and makes another if not.
   *
   * @returns whether there is a new one
   */
  checkBootKey(incarnation: Id, seenBefore: number | null): boolean {
    const { run, bootId, reports } = this.machine;
    // A process that runs has read the journal already.
    const reading = this.journal === null && run !== null
      ? esp.decodeJournal(run.journal, run.key.key)
      : null;
    const decision = this.#rules.decideBootKey({
      stored: run && run.key,
      journal: run === null ? "missing" : reading?.kind ?? "intact",
      bootId,
      incarnation,
      reportNumber: reports,
      seenBefore,
    });
    if (reading?.kind === "intact") this.journal = reading.journal;
    if (decision.kind === "keep") {
      // Never so by the right rule, which does not keep a key without its journal.
      this.journal ??= new esp.Journal();
      return false;
    }
    const pair = esp.bootKeyPair(new SecretBytes(this.#random.bytes(32)));
    const key = encodeBase64url(sha256(pair.publicKey));
    this.machine.run = {
      key: { key, bootId, incarnation, pair, serial: serials++ },
      journal: esp.encodeJournalHeader(key),
    };
    this.journal = new esp.Journal();
    this.published = null;
    return true;
  }

  append(installation: esp.Installation): void {
    const { run } = this.machine;
    if (run === null || this.journal === null) throw new TypeError("There is no boot key yet");
    run.journal += esp.encodeJournalRecord(installation);
    this.journal.add(installation);
  }

  compact(retired: ReadonlyMap<Id, number>): void {
    const { run } = this.machine;
    if (run === null || this.journal === null) return;
    run.journal = this.journal.compact(run.key.key, retired);
    this.#rereadJournal();
  }

  #rereadJournal(): void {
    const { run } = this.machine;
    const reading = run && esp.decodeJournal(run.journal, run.key.key);
    this.journal = reading?.kind === "intact" ? reading.journal : null;
  }
}

let serials = 0;

function copy(machine: Machine): Machine {
  return {
    ...machine,
    run: machine.run && { ...machine.run },
    kernel: new Map(machine.kernel),
  };
}
