import type { Slicer } from "../slicer.ts";
import { applyXfrm } from "./apply.ts";
import { installSas } from "./install.ts";
import type { SaKeys } from "./keys.ts";
import type { LiveIpsec } from "./live.ts";
import { formatIpsecOperation, type IpsecOperation } from "./operation.ts";
import { type KeyState, planClosing, planOpening, planSas, type SaPlan } from "./plan_peer.ts";
import type { IpsecPicture } from "./picture.ts";
import type { PeerStanding } from "./status.ts";
import type { PeerWant } from "./peer_want.ts";
import type { SlotWant } from "./want.ts";

/** Peers are looked at in such parts. */
const PEERS_PER_TURN = 16;

/** What seeing to peers needs. */
export interface PeersContext {
  readonly live: LiveIpsec;
  readonly slicer: Slicer;
  readonly keys: SaKeys;
  readonly want: SlotWant;
  /** Told of what is done. */
  readonly note: (operations: readonly IpsecOperation[]) => void;
}

/** What came of it. */
export interface PeersReport {
  readonly failures: readonly string[];
  readonly standings: readonly PeerStanding[];
}

/**
 * Brings SAs and policies of peers in order: what leads to an SA that is not as it should be is closed
 * first, then SAs are made, then policies lead to them.
 */
export async function openPeers(
  context: PeersContext,
  peers: readonly PeerWant[],
): Promise<PeersReport> {
  const { live, slicer, keys, want, note } = context;
  const { picture } = live;
  const state = keys.state(want.self);
  const plans = new Map<PeerWant, readonly SaPlan[]>();
  const closing: IpsecOperation[] = [];
  await eachPeer(slicer, peers, (peer) => {
    const sas = planSas(want, peer, picture, state);
    plans.set(peer, sas);
    closing.push(...planClosing(want, peer, sas, picture));
  });
  note(closing);
  const unclosed = await applyXfrm(live, slicer, closing);
  if (unclosed.length > 0) return { failures: unclosed, standings: [] };

  const changes = [...plans.values()].flat().filter(({ make, deletes }) =>
    deletes !== null || make !== null
  );
  note(changes.flatMap(saOperations));
  const failures = [...await installSas({ live, slicer, keys, want }, changes)];

  const changed = new Set(changes.map(({ sa }) => sa.peer));
  const standings: PeerStanding[] = [];
  const opening: IpsecOperation[] = [];
  await eachPeer(slicer, peers, (peer) => {
    const sas = changed.has(peer.nodeId)
      ? planSas(want, peer, picture, state)
      : plans.get(peer) ?? [];
    const { operations, sending } = planOpening(want, peer, sas, picture);
    opening.push(...operations);
    standings.push({ peer, sas, sending });
  });
  note(opening);
  failures.push(...await applyXfrm(live, slicer, opening));
  return { failures, standings };
}

/** What {@linkcode openPeers} would do with all peers, if nothing is refused. */
export function previewPeers(
  want: SlotWant,
  picture: IpsecPicture,
  state: KeyState,
): readonly string[] {
  const operations: IpsecOperation[] = [];
  const openings: IpsecOperation[] = [];
  for (const peer of want.peers.values()) {
    const sas = planSas(want, peer, picture, state);
    operations.push(...planClosing(want, peer, sas, picture), ...sas.flatMap(saOperations));
    const made = sas.map((plan): SaPlan =>
      plan.standing === "coming" ? { ...plan, standing: "usable" } : plan
    );
    openings.push(...planOpening(want, peer, made, picture).operations);
  }
  return [...operations, ...openings].map(formatIpsecOperation);
}

async function eachPeer(
  slicer: Slicer,
  peers: readonly PeerWant[],
  look: (peer: PeerWant) => void,
): Promise<void> {
  for (const [place, peer] of peers.entries()) {
    look(peer);
    if (place % PEERS_PER_TURN === 0) await slicer.pause();
  }
}

function saOperations({ sa, deletes, make }: SaPlan): readonly IpsecOperation[] {
  const { slot } = sa;
  const operations: IpsecOperation[] = [];
  if (deletes !== null) operations.push({ kind: "delete-sa", slot, place: deletes });
  if (make !== null) operations.push({ kind: make === "add" ? "add-sa" : "fill-sa", sa });
  return operations;
}
