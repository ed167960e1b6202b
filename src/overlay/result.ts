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

/** What the kernel has of an encrypted network's SAs, as the leader has to know it. */
export interface EncryptionStatus {
  /**
   * Epochs of which there are SAs, ascending, retired ones too. Of a live one: all inbound SAs that this
   * host may have are there.
   */
  readonly installed: readonly number[];
  /**
   * What has been heard of: {@linkcode DesiredEncryption.upTo} of the desired state that this is about, or
   * less, where the inbound SAs of a holder are still to come: then below that holder's revision.
   */
  readonly upTo: number;
  /** The oldest epoch that this host still sends with, to any peer; null when it sends to nobody. */
  readonly oldestSending: number | null;
  /** The newest epoch, when a pair is closed on it or an SA nears its end: a newer one is needed. */
  readonly wantsAfter: number | null;
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
  /** By network, those that were left included as long as there are SAs of them. */
  readonly encryption: ReadonlyMap<Id, EncryptionStatus>;
  /**
   * Why nothing stands behind the IPsec policies on this host (the kernel lacks traffic control's flower);
   * null when the second guard stands, or none is needed.
   */
  readonly guardLack: string | null;
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
