import type { MemberId } from "../../../src/raft/mod.ts";
import { drawStage, type Manager, type World } from "./manager.ts";
import type { Network } from "./network.ts";
import type { Operator } from "./operator.ts";

/** Everything that goes wrong, or is done on purpose, while clients work. */
export const FAULTS = [
  "crash",
  "crash in the middle",
  "crash of all",
  "flapping",
  "rival candidates",
  "partition",
  "one-way cut",
  "leader cut off",
  "loss and doubles",
  "delay",
  "pause",
  "clock jump",
  "clock drift",
  "slow disk",
  "failed fsync",
  "full disk",
  "lost data",
  "join",
  "removal",
  "transfer",
  "contested change",
] as const;
export type Fault = typeof FAULTS[number];

/** Brings faults, each for a while. Which kinds, is drawn for each run: too many at once hide each other. */
export class Faults {
  /** How often each happened. */
  readonly counts: Map<Fault, number> = new Map();
  readonly #world: World;
  readonly #network: Network;
  readonly #operator: Operator;
  readonly #kinds: readonly Fault[];
  #over = false;

  constructor(
    world: World,
    network: Network,
    operator: Operator,
    kinds: readonly Fault[] | undefined,
  ) {
    this.#world = world;
    this.#network = network;
    this.#operator = operator;
    this.#kinds = kinds ?? world.prng.shuffle(FAULTS).slice(0, world.prng.between(3, 9));
  }

  /** Goes on until {@linkcode stop}. */
  run(): void {
    const { prng, timeline } = this.#world;
    timeline.after(prng.between(50, 600), () => {
      if (this.#over) return;
      this.#bring(prng.pick(this.#kinds));
      this.run();
    });
  }

  /** Everything is well again: what was down is started, what was cut is joined. */
  stop(): void {
    this.#over = true;
    this.#network.heal();
    for (const manager of this.#world.managers()) this.#restore(manager);
  }

  #bring(fault: Fault): void {
    const { prng } = this.#world;
    const running = this.#world.managers().filter((manager) => manager.runs);
    if (running.length === 0) return;
    const victim = prng.pick(running);
    if (!this.#inflict(fault, victim, running)) return;
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    this.#world.trace(() => `--- ${fault} (${victim.id})`);
  }

  #inflict(fault: Fault, victim: Manager, running: readonly Manager[]): boolean {
    const { prng } = this.#world;
    switch (fault) {
      case "crash":
        victim.crash("fault");
        return this.#later(50, 1500, () => this.#restore(victim));
      case "crash in the middle":
        victim.dieAt = drawStage(prng);
        return this.#later(100, 1500, () => this.#restore(victim));
      case "crash of all":
        for (const manager of running) {
          manager.crash("fault");
          this.#later(50, 700, () => this.#restore(manager));
        }
        return true;
      case "flapping":
        for (let after = prng.between(1, 30); after < 600; after += prng.between(3, 60)) {
          this.#later(after, after, () => {
            if (this.#over) return;
            victim.crash("flapping");
            this.#restore(victim);
          });
        }
        return true;
      case "rival candidates":
        return this.#rival(running);
      case "contested change":
        return this.#contest();
      case "pause":
        victim.pausedUntilMs = this.#world.timeline.nowMs + prng.between(50, 1200);
        return true;
      case "clock jump":
        victim.skewMs += prng.between(-20_000, 20_000);
        return true;
      case "clock drift":
        victim.speed = prng.pick([0.2, 0.5, 0.8, 1, 1.3, 3]);
        return true;
      case "slow disk":
        victim.syncMs = prng.pick([5, 30, 150, 500]);
        return this.#later(200, 1500, () => victim.syncMs = 0);
      case "failed fsync":
        victim.disk.failNextSync = true;
        return this.#later(100, 1500, () => this.#restore(victim));
      case "full disk":
        victim.disk.full = true;
        return this.#later(100, 1500, () => this.#restore(victim));
      case "lost data":
        return this.#loseData(victim);
      case "join":
        return this.#operator.join();
      case "removal":
        return this.#operator.remove();
      case "transfer":
        return this.#operator.transfer();
      default:
        return this.#disturbNetwork(fault, victim);
    }
  }

  #disturbNetwork(fault: Fault, victim: Manager): boolean {
    const { prng } = this.#world;
    const network = this.#network;
    const ids = this.#world.managers().map(({ id }) => id);
    switch (fault) {
      case "partition":
        this.#separate(prng.shuffle(ids).slice(0, prng.between(1, ids.length)));
        break;
      case "one-way cut": {
        const others = prng.chance(0.5) ? ids : [prng.pick(ids)];
        const inwards = prng.chance(0.5);
        for (const id of others) {
          if (inwards) network.cut(id, victim.id);
          else network.cut(victim.id, id);
        }
        break;
      }
      case "leader cut off": {
        const leader = this.#world.managers().find((manager) => manager.leads);
        if (leader === undefined) return false;
        this.#separate([leader.id]);
        break;
      }
      case "loss and doubles":
        network.loss = prng.pick([0.02, 0.1, 0.3]);
        network.doubled = prng.pick([0, 0.1, 0.3]);
        break;
      default:
        network.maxDelayMs = prng.pick([20, 100, 400]);
    }
    return this.#later(200, 1500, () => network.heal());
  }

  /**
   * The leader is cut off, so that another is wanted, and several want to be it, at the same moment;
   * others are restarted while they vote, and answers are late.
   */
  #rival(running: readonly Manager[]): boolean {
    const { managers, prng } = this.#world;
    const leader = managers().find((manager) => manager.leads);
    if (leader !== undefined) this.#separate([leader.id]);
    this.#network.maxDelayMs = prng.pick([4, 30, 100]);
    const others = running.filter((manager) => manager !== leader);
    for (let burst = 200; burst < 1200; burst += prng.between(20, 120)) {
      for (const rival of prng.shuffle(others).slice(0, prng.between(1, 3))) {
        this.#later(burst, burst + 4, () => rival.operate((raft) => raft.campaign()));
      }
      if (others.length === 0 || prng.chance(0.3)) continue;
      const voter = prng.pick(others);
      this.#later(burst + 3, burst + 20, () => {
        if (this.#over) return;
        voter.crash("restarts while others want its vote");
        this.#restore(voter);
      });
    }
    return this.#later(1000, 1600, () => this.#network.heal());
  }

  /**
   * The leader is cut off together with whoever is learning, and promotes them at the same moment. The
   * next leader is to remove the old one, and is cut off in turn, while the old one stands again.
   */
  #contest(): boolean {
    const { managers, prng } = this.#world;
    const leader = managers().find((manager) => manager.leads);
    const membership = leader?.status?.membership;
    // With a disk lost there is none to spare.
    if (managers().some((manager) => manager.damage !== null)) return false;
    if (leader === undefined || membership === undefined || membership.learners.length === 0) {
      this.#operator.join();
      this.#operator.join();
      return false;
    }
    const { learners, voters } = membership;
    for (const id of learners) {
      leader.operate((raft) => raft.changeMembership({ kind: "promote", id }));
    }
    this.#separate([leader.id, ...learners]);
    const wait = (roundsLeft: number) => {
      const next = managers().find((manager) => manager.leads && manager !== leader);
      next?.operate((raft) => raft.changeMembership({ kind: "remove", id: leader.id }));
      if (next?.status?.membership.voters.includes(leader.id) === false) {
        const others = voters.filter((id) => id !== leader.id && id !== next.id);
        this.#network.heal();
        this.#separate([leader.id, ...learners, ...prng.shuffle(others).slice(0, 1)]);
        for (let after = 50; after < 800; after += 100) {
          this.#later(after, after, () => leader.operate((raft) => raft.campaign()));
        }
      } else if (roundsLeft > 0) {
        this.#later(1, 1, () => wait(roundsLeft - 1));
      }
    };
    wait(800);
    return this.#later(1500, 2500, () => this.#network.heal());
  }

  /** Nothing passes between these and the others. */
  #separate(ids: readonly MemberId[]): void {
    for (const { id: other } of this.#world.managers()) {
      if (ids.includes(other)) continue;
      for (const id of ids) {
        this.#network.cut(id, other);
        this.#network.cut(other, id);
      }
    }
  }

  /** Only one of the disks at a time, with all others well: more than that Raft does not promise. */
  #loseData(victim: Manager): boolean {
    const { managers, prng } = this.#world;
    if (managers().some((manager) => !manager.runs || manager.damage !== null)) return false;
    // Where two voters are left, or are about to be, none can be spared.
    const memberships = managers().map((manager) => manager.status?.membership.voters.length ?? 0);
    if (memberships.some((voters) => voters > 0 && voters < 3)) return false;
    victim.crash("its disk loses data");
    const lost = victim.disk.loseSynced(prng);
    victim.start();
    if (lost) this.#operator.replace(victim);
    return lost;
  }

  #later(lowMs: number, highMs: number, act: () => void): true {
    const { prng, timeline } = this.#world;
    timeline.after(prng.between(lowMs, highMs), act);
    return true;
  }

  #restore(manager: Manager): void {
    manager.disk.full = false;
    manager.disk.failNextSync = false;
    manager.dieAt = null;
    manager.syncMs = 0;
    if (!manager.runs && !this.#operator.isGone(manager)) manager.start();
  }
}
