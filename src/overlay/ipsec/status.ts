import type { Journal } from "../../esp/mod.ts";
import { decodeSpi, epochTag } from "../../esp/mod.ts";
import type { EncryptionStatus } from "../result.ts";
import type { IpsecPicture } from "./picture.ts";
import type { SaPlan } from "./plan_peer.ts";
import type { PeerWant } from "./peer_want.ts";
import type { SlotWant } from "./want.ts";

/** What is known of a peer after it was seen to. */
export interface PeerStanding {
  readonly peer: PeerWant;
  readonly sas: readonly SaPlan[];
  /** The epoch that it is sent to with. */
  readonly sending: number | null;
}

/** What the leader has to know of one network. Pure. */
export function encryptionStatus(
  want: SlotWant,
  standings: Iterable<PeerStanding>,
  picture: IpsecPicture,
  journal: Journal,
): EncryptionStatus {
  const [newest] = want.epochs;
  /** Of each live epoch, below which revision all inbound SAs are there. */
  const reach = new Map(want.epochs.map((epoch) => [epoch, Infinity]));
  let oldestSending: number | null = null;
  let wantsAfter: number | null = null;
  for (const { peer, sas, sending } of standings) {
    if (!peer.attached) continue;
    if (sending !== null) oldestSending = Math.min(sending, oldestSending ?? sending);
    const revision = peer.desired?.revision ?? 0;
    for (const { sa, standing, nearEnd } of sas) {
      // A peer whose boot key is not known sends nothing yet, and has none that could be missing.
      const missing = sa.direction === "in" && standing === "waiting" &&
        peer.desired?.bootKey !== null;
      if (missing) reach.set(sa.epoch, Math.min(revision - 1, reach.get(sa.epoch) ?? 0));
      if (sa.epoch === newest && (standing === "closed" || nearEnd)) wantsAfter = newest;
    }
  }
  const best = Math.max(0, ...reach.values());
  const upTo = Math.min(want.network?.encryption?.upTo ?? 0, best);
  const installed = new Set(retiredEpochs(want, picture, journal));
  for (const [epoch, reached] of reach) if (reached >= upTo) installed.add(epoch);
  return { installed: [...installed].sort((a, b) => a - b), upTo, oldestSending, wantsAfter };
}

/** Of a network that this host has left: what is still there. Pure. */
export function retainedStatus(
  want: SlotWant,
  picture: IpsecPicture,
  journal: Journal,
): EncryptionStatus {
  const installed = new Set(retiredEpochs(want, picture, journal));
  for (const { spi } of picture.sas(want.slot).values()) {
    const epoch = want.tags.get(decodeSpi(spi)?.tag ?? 0);
    if (epoch !== undefined) installed.add(epoch);
  }
  const sorted = [...installed].sort((a, b) => a - b);
  return { installed: sorted, upTo: 0, oldestSending: null, wantsAfter: null };
}

/** Epochs that do not live any more and of which there are SAs: only where they could not be deleted. */
function retiredEpochs(want: SlotWant, picture: IpsecPicture, journal: Journal): number[] {
  const epochs: number[] = [];
  for (const { spi, destination } of picture.sas(want.slot).values()) {
    const tag = decodeSpi(spi)?.tag ?? 0;
    if (tag === 0 || want.tags.has(tag)) continue;
    const direction = destination.equals(want.self.address) ? "in" : "out";
    const recorded = [...want.peers.keys()].map((peer) => journal.latest({ direction, peer, spi }));
    epochs.push(recorded.find((found) => found !== null)?.epoch ?? lastWithTag(want, tag));
  }
  return epochs;
}

function lastWithTag({ epochs: [newest = 1] }: SlotWant, tag: number): number {
  for (let epoch = newest; epoch > 0; epoch--) if (epochTag(epoch) === tag) return epoch;
  return tag;
}
