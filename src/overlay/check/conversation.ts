import { type Bytes, equalBytes, type Id, type Random } from "../../base/mod.ts";
import type { ProbeSize } from "../../state/mod.ts";
import { decodeProbe, encodeProbe, NONCE_BYTES, type Probe } from "./frame.ts";

export const SIZES: readonly ProbeSize[] = ["small", "full"];

/** One end of a check, and its peers. */
export interface CheckEnds {
  /** 16 bytes. */
  readonly checkId: Bytes;
  /** This node's part of SPIs. */
  readonly index: number;
  /** The network's. */
  readonly mtuBytes: number;
  readonly peers: readonly { readonly nodeId: Id; readonly index: number }[];
}

/** What is known of the frames to and from a peer. */
export interface Exchanged {
  readonly heard: ReadonlySet<ProbeSize>;
  readonly answered: ReadonlySet<ProbeSize>;
}

/** So often at most a peer that is heard is sent again what it has not answered. */
const REMINDERS = 3;

interface Talk {
  readonly nodeId: Id;
  readonly index: number;
  readonly nonces: Readonly<Record<ProbeSize, Bytes>>;
  readonly heard: Set<ProbeSize>;
  readonly answered: Set<ProbeSize>;
  reminders: number;
}

/** What frames are to be sent in a check, and what those that come say. Does nothing by itself. */
export class Conversation {
  readonly #ends: CheckEnds;
  readonly #talks = new Map<Id, Talk>();
  readonly #byIndex = new Map<number, Talk>();

  /** Nobody can guess what is drawn here: who gives it back has received it. */
  constructor(ends: CheckEnds, random: Random) {
    this.#ends = ends;
    for (const { nodeId, index } of ends.peers) {
      const nonces = { small: random.bytes(NONCE_BYTES), full: random.bytes(NONCE_BYTES) };
      const sizes = { heard: new Set<ProbeSize>(), answered: new Set<ProbeSize>() };
      const talk = { nodeId, index, nonces, ...sizes, reminders: 0 };
      this.#talks.set(nodeId, talk);
      this.#byIndex.set(index, talk);
    }
  }

  /** Whether all of both sizes has come through, to and from every peer. */
  get isComplete(): boolean {
    return [...this.#talks.values()].every(({ heard, answered }) =>
      heard.size + answered.size === 2 * SIZES.length
    );
  }

  /** What has passed to and from a peer. */
  exchanged(nodeId: Id): Exchanged {
    return this.#talks.get(nodeId) ?? { heard: new Set(), answered: new Set() };
  }

  /** Frames for a peer that it has not answered yet. */
  due(nodeId: Id): readonly Bytes[] {
    const talk = this.#talks.get(nodeId);
    if (talk === undefined) return [];
    return SIZES.filter((size) => !talk.answered.has(size)).map((kind) =>
      this.#frame({ kind, receiver: talk.index, nonce: talk.nonces[kind] })
    );
  }

  /**
   * Takes a frame that came; gives what is to be sent for it: an answer, and what the peer has not answered
   * itself: it may have begun to hear just now.
   */
  hear(frame: Uint8Array): readonly Bytes[] {
    const probe = decodeProbe(frame, this.#ends.mtuBytes);
    if (probe === null || probe.receiver !== this.#ends.index) return [];
    // Of another check, or of a node that this one does not concern.
    const talk = this.#byIndex.get(probe.sender);
    if (talk === undefined || !equalBytes(probe.checkId, this.#ends.checkId)) return [];
    if (probe.kind !== "answer") {
      talk.heard.add(probe.kind);
      const { nonce } = probe;
      const answer = this.#frame({ kind: "answer", receiver: talk.index, nonce });
      return talk.reminders++ < REMINDERS ? [answer, ...this.due(talk.nodeId)] : [answer];
    }
    for (const size of SIZES) {
      if (equalBytes(probe.nonce, talk.nonces[size])) talk.answered.add(size);
    }
    return [];
  }

  #frame(probe: Pick<Probe, "kind" | "receiver" | "nonce">): Bytes {
    const { checkId, index, mtuBytes } = this.#ends;
    return encodeProbe({ ...probe, checkId, sender: index }, mtuBytes);
  }
}
