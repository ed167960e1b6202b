import { type Bytes, decodeBase64url, type Id, IpAddress } from "../../base/mod.ts";
import { encodeParty, encodeSpi } from "../../esp/mod.ts";
import type { DesiredHost, DesiredPeer } from "../desired.ts";
import type { AddressKey } from "./picture.ts";
import type { SaToMake } from "./operation.ts";
import { SaWant } from "./sa_want.ts";

/** This host, as SAs name it. */
export interface Self {
  readonly host: DesiredHost;
  readonly address: IpAddress;
  readonly key: AddressKey;
  /** As keys are derived from it, by `encodeParty`; null: its boot key is not committed. */
  readonly party: Bytes | null;
}

/** Another host of a slot. */
export interface PeerWant {
  readonly nodeId: Id;
  readonly index: number;
  readonly address: IpAddress;
  /** Null: the network was left. */
  readonly desired: DesiredPeer | null;
  /** Packets go to it, and come from it. */
  readonly attached: boolean;
  /** Both ways of each epoch, newest first; empty for a network that was left. */
  readonly sas: readonly SaWant[];
}

/** What SAs have of the network that they are of. */
export interface SlotOfSas {
  readonly networkId: Id;
  readonly slot: number;
  readonly port: number;
  readonly self: Self;
  /** Of its keys, by `keySalt`. */
  readonly salt: Bytes;
  /** Newest first. */
  readonly epochs: readonly number[];
}

/** Reads texts of which a few stand in thousands of places. */
export class WantReader {
  readonly #addresses = new Map<string, IpAddress>();
  readonly #parties = new Map<string, Bytes>();

  address(text: string): IpAddress {
    let found = this.#addresses.get(text);
    if (found === undefined) this.#addresses.set(text, found = IpAddress.parse(text));
    return found;
  }

  /** A node and its boot key, as keys are derived from them. @throws {TypeError} when that is no base64url */
  party(id: Id, bootKey: string): Bytes {
    const name = `${id} ${bootKey}`;
    let found = this.#parties.get(name);
    if (found === undefined) {
      found = encodeParty({ id, bootPublicKey: decodeBase64url(bootKey) });
      this.#parties.set(name, found);
    }
    return found;
  }
}

/**
 * What there should be of a peer.
 *
 * @param known what there should have been, this host being the same: SAs that have not changed stay the
 *   same objects
 */
export function wantPeer(
  of: SlotOfSas,
  desired: DesiredPeer,
  reader: WantReader,
  known: PeerWant | null,
): PeerWant {
  const { nodeId, index, vtepAddress, bootKey, state } = desired;
  const address = reader.address(vtepAddress);
  const other = bootKey === null ? null : reader.party(nodeId, bootKey);
  const sameKey = known?.desired?.bootKey === bootKey;
  const sas: SaWant[] = [];
  for (const epoch of of.epochs) {
    for (const direction of ["out", "in"] as const) {
      const made = makeSa(of, desired, { address, other }, epoch, direction);
      const same = known?.sas.find((one) => one.epoch === epoch && one.direction === direction);
      sas.push(sameKey && same !== undefined && isSamePlace(same, made) ? same : made);
    }
  }
  return { nodeId, index, address, desired, attached: state === "attached", sas };
}

function makeSa(
  { networkId, slot, port, self, salt }: SlotOfSas,
  { nodeId, index }: DesiredPeer,
  { address, other }: { readonly address: IpAddress; readonly other: Bytes | null },
  epoch: number,
  direction: "in" | "out",
): SaWant {
  const out = direction === "out";
  const place: SaToMake = {
    slot,
    port,
    epoch,
    direction,
    peer: nodeId,
    source: out ? self.address : address,
    destination: out ? address : self.address,
    spi: encodeSpi({ epoch, slot, sender: out ? self.host.index : index }),
  };
  if (self.party === null || other === null) return new SaWant(place, networkId, null);
  const [sender, receiver] = out ? [self.party, other] : [other, self.party];
  return new SaWant(place, networkId, { salt, sender, receiver });
}

function isSamePlace(left: SaWant, right: SaWant): boolean {
  return left.spi === right.spi && left.port === right.port &&
    left.source.equals(right.source) && left.destination.equals(right.destination);
}
