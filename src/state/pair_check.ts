import type { Id } from "../base/mod.ts";
import type { ReportedRefusal } from "./protocol.ts";

/** A frame of 64 bytes, or one as large as the network's MTU allows. */
export type ProbeSize = "small" | "full";

/** What the leader wants checked, on the node stream. */
export interface CheckOrder {
  /** An encrypted network. */
  readonly networkId: Id;
  /** Names this check: 128 random bits. */
  readonly checkId: Id;
  /** Only pairs with one of these nodes; null: all pairs. */
  readonly nodeIds: readonly Id[] | null;
}

/** What one end of a pair has seen of the other while they probed each other. */
export interface CheckedPeer {
  /** The other end. */
  readonly nodeId: Id;
  /** Frames of the other end that came here. */
  readonly heard: readonly ProbeSize[];
  /** Own frames that the other end has answered: it gave back what nobody could guess. */
  readonly answered: readonly ProbeSize[];
  /** Packets that went out in ESP to the other end meanwhile, those of workloads too. */
  readonly outPackets: number;
  /** Packets that came in ESP from it, intact. */
  readonly inPackets: number;
  /** Packets that came in ESP from it and were made with another key, or changed on the way. */
  readonly integrityFailures: number;
  /** Packets that came in ESP from it again, or too late to tell. */
  readonly replays: number;
  /** Epochs with which something went out; none: nothing did. */
  readonly outEpochs: readonly number[];
  /** Epochs of which there is an SA to receive with. */
  readonly inEpochs: readonly number[];
  /** What the route to it carries; null: there is no route. */
  readonly routeMtuBytes: number | null;
  /** Whether that was learned from an ICMP message, which can be forged. */
  readonly mtuLearned: boolean;
}

/** `POST /v1/self/check`: what a node has found. */
export interface CheckReport {
  /** Of this format. */
  readonly v: 1;
  /** As in the order. */
  readonly networkId: Id;
  /** As in the order. */
  readonly checkId: Id;
  /** Why nothing could be checked here; null: it could. */
  readonly problem: string | null;
  /** The MTU that a route needs, so that full packets of the network pass. */
  readonly neededMtuBytes: number;
  /** What IPsec has refused meanwhile, on the whole host. */
  readonly refused: readonly ReportedRefusal[];
  /** Every peer that was to be checked. */
  readonly peers: readonly CheckedPeer[];
}

/** What is to blame that a probe did not come through. */
export type ProbeOutcome = "ok" | "esp" | "firewall" | "mtu" | "key" | "not-checked";

/** What became of the probes of one size in one direction. */
export interface ProbeVerdict {
  /** `not-checked`: a host could not take part. */
  readonly outcome: ProbeOutcome;
  /** Why, and what to do about it; null when all is well. */
  readonly reason: string | null;
}

/** What became of the probes from one host to another. */
export interface DirectionVerdict {
  /** Who sent. */
  readonly from: Id;
  /** Who should have received. */
  readonly to: Id;
  /** Of 64 bytes. */
  readonly small: ProbeVerdict;
  /** As large as the network's MTU allows. */
  readonly full: ProbeVerdict;
}

/** A check of a network, running or finished. */
export interface NetworkCheck {
  /** As in the order. */
  readonly checkId: Id;
  /** Which network. */
  readonly networkId: Id;
  /** Somebody asked for it, or a pair of hosts is new on the network. */
  readonly cause: "asked" | "new-pair";
  /** Leader's clock. */
  readonly startedAtMs: number;
  /** Null: it is still running. */
  readonly finishedAtMs: number | null;
  /** Directions that were to be checked, two for each pair. */
  readonly directions: number;
  /** Those in which both sizes came through. */
  readonly passed: number;
  /** Those with a fault first; no more than 1,000. */
  readonly verdicts: readonly DirectionVerdict[];
}
