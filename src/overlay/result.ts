import type { Id } from "../base/mod.ts";
import type { Desired } from "./desired.ts";

/** Why the kernel does not have something that it should have. It is tried again by itself. */
export interface Problem {
  /** Null for the remains of a network that nobody knows any more. */
  readonly networkId: Id | null;
  /** Null when it concerns the whole network. */
  readonly endpointId: Id | null;
  /** One sentence for a person, with the kernel's own words. */
  readonly message: string;
}

/** What became of the newest desired state. */
export interface ReconcileResult {
  /** The very object that `setDesired` was given; null before the first. */
  readonly desired: Desired | null;
  /** Empty when the kernel has all of it but what waits or is gone. */
  readonly problems: readonly Problem[];
  /** Endpoints that are in their workload now. */
  readonly attached: readonly Id[];
  /** Endpoints whose path stands for no namespace yet; they are attached when it does. */
  readonly waiting: readonly Id[];
  /** Endpoints whose workload has ended: its process, or the namespace they were attached to. */
  readonly gone: readonly Id[];
}

/** Figures for status and metrics. */
export interface ReconcilerStats {
  /** Rounds of look, plan, apply. */
  readonly rounds: number;
  /** How long the newest round took, with the time that others had in between. */
  readonly lastRoundMs: number;
  /** The newest round that read everything anew and found nothing to do; null before the first. */
  readonly lastNoopMs: number | null;
  /** Operations that put back what somebody else had changed. */
  readonly repairs: number;
  /** The longest time for which this held the thread. */
  readonly longestSliceMs: number;
  /** How late the newest timer came: what anything in this process had to wait. */
  readonly eventLoopDelayMs: number;
}
