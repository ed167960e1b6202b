import type { Clock, Id } from "../../base/mod.ts";
import type { KeyRing } from "../key_ring.ts";
import type { Slicer } from "../slicer.ts";
import { applyXfrm } from "./apply.ts";
import type { KernelIpsec } from "./kernel_ipsec.ts";
import { guardedPorts, keptSlots, sweepSteps } from "./leftovers.ts";
import { formatIpsecOperation, type IpsecOperation } from "./operation.ts";
import type { IpsecPicture } from "./picture.ts";
import { type BlockDeletion, planBlockSweep } from "./plan_slot.ts";
import type { HostSettings } from "./settings.ts";
import type { SlotWant, Wants } from "./want.ts";

/**
 * So long blocks stay when no SA of their slot is there any more. What was decrypted by the last of them may not
 * have been delivered yet: in transport mode the kernel does that in a workqueue (`xfrm_trans_reinject`; a tasklet before
 * Linux 6.2 and its stable kernels). Without a socket for it and without a block, the answer would be an ICMP error that
 * quotes it, in the clear. Nothing tells when the queue is empty; it is a matter of milliseconds.
 */
const DRAIN_MS = 2_000;

type Tell = (operations: readonly IpsecOperation[]) => void;

/** What a sweep works with. */
export interface SweepContext {
  readonly kernel: KernelIpsec;
  readonly slicer: Slicer;
  readonly wants: Wants;
  /** Ports of VXLAN devices that are there. */
  readonly portsInUse: ReadonlySet<number>;
  /** Told of what is done. */
  readonly note: Tell;
  /** Sees that the blocks and the guard of a network stand. */
  readonly prepare: (want: SlotWant, note: Tell) => Promise<readonly string[]>;
}

/** Takes away what nobody wants any more. */
export class Sweeper {
  readonly #settings: HostSettings;
  readonly #keys: KeyRing;
  readonly #clock: Clock;
  /** Slots that nobody wants and of which only blocks are there, that have to wait; since when. */
  #emptySinceMs = new Map<number, number>();
  #due = false;
  /** There were blocks of ours when the kernel was looked at, so the loopback link was changed by us. */
  #blocksSeen = false;
  /** Of each network, up to which epoch the journal was told that all have retired. */
  readonly #compacted = new Map<Id, number>();

  constructor(settings: HostSettings, keys: KeyRing, clock: Clock) {
    this.#settings = settings;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** How long it takes until all blocks that wait may go; null when none waits. */
  get drainedInMs(): number | null {
    if (this.#emptySinceMs.size === 0) return null;
    const last = Math.max(...this.#emptySinceMs.values());
    return Math.max(0, last + DRAIN_MS - this.#clock.monotonicMs());
  }

  /** Whether there may be something. */
  get isDue(): boolean {
    return this.#due;
  }

  /** There may be something. */
  expect(): void {
    this.#due = true;
  }

  /** Takes in what blocks there are. */
  noteBlocks(picture: IpsecPicture): void {
    this.#blocksSeen ||= picture.ports.some((port) =>
      [...picture.policies(port).values()].some(({ kind, slot }) =>
        kind === "block" && slot !== null
      )
    );
  }

  /**
   * Policies, then SAs, then, when what they have let in is through, the loopback link's setting, the blocks
   * and the guard: for those it has to be called again, after {@linkcode drainedInMs}.
   *
   * @returns why some could not be taken away
   */
  async sweep(context: SweepContext): Promise<readonly string[]> {
    const { kernel: { live, guard }, slicer, wants, portsInUse, note } = context;
    const failures: string[] = [];
    const apply = async (operations: readonly IpsecOperation[]) => {
      note(operations);
      failures.push(...await applyXfrm(live, slicer, operations));
      await slicer.pause();
    };
    for (const step of sweepSteps(wants, live.picture)) await apply(step());
    for (const want of keptSlots(wants, live.picture)) {
      failures.push(...await context.prepare(want, note));
    }
    const blocks = planBlockSweep(familyOf(wants), wants.slots, portsInUse, live.picture);
    this.#noteEmpty(blocks);
    const drained = this.#drained(blocks);
    if (drained.length === blocks.length) failures.push(...this.#restoreLoopback(context));
    await apply(drained);
    for (const { block } of drained) this.#emptySinceMs.delete(block.slot);
    const unguard = guard.planSweep(guardedPorts(wants, live.picture));
    note(unguard);
    failures.push(...await guard.apply(unguard, slicer));
    if (failures.length > 0) return failures;
    this.#due = drained.length < blocks.length;
    this.#compact(wants);
    return [];
  }

  /** What a sweep would do now, if nothing is refused. */
  preview(
    { live: { picture }, guard }: KernelIpsec,
    wants: Wants,
    portsInUse: ReadonlySet<number>,
  ): readonly string[] {
    const operations = [
      ...sweepSteps(wants, picture).flatMap((step) => step()),
      ...this.#drained(planBlockSweep(familyOf(wants), wants.slots, portsInUse, picture)),
      ...guard.planSweep(guardedPorts(wants, picture)),
    ];
    return operations.map(formatIpsecOperation);
  }

  #noteEmpty(blocks: readonly BlockDeletion[]): void {
    const nowMs = this.#clock.monotonicMs();
    const slots = new Set(blocks.map(({ block: { slot } }) => slot));
    this.#emptySinceMs = new Map(
      [...slots].map((slot) => [slot, this.#emptySinceMs.get(slot) ?? nowMs]),
    );
  }

  #drained(blocks: readonly BlockDeletion[]): readonly BlockDeletion[] {
    const nowMs = this.#clock.monotonicMs();
    return blocks.filter(({ block: { slot } }) =>
      nowMs - (this.#emptySinceMs.get(slot) ?? nowMs) >= DRAIN_MS
    );
  }

  /** Not later than the blocks: what is left of those tells that it was us who changed it. */
  #restoreLoopback({ kernel, wants, portsInUse, note }: SweepContext): readonly string[] {
    const { picture } = kernel.live;
    const live = [...wants.slots.values()].some(({ network }) => network !== null);
    if (live || picture.slots.length > 0 || portsInUse.size > 0) return [];
    const found = this.#blocksSeen ? "changed-by-us" : "unknown";
    this.#blocksSeen = false;
    for (const family of [4, 6] as const) {
      const change = this.#settings.loopbackRestoration(family, found);
      if (change === null) continue;
      note([{ kind: "set-host-setting", ...change }]);
      try {
        this.#settings.restoreLoopback(change);
      } catch (error) {
        return [error instanceof Error ? error.message : String(error)];
      }
    }
    return [];
  }

  /** Records of epochs of which no SA is there any more are of no use. */
  #compact({ slots }: Wants): void {
    const retired = new Map<Id, number>();
    for (const { networkId, epochs } of slots.values()) {
      const last = (epochs.at(-1) ?? 1) - 1;
      if (last > (this.#compacted.get(networkId) ?? 0)) retired.set(networkId, last);
    }
    if (retired.size === 0) return;
    this.#keys.compact(retired);
    for (const [id, epoch] of retired) this.#compacted.set(id, epoch);
  }
}

function familyOf({ slots }: Wants) {
  for (const { self } of slots.values()) return self.address.family;
  return null;
}
