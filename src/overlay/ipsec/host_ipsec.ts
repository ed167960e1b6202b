import type { Clock, Id, IpFamily } from "../../base/mod.ts";
import type { Desired, DesiredNetwork } from "../desired.ts";
import type { KeyRing } from "../key_ring.ts";
import type { EncryptionStatus } from "../result.ts";
import type { Slicer } from "../slicer.ts";
import { applyXfrm } from "./apply.ts";
import {
  closeKernelIpsec,
  type KernelIpsec,
  type KernelIpsecOptions,
  openKernelIpsec,
} from "./kernel_ipsec.ts";
import type { IpsecNews } from "./live.ts";
import { SaKeys } from "./keys.ts";
import { guardedPeers } from "./leftovers.ts";
import { openPeers, previewPeers } from "./open_peers.ts";
import { formatIpsecOperation, type IpsecOperation } from "./operation.ts";
import { IpsecPicture } from "./picture.ts";
import { planBlocks, planPolicySweep } from "./plan_slot.ts";
import { HostSettings } from "./settings.ts";
import { StandingBook } from "./standing_book.ts";
import { Sweeper } from "./sweeper.ts";
import { NO_WANTS, type SlotWant, updateWants, type WantChange } from "./want.ts";

/** Told what is done. */
export type Note = (operations: readonly IpsecOperation[], why: "desired" | "repair") => void;

/** What a {@linkcode HostIpsec} works with. */
export interface HostIpsecOptions extends KernelIpsecOptions {
  readonly slicer: Slicer;
  readonly clock: Clock;
  readonly keys: KeyRing;
}

const NO_SLOT = "its slot is that of another network, too: delete one of the two";

/**
 * Policies, SAs, guard and settings of the host, for all of its encrypted networks.
 *
 * A network's sandbox comes up between {@linkcode prepare} (blocks and guard stand: from now on nothing of
 * it leaves in the clear) and {@linkcode open} (peers' SAs and policies); {@linkcode sweep} takes away what
 * nobody wants, in the opposite order. Until each has answered that it was done, the next must not begin.
 */
export class HostIpsec {
  readonly #options: HostIpsecOptions;
  readonly #keys: SaKeys;
  readonly #settings: HostSettings;
  readonly #sweeper: Sweeper;
  readonly #book = new StandingBook();
  /** Null while nothing is encrypted here. */
  #kernel: KernelIpsec | null = null;
  #looked = false;
  #fault: string | null = null;
  #refusal: string | null = null;
  #desired: Desired | null = null;
  #wants = NO_WANTS;
  /** What of a network's peers has to be looked at. */
  readonly #due = new Map<Id, WantChange>();
  /** Networks of which somebody else has changed something. */
  readonly #changed = new Set<Id>();

  constructor(options: HostIpsecOptions) {
    this.#options = options;
    this.#keys = new SaKeys(options.keys);
    this.#settings = new HostSettings(options.host, options.namespace);
    this.#sweeper = new Sweeper(this.#settings, options.keys, options.clock);
  }

  /** Whether a round has something to do here. */
  get hasWork(): boolean {
    return this.#kernel?.live.isDoubtful === true || this.#kernel?.guard.isDoubtful === true;
  }

  /** Why there is no second guard on this host; null when there is one, or none is needed. */
  get guardLack(): string | null {
    return this.#kernel?.guard.lack ?? null;
  }

  /** Why the kernel's state is not known, so that nothing can be done; null when it is. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Has everything read anew. Where nothing is encrypted, nothing is read. */
  distrust(): void {
    this.#kernel?.live.distrust();
    this.#kernel?.guard.distrust();
  }

  /**
   * A second has passed: looks at what nobody tells of.
   *
   * @returns whether all networks have to be gone over
   */
  tick(): boolean {
    this.#kernel?.guard.tick();
    const drained = this.drainedInMs === 0;
    const family = this.#family;
    if (family === null) return drained;
    const keys = this.#keys.refresh();
    if (keys) this.#expectAll();
    const before = this.#refusal;
    this.#refusal = this.#currentRefusal();
    this.#settings.lookAtLoopback(family);
    const loopback = this.#settings.loopbackChange(family) !== null;
    return keys || loopback || drained || this.#refusal !== before;
  }

  /** How long it takes until the blocks may go that wait for what was decrypted before; null: none waits. */
  get drainedInMs(): number | null {
    return this.#sweeper.drainedInMs;
  }

  /**
   * Takes in what is desired and looks at the kernel; to be called at the beginning of a round.
   *
   * @returns networks of which something is not as it was
   */
  async begin(desired: Desired): Promise<ReadonlySet<Id>> {
    const news = new Set(this.#want(desired));
    if (this.#keys.refresh()) { for (const id of this.#expectAll()) news.add(id); }
    const pause = () => this.#options.slicer.pause();
    try {
      this.#open();
      this.#fault = null;
      if (this.#kernel === null) return news;
      const { live, guard } = this.#kernel;
      for (const id of this.#takeNews(await live.look(pause))) news.add(id);
      this.#looked = true;
      if (await guard.look(guardedPeers(this.#wants), pause)) {
        for (const id of this.#wants.byNetwork.keys()) news.add(id);
        this.#sweeper.expect();
      }
      this.#refusal = this.#currentRefusal();
      if (this.#family !== null) this.#settings.lookAtLoopback(this.#family);
      return news;
    } catch (error) {
      this.#fault = `the host's IPsec state cannot be read: ${messageOf(error)}`;
      return news;
    }
  }

  /** Why this network cannot be encrypted on this host now; null when it can. */
  refusal({ id }: DesiredNetwork): string | null {
    return this.#wantOf(id) === null ? NO_SLOT : this.#refusal;
  }

  /** Whether the blocks stand: if they do not, the VXLAN device must not be up. */
  isBlocked({ id }: DesiredNetwork): boolean {
    const want = this.#wantOf(id);
    return want !== null && planBlocks(want.self.address.family, want, this.#picture).length === 0;
  }

  /**
   * Sees that the blocks and the guard stand.
   *
   * @returns why they do not; then the VXLAN device must not be up
   */
  async prepare({ id }: DesiredNetwork, note: Note): Promise<readonly string[]> {
    const want = this.#wantOf(id);
    if (want === null) return [NO_SLOT];
    const why = this.#changed.has(id) ? "repair" : "desired";
    const failures = await this.#prepareSlot(want, (operations) => note(operations, why));
    if (failures.length > 0) this.noteDown(id);
    return failures;
  }

  /** Notes that the network is not up: nobody may be told to send to it. */
  noteDown(id: Id): void {
    this.#book.noteDown(id);
    this.#due.set(id, "all");
  }

  /**
   * Sees to the SAs and the policies of the network's peers; to be called when its VXLAN device is up.
   *
   * @returns why some are not as they should be
   */
  async open({ id }: DesiredNetwork, note: Note): Promise<readonly string[]> {
    const want = this.#wantOf(id);
    const due = this.#due.get(id);
    if (want === null || due === undefined || this.#kernel === null) return [];
    const peers = due === "all"
      ? [...want.peers.values()]
      : [...due].flatMap((node) => want.peers.get(node) ?? []);
    const why = this.#changed.has(id) ? "repair" : "desired";
    const { slicer } = this.#options;
    const { failures, standings } = await openPeers({
      live: this.#kernel.live,
      slicer,
      keys: this.#keys,
      want,
      note: (operations) => note(operations, why),
    }, peers);
    this.#book.note(want, standings);
    if (failures.length > 0) return failures;
    this.#due.delete(id);
    this.#changed.delete(id);
    return [];
  }

  /**
   * Closes a network's peers, before its VXLAN device goes.
   *
   * @param port of that device
   */
  async closePeers(port: number, note: Note): Promise<readonly string[]> {
    if (this.#kernel === null) return [];
    const operations = planPolicySweep(port, null, this.#picture);
    note(operations, "desired");
    return await applyXfrm(this.#kernel.live, this.#options.slicer, operations);
  }

  /**
   * Takes away what nobody wants any more: policies, then SAs, then, where no SA is left, blocks and guard.
   *
   * @param portsInUse ports of VXLAN devices that are there
   * @returns why some could not be taken away
   */
  async sweep(portsInUse: ReadonlySet<number>, note: Note): Promise<readonly string[]> {
    if (this.#kernel === null || this.#fault !== null || !this.#sweeper.isDue) return [];
    const failures = await this.#sweeper.sweep({
      kernel: this.#kernel,
      slicer: this.#options.slicer,
      wants: this.#wants,
      portsInUse,
      note: (operations) => note(operations, "desired"),
      prepare: (want, tell) => this.#prepareSlot(want, tell),
    });
    for (const [id, want] of this.#wants.byNetwork) {
      this.#book.forgetStatus(id);
      if (want.network === null) this.#due.delete(id);
    }
    return failures;
  }

  /** What the leader has to know, by network. */
  status(): ReadonlyMap<Id, EncryptionStatus> {
    return this.#book.status(this.#wants, this.#picture, this.#options.keys.journal);
  }

  /** What {@linkcode prepare} and {@linkcode open} would do; to be called after {@linkcode begin}. */
  preview({ id }: DesiredNetwork): readonly string[] {
    const want = this.#wantOf(id);
    if (want === null || this.#kernel === null) return [];
    const { blocks, guard, settings } = this.#planPrepare(want);
    return [
      ...[...blocks, ...guard, ...settings].map(formatIpsecOperation),
      ...previewPeers(want, this.#picture, this.#keys.state(want.self)),
    ];
  }

  /** What {@linkcode sweep} would do. */
  previewSweep(portsInUse: ReadonlySet<number>): readonly string[] {
    return this.#kernel === null
      ? []
      : this.#sweeper.preview(this.#kernel, this.#wants, portsInUse);
  }

  /** Closes everything; the kernel goes on. */
  close(): void {
    if (this.#kernel !== null) closeKernelIpsec(this.#kernel);
    this.#kernel = null;
  }

  get #picture(): IpsecPicture {
    return this.#kernel?.live.picture ?? new IpsecPicture();
  }

  get #family(): IpFamily | null {
    for (const want of this.#wants.slots.values()) return want.self.address.family;
    return null;
  }

  #wantOf(id: Id): SlotWant | null {
    const want = this.#wants.byNetwork.get(id) ?? null;
    return want === null || this.#wants.slots.get(want.slot) !== want ? null : want;
  }

  /** @returns networks of which something else is wanted than before */
  #want(desired: Desired): Iterable<Id> {
    if (desired === this.#desired) return [];
    const { wants, changes } = updateWants(this.#wants, desired);
    this.#desired = desired;
    this.#wants = wants;
    for (const [id, change] of changes) {
      const before = this.#due.get(id) ?? new Set<Id>();
      const all = before === "all" || change === "all";
      this.#due.set(id, all ? "all" : new Set([...before, ...change]));
      if (change === "all") this.#sweeper.expect();
      if ((wants.byNetwork.get(id)?.network ?? null) === null) this.noteDown(id);
      if (!wants.byNetwork.has(id)) this.#due.delete(id);
      this.#book.forgetStatus(id);
      this.#kernel?.guard.expectPeers();
    }
    return changes.keys();
  }

  /** @returns all networks that this host is on */
  #expectAll(): readonly Id[] {
    const live = [...this.#wants.byNetwork].filter(([, { network }]) => network !== null);
    for (const [id] of live) this.#due.set(id, "all");
    return live.map(([id]) => id);
  }

  /** Opens the kernel's state where something is encrypted, or may be left of what was. */
  #open(): void {
    const needed = this.#wants.slots.size > 0 || !this.#looked || this.#sweeper.isDue;
    if (this.#kernel !== null) {
      const { live, guard } = this.#kernel;
      if (!needed && live.picture.isEmpty && guard.isEmpty) this.close();
      return;
    }
    if (!needed) return;
    try {
      this.#kernel = openKernelIpsec(this.#options);
    } catch (error) {
      // A kernel without IPsec has nothing of ours in it.
      this.#looked = true;
      if (this.#wants.slots.size > 0) throw error;
    }
  }

  /** @returns networks that it is about */
  #takeNews(news: IpsecNews): ReadonlySet<Id> {
    const found = new Set<Id>();
    if (news.full || news.slots.size > 0 || news.ports.size > 0) {
      this.#sweeper.expect();
      this.#sweeper.noteBlocks(this.#picture);
    }
    for (const [id, { slot, port, network }] of this.#wants.byNetwork) {
      if (!news.full && !news.slots.has(slot) && !news.ports.has(port)) continue;
      found.add(id);
      if (network === null) continue;
      this.#due.set(id, "all");
      if (this.#book.isUp(id)) this.#changed.add(id);
    }
    return found;
  }

  #currentRefusal(): string | null {
    const family = this.#family;
    if (family === null) return null;
    return this.#settings.refusal(family, this.#kernel?.guard.devices ?? []);
  }

  #planPrepare(want: SlotWant) {
    const { slot, port, self } = want;
    const { family } = self.address;
    const blocks = planBlocks(family, want, this.#picture);
    // A network that comes up must not rely on what was seen when a long round began.
    if (blocks.length > 0) this.#settings.lookAtLoopback(family);
    const change = this.#settings.loopbackChange(family);
    const settings: readonly IpsecOperation[] = change === null
      ? []
      : [{ kind: "set-host-setting", ...change }];
    return {
      blocks,
      guard: this.#kernel?.guard.plan([{ slot, port, family }]) ?? [],
      settings,
    };
  }

  async #prepareSlot(
    want: SlotWant,
    note: (operations: readonly IpsecOperation[]) => void,
  ): Promise<readonly string[]> {
    if (this.#kernel === null) return ["the kernel has no IPsec"];
    const { live, guard } = this.#kernel;
    const { slicer } = this.#options;
    const plan = this.#planPrepare(want);
    note([...plan.blocks, ...plan.guard, ...plan.settings]);
    const failures = [
      ...await applyXfrm(live, slicer, plan.blocks),
      ...await guard.apply(plan.guard, slicer),
    ];
    if (plan.settings.length === 0) return failures;
    try {
      this.#settings.setLoopback(want.self.address.family);
      return failures;
    } catch (error) {
      return [...failures, messageOf(error)];
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
