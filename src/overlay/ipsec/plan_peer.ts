import { decideSa, encodeSpi, type Journal, outboundEpoch } from "../../esp/mod.ts";
import type { IpsecOperation, PeerPolicy, SaPlace } from "./operation.ts";
import { addressKey, type IpsecPicture, peerKey, saKey } from "./picture.ts";
import type { PeerWant } from "./peer_want.ts";
import type { SaWant } from "./sa_want.ts";
import type { SlotWant } from "./want.ts";

/** What decides whether an SA may be installed. */
export interface KeyState {
  readonly journal: Journal;
  /** There is a boot key, and it is the one that the managers have committed. */
  readonly mayInstall: boolean;
  /**
   * Contexts that this process has recorded, and of which the kernel then refused the SA in so many words:
   * so their keys were not used.
   */
  readonly refused: ReadonlySet<string>;
}

/**
 * What an SA is to its pair:
 * - `usable`: it is there, and made of what it should be made of;
 * - `coming`: it is made in this round;
 * - `waiting`: it cannot be made yet;
 * - `closed`: it is not there, and must not be made any more.
 */
export type SaStanding = "usable" | "coming" | "waiting" | "closed";

/** What is to be done about one SA, and what it is then. */
export interface SaPlan {
  readonly sa: SaWant;
  readonly standing: SaStanding;
  /** What stands in its place has to go first. */
  readonly deletes: SaPlace | null;
  readonly make: "add" | "fill" | null;
  /** It has carried so much that a new key is needed. */
  readonly nearEnd: boolean;
}

/** Judges the SAs of one peer, newest epoch first. Pure. */
export function planSas(
  want: SlotWant,
  peer: PeerWant,
  picture: IpsecPicture,
  keys: KeyState,
): readonly SaPlan[] {
  return peer.sas.map((sa) => planSa(want, peer, sa, picture, keys));
}

function planSa(
  want: SlotWant,
  peer: PeerWant,
  sa: SaWant,
  picture: IpsecPicture,
  keys: KeyState,
): SaPlan {
  const found = picture.sas(sa.slot).get(saKey(sa)) ?? null;
  const plan = (standing: SaStanding, changes: Partial<SaPlan> = {}): SaPlan => ({
    sa,
    standing,
    deletes: null,
    make: null,
    nearEnd: found?.nearEnd === true,
    ...changes,
  });
  const { installation } = sa;
  // Of two peers at one address only one can have the outbound SA, which both would have there.
  const shadowed = sa.direction === "out" && !ownsAddress(want, peer);
  if (installation === null || shadowed) return plan("waiting");
  const kernel = found === null ? "absent" : found.larval ? "larval" : "present";
  const decision = decideSa(kernel, installation, keys.journal);
  const may = keys.mayInstall && peer.attached;
  switch (decision) {
    case "adopt": {
      // Our place, and not as we make it: somebody has put another there.
      const right = found?.port === want.port && found.source.equals(sa.source);
      return right ? plan("usable") : plan("closed", { deletes: found });
    }
    case "install":
      return may ? plan("coming", { make: "add" }) : plan("waiting");
    case "fill":
      return may ? plan("coming", { make: "fill" }) : plan("waiting");
    case "replace":
      return may ? plan("coming", { deletes: found, make: "add" }) : plan("waiting");
    case "closed": {
      if (!keys.refused.has(installation.context) || kernel === "present") return plan("closed");
      if (!may) return plan("waiting");
      return plan("coming", { make: kernel === "larval" ? "fill" : "add" });
    }
  }
}

/** Of two peers at one address (a host that has joined anew) one has it. */
function ownsAddress(want: SlotWant, peer: PeerWant): boolean {
  return want.byAddress.get(addressKey(peer.address)) === peer;
}

/** Changes of one peer's policies. */
export interface PolicyPlan {
  /** The epoch that it is sent to with; null: with none. */
  readonly sending: number | null;
  readonly operations: readonly IpsecOperation[];
}

/**
 * What has to be closed before SAs of a peer are touched: policies that lead to an SA which is not, or will
 * not be, what it should be, and all that are not as they should be. Pure.
 */
export function planClosing(
  want: SlotWant,
  peer: PeerWant,
  sas: readonly SaPlan[],
  picture: IpsecPicture,
): readonly IpsecOperation[] {
  const operations: IpsecOperation[] = [];
  const usable = sas.filter(({ standing }) => standing === "usable");
  const receives = sas.some(({ sa, standing }) =>
    sa.direction === "in" && (standing === "usable" || standing === "coming")
  );
  if (!ownsAddress(want, peer)) return [];
  for (const direction of ["out", "in"] as const) {
    const policy = policyOf(want, peer, direction, null);
    const found = picture.policies(want.port).get(peerKey(policy));
    if (found?.kind !== "peer") continue;
    const keeps = direction === "in"
      ? receives
      : usable.some(({ sa }) => sa.direction === "out" && sa.spi === found.place.spi);
    if (peer.attached && found.right && found.slot === want.slot && keeps) continue;
    operations.push({ kind: "delete-policy", policy: { ...found.place, slot: want.slot } });
  }
  return operations;
}

/**
 * The policies of a peer after its SAs have been seen to: it is sent to with the newest epoch that it has
 * told it receives and of which the outbound SA is there, and received from with any. Pure.
 */
export function planOpening(
  want: SlotWant,
  peer: PeerWant,
  sas: readonly SaPlan[],
  picture: IpsecPicture,
): PolicyPlan {
  if (!peer.attached || !ownsAddress(want, peer)) {
    return { sending: null, operations: [] };
  }
  const usable = sas.filter(({ standing }) => standing === "usable").map(({ sa }) => sa);
  const outbound = usable.filter(({ direction }) => direction === "out").map(({ epoch }) => epoch);
  const receives = peer.desired?.receives ?? sentWith(want, peer, usable, picture);
  const sending = outboundEpoch(want.epochs, outbound, receives);
  const { slot, self } = want;
  const spi = sending === null
    ? null
    : encodeSpi({ epoch: sending, slot, sender: self.host.index });
  const operations: IpsecOperation[] = [];
  const set = (policy: PeerPolicy, wanted: boolean) => {
    const found = picture.policies(want.port).get(peerKey(policy));
    if (!wanted) {
      if (found !== undefined) operations.push({ kind: "delete-policy", policy });
      return;
    }
    const right = found?.kind === "peer" && found.right && found.slot === slot &&
      found.place.spi === policy.spi;
    if (!right) operations.push({ kind: "set-policy", policy });
  };
  set(policyOf(want, peer, "in", null), usable.some(({ direction }) => direction === "in"));
  set(policyOf(want, peer, "out", spi), spi !== null);
  return { sending, operations };
}

/**
 * The epoch that a peer is sent to with now, if any. While nobody can say what it receives (a leader has just
 * begun), that is what it did before.
 */
function sentWith(
  want: SlotWant,
  peer: PeerWant,
  usable: readonly SaWant[],
  picture: IpsecPicture,
): readonly number[] {
  const found = picture.policies(want.port).get(peerKey(policyOf(want, peer, "out", null)));
  if (found?.kind !== "peer") return [];
  const { spi } = found.place;
  return usable.filter((sa) => sa.direction === "out" && sa.spi === spi).map(({ epoch }) => epoch);
}

function policyOf(
  { slot, port, self }: SlotWant,
  { address }: PeerWant,
  direction: "in" | "out",
  spi: number | null,
): PeerPolicy {
  const [source, destination] = direction === "out"
    ? [self.address, address]
    : [address, self.address];
  return { slot, port, direction, source, destination, spi };
}
