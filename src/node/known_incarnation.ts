import type { ManagerAddress, Projection } from "../state/mod.ts";
import type { IdentityStore, Incarnation } from "./identity.ts";
import { NodeError } from "./node_error.ts";

/** Header by which a node says which incarnation it has heard of: a manager of an earlier one refuses. */
export const INCARNATION_HEADER = "agent-incarnation";

/**
 * Which life of the cluster this node lives in, over all restarts. Managers of an earlier one may come
 * back with their disks, all of them, and with a quorum: their certificates are good, and what they say
 * was true once. Nothing of it may be taken: what they call gone may be there, and their keys are known
 * to who knows what.
 */
export class KnownIncarnation {
  readonly #store: IdentityStore;
  #known: Incarnation | null;
  /** Of the record, as text. */
  #managers: string;

  /** As the record on disk says. */
  constructor(store: IdentityStore) {
    this.#store = store;
    const { incarnation, managers } = store.readRecord();
    this.#known = incarnation ?? null;
    this.#managers = JSON.stringify(managers);
  }

  /** Null before the first projection. */
  get known(): Incarnation | null {
    return this.#known;
  }

  /** For {@linkcode INCARNATION_HEADER}; null before the first projection. */
  get text(): string | null {
    return this.#known === null ? null : `${this.#known.generation}.${this.#known.id}`;
  }

  /**
   * Whether a projection may be taken.
   *
   * @throws {NodeError} `superseded` when it is of an earlier incarnation, or of another one beside this
   */
  check({ generation, incarnation }: Pick<Projection, "generation" | "incarnation">): void {
    const known = this.#known;
    if (known === null || generation > known.generation) return;
    if (generation === known.generation && incarnation === known.id) return;
    const which = generation === known.generation ? "another" : "an earlier";
    throw new NodeError(
      "superseded",
      `This manager speaks for ${which} incarnation of the cluster (${incarnation}, generation ` +
        `${generation}), and this node is in ${known.id}, generation ${known.generation}: nothing of it ` +
        "is taken. Stop the agent there, run `agent leave --force`, and join again",
    );
  }

  /** A person has said which managers there are. */
  follow(managers: readonly ManagerAddress[]): void {
    this.#store.writeRecord({ ...this.#store.readRecord(), managers });
    this.#managers = JSON.stringify(managers);
  }

  /** A projection is taken, with these managers: on disk when this returns, before anything is done. */
  take(
    { generation, incarnation }: Pick<Projection, "generation" | "incarnation">,
    managers: readonly ManagerAddress[],
  ): void {
    const text = JSON.stringify(managers);
    const isNew = this.#known?.generation !== generation || this.#known.id !== incarnation;
    if (!isNew && text === this.#managers) return;
    const known = { generation, id: incarnation };
    this.#store.writeRecord({ ...this.#store.readRecord(), managers, incarnation: known });
    this.#known = known;
    this.#managers = text;
  }
}
