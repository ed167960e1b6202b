import {
  assert,
  encodeBase64url,
  type Id,
  type Logger,
  type Random,
  SecretBytes,
  sha256,
} from "../base/mod.ts";
import {
  type BootKeyPair,
  bootKeyPair,
  type BootKeyReason,
  decideBootKey,
  type Installation,
  Journal,
  mayInstall,
  PUBLIC_KEY_BYTES,
  type PublishedBootKey,
} from "../esp/mod.ts";
import type { NodeReport, Projection, ReportReply } from "../state/mod.ts";
import { BOOT_KEY_FILE, readBootKey, writeBootKey } from "./boot_key_file.ts";
import { JOURNAL_FILE, JournalFile } from "./journal_file.ts";
import type { RunFiles } from "./ports.ts";

/** What {@linkcode BootKeys} stands on. */
export interface BootKeysOptions {
  /** Files that are gone when the kernel is. */
  readonly files: RunFiles;
  /** Of the kernel that runs. */
  readonly bootId: string;
  /**
   * Above all numbers of reports that this host has sent, as far as anybody can tell when its last one
   * is not on record: the wall clock's ms. Too low a number costs one more key, no harm.
   */
  readonly firstReportNumber: number;
  /** Draws the private keys. */
  readonly random: Random;
  /** Told when a key is made, and why. */
  readonly logger: Logger;
}

interface CurrentKey {
  readonly pair: BootKeyPair;
  readonly published: PublishedBootKey;
  readonly journal: JournalFile;
  /** Reports up to here were made when there was another key, so answers to them say nothing of this one. */
  readonly afterNumber: number;
}

/** What a report says of the key. */
export type ReportedKey = Pick<NodeReport, "number" | "bootKey">;

const NOTHING_INSTALLED = new Journal();

/**
 * This host's boot key and the journal of what was installed with it, in memory and in the run
 * directory; and the numbers of its reports, by which the managers tell a copy of this machine.
 *
 * Contract:
 * - a key is given out ({@linkcode BootKeys.pair}) only when the managers have committed this very
 *   key in the present incarnation, and have answered a report of this process, made with it, that they
 *   had seen none with a higher number: so no copy of this machine uses it;
 * - a key whose journal cannot say all that was installed with it is never given out. The journal's first
 *   line names its key, and it is written before the key is: so whenever the process is killed in between,
 *   what is found next is a journal of another key, and that makes for a new one;
 * - files that are lost while the process runs are written again from memory.
 */
export class BootKeys {
  readonly #options: BootKeysOptions;
  #current: CurrentKey | null;
  #reportNumber: number;
  /** As last heard, by this process or an earlier one. */
  #incarnation: Id | null;
  /** What the managers have committed, as the newest projection says. */
  #committed: { readonly publicKey: string | null; readonly incarnation: Id } | null = null;
  /** Whether a report that was made with the current key has been answered. */
  #isAnswered = false;
  #removed = false;

  /** Takes up the key of an earlier process, if it is of any use. */
  constructor(options: BootKeysOptions) {
    this.#options = options;
    const stored = readBootKey(options.files);
    this.#reportNumber = stored?.reportNumber ?? options.firstReportNumber;
    this.#incarnation = stored?.incarnation ?? null;
    this.#current = null;
    if (stored === null) return;
    const pair = bootKeyPair(stored.privateKey);
    const { bootId, incarnation } = stored;
    const published = { key: digestOf(pair), bootId, incarnation };
    const journal = JournalFile.read(options.files, published.key);
    const state = typeof journal === "string" ? journal : "intact";
    // What the incarnation is now, and what managers have seen, is not known yet.
    const decision = this.#decide({ published, journal: state, incarnation, seenBefore: null });
    if (decision === null && typeof journal !== "string") {
      this.#current = { pair, published, journal, afterNumber: this.#reportNumber };
    } else this.#make(decision ?? "journal-damaged");
  }

  /** The key; null while no SA may be installed with it. Another object when it was made anew. */
  get pair(): BootKeyPair | null {
    const current = this.#current;
    if (current === null || !this.#isAnswered || this.#committed === null) return null;
    const { publicKey, incarnation } = this.#committed;
    if (publicKey !== encodeBase64url(current.pair.publicKey)) return null;
    // Nobody but this kernel had this key, so it was committed with this kernel's boot id.
    const { key, bootId } = current.published;
    return mayInstall(current.published, { key, bootId, incarnation }) ? current.pair : null;
  }

  /** What was installed with it. */
  get journal(): Journal {
    return this.#current?.journal.journal ?? NOTHING_INSTALLED;
  }

  /**
   * Appends to the journal; written when it returns, so it comes before the `NEWSA`.
   *
   * @throws when it could not be written: then nothing may be installed
   */
  record(installations: readonly Installation[]): void {
    assert(
      this.pair !== null && this.#current !== null,
      "SAs are installed with a usable boot key",
    );
    this.#current.journal.record(installations);
  }

  /** Drops records of epochs that have retired: of each network, all up to this one. */
  compact(retired: ReadonlyMap<Id, number>): void {
    try {
      this.#current?.journal.compact(retired);
    } catch (error) {
      // The old one is still there, and says more.
      this.#options.logger.warn("The journal of encryption keys was not made shorter", {
        reason: String(error),
      });
    }
  }

  /** What the next try of a report says; the number is on record when this returns, if it can be. */
  nextReport(): ReportedKey {
    if (this.#current === null && this.#incarnation !== null) this.#make("no-key");
    this.#reportNumber++;
    this.#store();
    const current = this.#current;
    if (current === null) return { number: this.#reportNumber, bootKey: null };
    const { bootId, incarnation } = current.published;
    const publicKey = encodeBase64url(current.pair.publicKey);
    return { number: this.#reportNumber, bootKey: { publicKey, bootId, incarnation } };
  }

  /** The leader has answered the report with this number. A new key has to be reported. */
  answered(
    number: number,
    { seenBefore }: Pick<ReportReply, "seenBefore">,
  ): "same-key" | "new-key" {
    this.#reportNumber = Math.max(this.#reportNumber, seenBefore);
    const current = this.#current;
    if (current === null || number <= current.afterNumber) return "same-key";
    const reason = this.#decide({ ...this.#asStored(current), seenBefore, reportNumber: number });
    if (reason === null) {
      this.#isAnswered = true;
      return "same-key";
    }
    this.#make(reason);
    return "new-key";
  }

  /** The leader has told what this node should have. */
  projected({ incarnation, node }: Pick<Projection, "incarnation" | "node">): void {
    this.#incarnation = incarnation;
    this.#committed = { publicKey: node.bootKey, incarnation };
    const reason = this.#current === null
      ? "no-key"
      : this.#decide({ ...this.#asStored(this.#current), incarnation, seenBefore: null });
    if (reason !== null) this.#make(reason);
  }

  /** This host is no member any more: takes the files away, and uses the key no more. */
  remove(): void {
    this.#removed = true;
    this.#current = null;
    // The key first: without it nobody asks for the journal.
    this.#options.files.remove(BOOT_KEY_FILE);
    this.#options.files.remove(JOURNAL_FILE);
  }

  #asStored({ published }: CurrentKey) {
    return { published, journal: "intact", incarnation: published.incarnation } as const;
  }

  /** Null: keep it. */
  #decide(facts: {
    readonly published: PublishedBootKey;
    readonly journal: "intact" | "missing" | "damaged";
    readonly incarnation: Id;
    readonly seenBefore: number | null;
    readonly reportNumber?: number;
  }): BootKeyReason | null {
    const { published, reportNumber = this.#reportNumber, ...rest } = facts;
    const { bootId } = this.#options;
    const decision = decideBootKey({ stored: published, bootId, reportNumber, ...rest });
    return decision.kind === "keep" ? null : decision.reason;
  }

  #make(reason: BootKeyReason): void {
    // From here on there is none, whatever fails: without a key no packet leaves.
    this.#current = null;
    this.#isAnswered = false;
    const { files, bootId, random, logger } = this.#options;
    const incarnation = this.#incarnation;
    if (incarnation === null || this.#removed) return;
    const pair = bootKeyPair(new SecretBytes(random.bytes(PUBLIC_KEY_BYTES)));
    const published = { key: digestOf(pair), bootId, incarnation };
    const { privateKey } = pair;
    const reportNumber = this.#reportNumber;
    try {
      const journal = JournalFile.make(files, published.key);
      writeBootKey(files, { privateKey, bootId, incarnation, reportNumber });
      this.#current = { pair, published, journal, afterNumber: reportNumber };
      logger.info("This host has a new boot key", { reason });
    } catch (error) {
      logger.error(
        "No boot key could be kept in the run directory, so encrypted networks stay closed on this " +
          "host; it is tried again with the next report: make room there",
        { reason: String(error) },
      );
    }
  }

  /** The number, and what was lost of the files meanwhile. */
  #store(): void {
    if (this.#current === null) return;
    const { pair, published, journal } = this.#current;
    const { privateKey } = pair;
    const { bootId, incarnation } = published;
    const reportNumber = this.#reportNumber;
    try {
      journal.restore();
      writeBootKey(this.#options.files, { privateKey, bootId, incarnation, reportNumber });
    } catch (error) {
      // A number that is used again makes for a new key, at the next start: that is safe.
      this.#options.logger.warn("The number of a report could not be written down", {
        reason: String(error),
      });
    }
  }
}

function digestOf({ publicKey }: BootKeyPair): string {
  return encodeBase64url(sha256(publicKey));
}
