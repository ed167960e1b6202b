import type {
  Limits,
  MemberId,
  Membership,
  Message,
  Raft,
  Ready,
  Status,
} from "../../../src/raft/mod.ts";
import { type Checker, Violation } from "./checker.ts";
import { type Disk, DiskError } from "./disk.ts";
import type { Prng } from "./prng.ts";
import type { Program } from "./program.ts";
import { type Reply, type Request, Service } from "./service.ts";
import type { Timeline } from "./timeline.ts";

/** What managers have in common. */
export interface World {
  readonly program: Program;
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly checker: Checker;
  readonly send: (message: Message) => void;
  readonly managers: () => readonly Manager[];
  readonly limits: Partial<Limits>;
  readonly trace: (line: () => string) => void;
  /** Snapshots of the state by index: equal states need not be encoded on every manager. */
  readonly snapshots: Map<number, Uint8Array>;
}

/** What is done with one {@linkcode Ready}, step by step. The process may die before each. */
const STAGES = ["early", "write", "sync", "floor", "send", "apply", "advance"] as const;
/** Where a manager may die. */
export type Stage = typeof STAGES[number];
/** One of {@linkcode STAGES}, drawn. */
export function drawStage(prng: Prng): Stage {
  return prng.pick(STAGES);
}

/** Ticks of 20 ms, so elections take 200 to 400 ms: much happens in little simulated time. */
export const TICK_MS = 20;
/** Small, so that much of what is rare happens; and others in each run. */
export function drawLimits(prng: Prng): Partial<Limits> {
  return {
    electionTicks: 10,
    heartbeatTicks: 2,
    maxAppendBytes: prng.pick([1, 1000, 3000]),
    maxInflight: prng.pick([1, 4, 16]),
    maxApplyBytes: prng.pick([1, 4000]),
    snapshotPartBytes: prng.pick([4000, 100_000]),
  };
}
const SNAPSHOT_EVERY = 30;
/** What all clocks show at the beginning. */
const START_MS = 1_700_000_000_000;

/** One manager: the shell around the core, with a disk that can fail, and a clock that goes wrong. */
export class Manager {
  readonly id: MemberId;
  readonly disk: Disk;
  readonly #world: World;
  #raft: Raft | null = null;
  #service: Service;
  /** Distinguishes what was planned before a crash from what is now. */
  #life = 0;
  #ready: Ready | null = null;
  #stage = 0;
  /** The last term that it led. */
  #lastLed = 0;
  /** With which membership it works, as of what is being written. */
  #membership: Membership = { voters: [], learners: [] };
  /** Whether what is being written is the first of its term. */
  #newlyLeads = false;
  /** Where it dies next time it gets there. */
  dieAt: Stage | null = null;
  /** How long an fsync takes. */
  syncMs = 0;
  /** How much the wall clock is off. */
  skewMs = 0;
  /** How fast its ticks come: 1 is right. */
  speed = 1;
  /** It stands still until then. */
  pausedUntilMs = 0;

  constructor(id: MemberId, disk: Disk, world: World) {
    this.id = id;
    this.disk = disk;
    this.#world = world;
    this.#service = this.#newService();
  }

  /** Whether the process runs. */
  get runs(): boolean {
    return this.#raft !== null;
  }

  /** Whether it leads, as far as it knows. */
  get leads(): boolean {
    return this.#raft?.role === "leader";
  }

  /** Why it takes no part, or null. */
  get damage(): string | null {
    return this.#raft?.damage ?? null;
  }

  get status(): Status | null {
    return this.#raft?.status() ?? null;
  }

  /** All of its state, as bytes. */
  encodeState(): Uint8Array {
    return this.#service.encode();
  }

  /** The process starts, with what is on the disk. */
  start(): void {
    const { program, prng, timeline } = this.#world;
    this.#life++;
    this.#service = this.#newService();
    this.#raft = new program.raft.Raft({
      id: this.id,
      storage: this.disk,
      random: prng,
      floor: this.disk.floor(),
      limits: this.#world.limits,
    });
    this.#trace(() => `starts${this.damage === null ? "" : `: ${this.damage}`}`);
    const life = this.#life;
    const tick = () => {
      if (life !== this.#life) return;
      this.#act((raft) => raft.tick());
      timeline.after(Math.round(TICK_MS / this.speed) + prng.below(3), tick);
    };
    timeline.after(prng.below(TICK_MS), tick);
    this.#act(() => {});
  }

  /** The process is killed, or the machine loses its power. */
  crash(why: string): void {
    if (this.#raft === null) return;
    this.#trace(() => `crashes (${why})`);
    this.#life++;
    this.#raft = null;
    this.#ready = null;
    this.dieAt = null;
    this.disk.crash(this.#world.prng);
  }

  /** A message comes in. */
  receive(message: Message): void {
    this.#unlessPaused(() =>
      this.#act((raft) => {
        const complaint = raft.step(message);
        if (complaint === null) return;
        throw new Violation(`${this.id} complains about an honest message: ${complaint.reason}`);
      })
    );
  }

  /** A client asks. */
  request(request: Request, reply: Reply): void {
    this.#unlessPaused(() => this.#act((raft) => this.#service.serve(raft, request, reply)));
  }

  /** An operator asks. */
  operate(operation: (raft: Raft) => void): void {
    this.#unlessPaused(() => this.#act(operation));
  }

  #newService(): Service {
    const { checker, program, timeline } = this.#world;
    return new Service({
      id: this.id,
      program,
      checker,
      clockMs: () => START_MS + timeline.nowMs + this.skewMs,
      snapshot: this.disk.snapshotBytes(),
    });
  }

  #unlessPaused(act: () => void): void {
    const { timeline } = this.#world;
    const { pausedUntilMs } = this;
    if (pausedUntilMs <= timeline.nowMs) return act();
    const life = this.#life;
    timeline.after(pausedUntilMs - timeline.nowMs, () => life === this.#life && act());
  }

  /** Does something with the core, looks whether all is well, and does what there is to do. */
  #act(action: (raft: Raft) => void): void {
    if (this.#raft === null || this.pausedUntilMs > this.#world.timeline.nowMs) return;
    action(this.#raft);
    this.#check();
    if (this.#ready === null) this.#work();
  }

  #check(): void {
    const { checker, managers } = this.#world;
    if (this.damage !== null && !this.disk.hasLostData) {
      throw new Violation(
        `${this.id} says that its disk has lost data, which is not so: ${this.damage}`,
      );
    }
    if (this.#raft !== null) checker.checkStanding(this, this.#raft.status(), managers());
  }

  #work(): void {
    while (this.#raft !== null && this.#ready === null) {
      this.#ready = this.#raft.ready();
      if (this.#ready === null) return;
      const { membership, role, term } = this.#raft.status();
      this.#membership = membership;
      this.#newlyLeads = role === "leader" && term !== this.#lastLed;
      if (this.#newlyLeads) this.#lastLed = term;
      this.#stage = 0;
      this.#continue();
    }
  }

  /** Goes through the stages: at once, or with others' events in between. */
  #continue(): void {
    const { prng, timeline } = this.#world;
    for (; this.#ready !== null; this.#stage++) {
      const stage = STAGES[this.#stage];
      if (stage === undefined) {
        this.#ready = null;
        return;
      }
      try {
        this.#do(stage, this.#ready);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        return this.crash(error.message);
      }
      const waitMs = stage === "write" && this.#ready?.mustSync === true ? this.syncMs : 0;
      if (waitMs === 0 && !prng.chance(0.15)) continue;
      const life = this.#life;
      this.#stage++;
      timeline.after(waitMs + prng.below(3), () => {
        if (life !== this.#life) return;
        this.#unlessPaused(() => {
          this.#continue();
          this.#work();
        });
      });
      return;
    }
  }

  #do(stage: Stage, ready: Ready): void {
    const { checker, prng, send } = this.#world;
    if (this.dieAt === stage) {
      const messages = { early: ready.early, send: ready.messages }[String(stage)] ?? [];
      prng.shuffle(messages).slice(1).forEach(send);
      return this.crash(`before ${stage}`);
    }
    switch (stage) {
      case "early":
        return ready.early.forEach(send);
      case "write":
        this.disk.write(ready);
        checker.checkWritten(this, ready, this.#membership);
        if (this.#newlyLeads) checker.checkComplete(this, this.#lastLed);
        return;
      case "sync":
        if (ready.mustSync) this.disk.sync();
        return;
      case "floor":
        if (ready.mustSync) this.disk.writeFloor(ready.hardState?.serial ?? 0);
        return;
      case "send":
        return ready.messages.forEach(send);
      case "apply":
        return this.#apply(ready);
      case "advance":
        this.#raft?.advance();
        this.#check();
        return this.#compact();
    }
  }

  #apply(ready: Ready): void {
    if (this.#raft === null) return;
    this.#world.checker.checkCommitted(this, ready.committed);
    if (ready.snapshot !== null) this.#trace(() => `restores ${ready.snapshot?.index}`);
    this.#service.apply(ready, this.disk.snapshotBytes(), this.#raft.status().applied);
  }

  /** Makes a snapshot now and then. */
  #compact(): void {
    const { prng, snapshots } = this.#world;
    const raft = this.#raft;
    if (raft === null || raft.damage !== null) return;
    const meta = raft.snapshotMeta();
    if (meta === null || meta.index < this.disk.snapshot().index + SNAPSHOT_EVERY) return;
    const cached = snapshots.get(meta.index);
    const bytes = cached === undefined || prng.chance(0.1) ? this.encodeState() : cached;
    if (cached !== undefined && !isEqual(bytes, cached)) {
      throw new Violation(`The state of ${this.id} at entry ${meta.index} differs from others'`);
    }
    snapshots.set(meta.index, bytes);
    this.#world.checker.checkSnapshot(this, meta);
    this.disk.writeSnapshot(meta, bytes, prng.pick([0, 5, 20]));
    this.#trace(() => `makes a snapshot at ${meta.index}, ${bytes.length} bytes`);
  }

  #trace(line: () => string): void {
    this.#world.trace(() => `${this.id} ${line()}`);
  }
}

export function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
