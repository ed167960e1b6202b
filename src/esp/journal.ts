import { type Id, isId } from "../base/mod.ts";

/** Whether the SA sends or receives. */
export type SaDirection = "out" | "in";

/** One installation of an SA, written down before it is asked of the kernel. */
export interface Installation {
  /** Whether it sends or receives. */
  readonly direction: SaDirection;
  /** The other host. */
  readonly peer: Id;
  /** The network. */
  readonly network: Id;
  /** The counter itself, not its tag. */
  readonly epoch: number;
  /** With the peer and the direction it tells where in the kernel the SA is; it has the slot in it. */
  readonly spi: number;
  /** Of all that the key is derived from, both boot keys with it: `contextDigest`. */
  readonly context: string;
}

/** What a journal's text turned out to be. */
export type JournalReading =
  | { readonly kind: "intact"; readonly journal: Journal; readonly validLength: number }
  /** It cannot say what was installed, so no key that could have been may be used: make a new boot key. */
  | { readonly kind: "damaged"; readonly line: number };

const VERSION = "agent-journal 1";
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

/**
 * All that this host has installed under one boot key.
 *
 * A record is written, and the write completed, before the `NEWSA` is sent. So a key that is not here
 * was never installed, and one that is here may have been.
 *
 * It is a file in `/run`, of lines of text, and lives as long as the boot key: a crash of the machine
 * ends both. A crash of the process can leave the last line unfinished; its `NEWSA` was never sent.
 *
 * Records of an epoch go when it has retired ({@linkcode Journal.compact}): what stays is that no epoch
 * up to there is ever installed again on that network.
 */
export class Journal {
  readonly #contexts = new Set<string>();
  readonly #latest = new Map<string, Installation>();
  readonly #records: Installation[] = [];
  readonly #closed = new Map<Id, number>();

  /** Whether a key of this context was, or may have been, installed. */
  has(installation: Installation): boolean {
    return this.#contexts.has(installation.context) ||
      installation.epoch <= (this.#closed.get(installation.network) ?? 0);
  }

  /** What is in the kernel at this place, if our SA is there; null when none ever was. */
  latest(place: Pick<Installation, "direction" | "peer" | "spi">): Installation | null {
    return this.#latest.get(placeOf(place)) ?? null;
  }

  /** Takes in a record that has been written. */
  add(installation: Installation): void {
    this.#records.push(installation);
    this.#contexts.add(installation.context);
    this.#latest.set(placeOf(installation), installation);
  }

  /** No epoch of the network up to this one is installed again. */
  close(network: Id, epoch: number): void {
    this.#closed.set(network, Math.max(epoch, this.#closed.get(network) ?? 0));
  }

  /** How many records there are. */
  get size(): number {
    return this.#records.length;
  }

  /**
   * The text of a journal that says the same with fewer records, to be put in the place of the file.
   *
   * @param retired of each network, the highest epoch that no SA in this kernel is of any more, nor of
   *   any epoch below
   */
  compact(bootKey: string, retired: ReadonlyMap<Id, number>): string {
    const closed = new Map(this.#closed);
    for (const [network, epoch] of retired) {
      closed.set(network, Math.max(epoch, closed.get(network) ?? 0));
    }
    const kept = this.#records.filter(({ network, epoch }) => epoch > (closed.get(network) ?? 0));
    return encodeJournalHeader(bootKey) +
      [...closed].map(([network, epoch]) => `closed ${network} ${epoch}\n`).join("") +
      kept.map(encodeJournalRecord).join("");
  }
}

function placeOf(
  { direction, peer, spi }: Pick<Installation, "direction" | "peer" | "spi">,
): string {
  return `${direction} ${peer} ${spi}`;
}

/**
 * The first line.
 *
 * @param bootKey digest of this host's public boot key: a journal of another one says nothing
 */
export function encodeJournalHeader(bootKey: string): string {
  return `${VERSION} ${bootKey}\n`;
}

/** `install out <peer> <network> 12 0xa0050001 <digest>`, with the line's end. */
export function encodeJournalRecord(installation: Installation): string {
  const { direction, peer, network, epoch, spi, context } = installation;
  const hex = spi.toString(16).padStart(8, "0");
  return `install ${direction} ${peer} ${network} ${epoch} 0x${hex} ${context}\n`;
}

/**
 * Reads a journal. Only what ends with a line's end was written completely: `validLength` is where to
 * cut the file before the next record is appended.
 *
 * @param bootKey digest of this host's public boot key
 */
export function decodeJournal(text: string, bootKey: string): JournalReading {
  const validLength = text.lastIndexOf("\n") + 1;
  const lines = text.slice(0, validLength).split("\n").slice(0, -1);
  if (`${lines[0]}\n` !== encodeJournalHeader(bootKey)) return { kind: "damaged", line: 1 };
  const journal = new Journal();
  for (const [place, line] of lines.entries()) {
    if (place > 0 && !readLine(journal, line)) return { kind: "damaged", line: place + 1 };
  }
  return { kind: "intact", journal, validLength };
}

function readLine(journal: Journal, line: string): boolean {
  const [verb = "", ...fields] = line.split(" ");
  if (verb === "closed" && fields.length === 2) {
    const [network = "", epoch = ""] = fields;
    if (!isId(network) || !isEpoch(epoch)) return false;
    journal.close(network, Number(epoch));
    return true;
  }
  const [direction = "", peer = "", network = "", epoch = "", spi = "", context = ""] = fields;
  if (
    verb !== "install" || fields.length !== 6 || (direction !== "out" && direction !== "in") ||
    !isId(peer) || !isId(network) || !isEpoch(epoch) || !/^0x[0-9a-f]{8}$/.test(spi) ||
    !DIGEST.test(context)
  ) return false;
  journal.add({ direction, peer, network, epoch: Number(epoch), spi: Number(spi), context });
  return true;
}

function isEpoch(text: string): boolean {
  return /^[1-9][0-9]{0,15}$/.test(text) && Number.isSafeInteger(Number(text));
}
