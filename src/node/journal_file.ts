import { type Bytes, decodeUtf8, encodeUtf8, type Id } from "../base/mod.ts";
import {
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
  type Installation,
  type Journal,
} from "../esp/mod.ts";
import type { RunFiles } from "./ports.ts";

/** Its name in the run directory. */
export const JOURNAL_FILE = "journal";
/** It is not worth the while to rewrite a smaller file. */
const SMALL_BYTES = 64 * 1024;

/**
 * The journal of one boot key, in memory and as a file. What is in memory is in the file too, as long
 * as nobody else touches that; when somebody does, it is written again from memory.
 */
export class JournalFile {
  readonly #files: RunFiles;
  readonly #bootKey: string;
  #journal: Journal;
  #lengthBytes: number;
  #compactBytes: number;
  readonly #retired = new Map<Id, number>();

  private constructor(files: RunFiles, bootKey: string, journal: Journal, lengthBytes: number) {
    this.#files = files;
    this.#bootKey = bootKey;
    this.#journal = journal;
    this.#lengthBytes = lengthBytes;
    this.#compactBytes = lengthBytes;
  }

  /**
   * Takes up the file that an earlier process has left.
   *
   * @param bootKey digest of the public boot key: the journal of another one is a damaged one
   */
  static read(files: RunFiles, bootKey: string): JournalFile | "missing" | "damaged" {
    const bytes = files.read(JOURNAL_FILE);
    if (bytes === null) return "missing";
    const text = textOf(bytes);
    const reading = text === null ? null : decodeJournal(text, bootKey);
    if (reading === null || reading.kind === "damaged") return "damaged";
    // With an unfinished line at its end, which would swallow the next record, the file is longer than
    // that, and so it is written anew.
    return new JournalFile(files, bootKey, reading.journal, reading.validLength);
  }

  /** An empty one takes the place of what is there. */
  static make(files: RunFiles, bootKey: string): JournalFile {
    const text = encodeJournalHeader(bootKey);
    files.replace(JOURNAL_FILE, encodeUtf8(text));
    return new JournalFile(files, bootKey, decode(text, bootKey), text.length);
  }

  /** What the file says. */
  get journal(): Journal {
    return this.#journal;
  }

  /**
   * Written when it returns.
   *
   * @throws when that is not certain; then none of it is in memory, and the file may have some of it,
   * which does no harm: a key that was not installed is taken for one that was
   */
  record(installations: readonly Installation[]): void {
    const text = installations.map(encodeJournalRecord).join("");
    // After a failure the file is not as long as it should be, and so the next record rewrites it.
    const answer = this.#files.append(JOURNAL_FILE, encodeUtf8(text), this.#lengthBytes);
    if (answer === "appended") this.#lengthBytes += text.length;
    else this.#rewrite(text);
    for (const installation of installations) this.#journal.add(installation);
  }

  /** These have retired. The file is rewritten without them when most of it may be of no use. */
  compact(retired: ReadonlyMap<Id, number>): void {
    for (const [network, epoch] of retired) {
      this.#retired.set(network, Math.max(epoch, this.#retired.get(network) ?? 0));
    }
    if (this.#lengthBytes <= 2 * this.#compactBytes + SMALL_BYTES) return;
    const text = this.#journal.compact(this.#bootKey, this.#retired);
    this.#files.replace(JOURNAL_FILE, encodeUtf8(text));
    this.#journal = decode(text, this.#bootKey);
    this.#lengthBytes = text.length;
    this.#compactBytes = text.length;
    this.#retired.clear();
  }

  /** Writes the file again when it is gone, or is not as it was left. */
  restore(): void {
    if (this.#files.size(JOURNAL_FILE) !== this.#lengthBytes) this.#rewrite("");
  }

  #rewrite(added: string): void {
    const text = this.#journal.compact(this.#bootKey, new Map()) + added;
    this.#files.replace(JOURNAL_FILE, encodeUtf8(text));
    this.#lengthBytes = text.length;
  }
}

/** Of a text that was made here. */
function decode(text: string, bootKey: string): Journal {
  const reading = decodeJournal(text, bootKey);
  if (reading.kind === "intact") return reading.journal;
  throw new Error(`The journal that was made cannot be read: line ${reading.line}`);
}

/** Null when it is no text. */
function textOf(bytes: Bytes): string | null {
  try {
    return decodeUtf8(bytes);
  } catch {
    return null;
  }
}
