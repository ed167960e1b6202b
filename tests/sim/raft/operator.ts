import type { MembershipChange } from "../../../src/raft/mod.ts";
import { Disk } from "./disk.ts";
import { Manager, type World } from "./manager.ts";

/** Changes the membership, as people do: step by step, and again until it is done. */
export class Operator {
  /** How often the membership was to be changed. */
  changes = 0;
  readonly #world: World;
  readonly #managers: Manager[];
  readonly #gone = new Set<Manager>();
  readonly #leaving = new Set<Manager>();
  readonly #joining = new Set<Manager>();
  #joined = 0;

  constructor(world: World, managers: Manager[]) {
    this.#world = world;
    this.#managers = managers;
  }

  /** Whether a manager was switched off for good. */
  isGone(manager: Manager): boolean {
    return this.#gone.has(manager);
  }

  /** A new manager comes, learns, and votes. */
  join(): boolean {
    if (this.#managers.length - this.#gone.size >= 7) return false;
    this.#add();
    return true;
  }

  /** Some manager goes. */
  remove(): boolean {
    const present = this.#present();
    if (present.length <= 3) return false;
    this.#retire(this.#world.prng.pick(present));
    return true;
  }

  /** One whose disk has lost data goes, and comes back as another. */
  replace(manager: Manager): void {
    this.#retire(manager);
    this.#add();
  }

  /** The leader is to hand over. */
  transfer(): boolean {
    const leader = this.#managers.find((manager) => manager.leads);
    const voters = leader?.status?.membership.voters ?? [];
    if (leader === undefined || voters.length === 0) return false;
    const to = this.#world.prng.pick(voters);
    leader.operate((raft) => raft.transferLeadership(to));
    return true;
  }

  #present(): Manager[] {
    return this.#managers.filter((manager) =>
      ![this.#gone, this.#leaving, this.#joining].some((absent) => absent.has(manager))
    );
  }

  #add(): void {
    const manager = new Manager(
      `new${++this.#joined}`,
      new Disk({ voters: [], learners: [] }),
      this.#world,
    );
    this.#managers.push(manager);
    this.#joining.add(manager);
    manager.start();
    this.#insist({ kind: "add-learner", id: manager.id });
  }

  #retire(manager: Manager): void {
    this.#leaving.add(manager);
    this.#insist({ kind: "remove", id: manager.id });
  }

  /** Asks whoever leads for a change, until the membership shows it on a leader, committed. */
  #insist(change: MembershipChange): void {
    const { prng, timeline } = this.#world;
    const leader = this.#managers.find((manager) => manager.leads);
    const status = leader?.status;
    const subject = this.#managers.find(({ id }) => id === change.id);
    if (subject === undefined) return;
    // Its disk has lost data while it was coming: it goes instead.
    if (change.kind !== "remove" && this.#leaving.has(subject)) return;
    let done = false;
    if (leader !== undefined && status !== null && status !== undefined) {
      const { voters, learners } = status.membership;
      done = change.kind === "remove"
        ? !voters.includes(change.id) && !learners.includes(change.id)
        : voters.includes(change.id);
      const wanted: MembershipChange = change.kind !== "remove" && learners.includes(change.id)
        ? { kind: "promote", id: change.id }
        : change;
      if (!done) leader.operate((raft) => raft.changeMembership(wanted));
      done &&= status.commit === status.last.index;
    }
    if (!done) {
      timeline.after(prng.between(20, 200), () => this.#insist(change));
      return;
    }
    this.changes++;
    this.#joining.delete(subject);
    if (change.kind !== "remove") return;
    // It goes on for a while, not knowing that it was removed.
    timeline.after(prng.between(0, 1500), () => {
      this.#gone.add(subject);
      subject.crash("switched off");
    });
  }
}
