import type { Id } from "../../base/mod.ts";
import type { Journal } from "../../esp/mod.ts";
import type { EncryptionStatus } from "../result.ts";
import type { IpsecPicture } from "./picture.ts";
import { encryptionStatus, type PeerStanding, retainedStatus } from "./status.ts";
import type { SlotWant, Wants } from "./want.ts";

const NOTHING_INSTALLED: EncryptionStatus = {
  installed: [],
  upTo: 0,
  oldestSending: null,
  wantsAfter: null,
};

/** How the peers of each network stand, and what the leader is told of it. */
export class StandingBook {
  readonly #standings = new Map<Id, Map<Id, PeerStanding>>();
  readonly #statuses = new Map<Id, EncryptionStatus>();

  /** Whether the network has been seen to and is up. */
  isUp(network: Id): boolean {
    return this.#standings.has(network);
  }

  /** Takes in how some of its peers stand. */
  note({ networkId, peers }: SlotWant, standings: readonly PeerStanding[]): void {
    const all = this.#standings.get(networkId) ?? new Map<Id, PeerStanding>();
    this.#standings.set(networkId, all);
    for (const standing of standings) all.set(standing.peer.nodeId, standing);
    for (const node of all.keys()) if (!peers.has(node)) all.delete(node);
    this.#statuses.delete(networkId);
  }

  /** The network is not up (any more), so nothing of it can be received. */
  noteDown(network: Id): void {
    this.#standings.delete(network);
    this.#statuses.delete(network);
  }

  /** Something of the network has changed. */
  forgetStatus(network: Id): void {
    this.#statuses.delete(network);
  }

  /** What the leader is told, by network. */
  status(
    { byNetwork }: Wants,
    picture: IpsecPicture,
    journal: Journal,
  ): ReadonlyMap<Id, EncryptionStatus> {
    const statuses = new Map<Id, EncryptionStatus>();
    for (const [id, want] of byNetwork) {
      const status = this.#statuses.get(id) ?? this.#statusOf(want, picture, journal);
      this.#statuses.set(id, status);
      statuses.set(id, status);
    }
    return statuses;
  }

  #statusOf(want: SlotWant, picture: IpsecPicture, journal: Journal): EncryptionStatus {
    if (want.network === null) return retainedStatus(want, picture, journal);
    const standings = this.#standings.get(want.networkId);
    if (standings === undefined) return NOTHING_INSTALLED;
    return encryptionStatus(want, standings.values(), picture, journal);
  }
}
