import { canonicalJson, type Json } from "../../../src/base/mod.ts";
import type { ConfirmedRead, Entry, MemberId, Raft, Ready } from "../../../src/raft/mod.ts";
import type { ClusterState, Entry as Command, Outcome } from "../../../src/state/mod.ts";
import type { Checker } from "./checker.ts";
import type { Program } from "./program.ts";

/** What a client may ask of a manager. */
export type Request =
  | { readonly kind: "write"; readonly command: Omit<Command, "at"> }
  | { readonly kind: "read"; readonly networkId: string };

/** What a manager answers. Whoever hears nothing, or `lost`, does not know whether it was done. */
export type Answer =
  | { readonly kind: "refused"; readonly leader: MemberId | null; readonly timeMs: number }
  | { readonly kind: "lost" }
  | { readonly kind: "done"; readonly outcome: Outcome; readonly timeMs: number }
  | {
    readonly kind: "seen";
    readonly network: { readonly value: string; readonly revision: number } | null;
    readonly timeMs: number;
  };

/** Takes an answer. */
export type Reply = (answer: Answer) => void;

/** The state of one manager in one of its lives, and the clients who wait for it. */
export class Service {
  readonly #id: MemberId;
  readonly #program: Program;
  readonly #checker: Checker;
  readonly #clockMs: () => number;
  #state: ClusterState;
  readonly #proposals = new Map<number, { readonly term: number; readonly reply: Reply }>();
  readonly #reads = new Map<number, { readonly networkId: string; readonly reply: Reply }>();
  #confirmed: ConfirmedRead[] = [];

  constructor(
    options: {
      readonly id: MemberId;
      readonly program: Program;
      readonly checker: Checker;
      readonly clockMs: () => number;
      readonly snapshot: Uint8Array;
    },
  ) {
    this.#id = options.id;
    this.#program = options.program;
    this.#checker = options.checker;
    this.#clockMs = options.clockMs;
    const { ClusterState, decodeSnapshot } = options.program.state;
    this.#state = options.snapshot.length === 0
      ? ClusterState.empty()
      : decodeSnapshot(options.snapshot);
  }

  /** The later of the state's time and the clock. */
  get timeMs(): number {
    return Math.max(this.#state.timeMs, this.#clockMs());
  }

  /** All of the state. */
  encode(): Uint8Array {
    return this.#program.state.encodeSnapshot(this.#state);
  }

  /** A client asks. */
  serve(raft: Raft, request: Request, reply: Reply): void {
    const { timeMs } = this;
    if (request.kind === "read") {
      const read = raft.requestRead();
      if (read.ok) this.#reads.set(read.id, { networkId: request.networkId, reply });
      else reply({ kind: "refused", leader: raft.leader, timeMs });
      return;
    }
    const entry = { ...request.command, at: timeMs } as Command;
    const proposed = raft.propose(this.#program.state.encodeEntry(entry));
    if (!proposed.ok) return reply({ kind: "refused", leader: raft.leader, timeMs });
    const { index, term } = proposed.position;
    this.#proposals.get(index)?.reply({ kind: "lost" });
    this.#proposals.set(index, { term, reply });
  }

  /** Step 4 of the core's contract. */
  apply(ready: Ready, snapshot: Uint8Array, appliedBefore: number): void {
    if (ready.snapshot !== null) this.#state = this.#program.state.decodeSnapshot(snapshot);
    for (const entry of ready.committed) this.#applyEntry(entry);
    for (const id of ready.lostReads) this.#answerRead(id, { kind: "lost" });
    const applied = ready.committed.at(-1)?.index ?? appliedBefore;
    const waiting = [...this.#confirmed, ...ready.reads];
    this.#confirmed = waiting.filter(({ index }) => index > applied);
    for (const { id, index } of waiting) if (index <= applied) this.#serveRead(id);
  }

  #applyEntry(entry: Entry): void {
    const proposal = this.#proposals.get(entry.index);
    this.#proposals.delete(entry.index);
    if (entry.kind !== "data") {
      proposal?.reply({ kind: "lost" });
      return;
    }
    const { decodeEntry } = this.#program.state;
    const { outcome, repeated } = this.#state.apply(decodeEntry(entry.data));
    // A snapshot may have changed the order of an object's members.
    const answer: Json = [JSON.parse(JSON.stringify(outcome)), repeated];
    this.#checker.checkAnswer(this.#id, entry, canonicalJson(answer));
    if (proposal?.term === entry.term) {
      proposal.reply({ kind: "done", outcome, timeMs: this.timeMs });
    } else {
      proposal?.reply({ kind: "lost" });
    }
  }

  #serveRead(id: number): void {
    const network = this.#state.networks.get(this.#reads.get(id)?.networkId ?? "");
    const { timeMs } = this;
    this.#answerRead(id, {
      kind: "seen",
      network: network === undefined
        ? null
        : { value: network.labels.value ?? "", revision: network.revision },
      timeMs,
    });
  }

  #answerRead(id: number, answer: Answer): void {
    this.#reads.get(id)?.reply(answer);
    this.#reads.delete(id);
  }
}
