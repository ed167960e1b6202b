import { type Id, IpAddress } from "../../base/mod.ts";
import { encodeSpi } from "../../esp/mod.ts";
import {
  type Connection,
  getRoute,
  getSa,
  type Link,
  NetlinkError,
  type Sa,
} from "../../netlink/mod.ts";
import type { CheckedPeer } from "../../state/mod.ts";

/** A network, as a host that is on it checks it. */
export interface NetworkToCheck {
  /** Its id in the cluster's state. */
  readonly id: Id;
  /** Names the sandbox's namespace. */
  readonly name: string;
  /** 0 … 8191. */
  readonly slot: number;
  /** The largest packet of a workload. */
  readonly mtuBytes: number;
  /** Those that live. */
  readonly epochs: readonly number[];
  /** This node. */
  readonly self: { readonly index: number; readonly vtepAddress: string };
  /** Nodes to check, this one left out. */
  readonly peers: readonly PeerToCheck[];
}

/** Another host on it. */
export interface PeerToCheck {
  /** Which node. */
  readonly nodeId: Id;
  /** Its part of SPIs. */
  readonly index: number;
  /** Its underlay address. */
  readonly vtepAddress: string;
}

/** What SAs of a pair have counted. */
export interface SaCounts {
  /** By epoch. */
  readonly outPackets: ReadonlyMap<number, number>;
  readonly inEpochs: readonly number[];
  readonly inPackets: number;
  readonly integrityFailures: number;
  readonly replays: number;
}

/** What the kernel of a host says of its peers on one network. */
export class PairCounters {
  readonly #route: Connection;
  readonly #xfrm: Connection;
  readonly #network: NetworkToCheck;

  /** Both connections are to the host's namespace. */
  constructor(route: Connection, xfrm: Connection, network: NetworkToCheck) {
    this.#route = route;
    this.#xfrm = xfrm;
    this.#network = network;
  }

  count({ index, vtepAddress }: PeerToCheck): SaCounts {
    const { self, slot, epochs } = this.#network;
    const own = IpAddress.parse(self.vtepAddress);
    const other = IpAddress.parse(vtepAddress);
    const outPackets = new Map<number, number>();
    const inEpochs: number[] = [];
    let [inPackets, integrityFailures, replays] = [0, 0, 0];
    for (const epoch of epochs) {
      const outSpi = encodeSpi({ epoch, slot, sender: self.index });
      const out = this.#sa({ source: own, destination: other, spi: outSpi });
      if (out !== null) outPackets.set(epoch, Number(out.use.packets));
      const inSpi = encodeSpi({ epoch, slot, sender: index });
      const inbound = this.#sa({ source: other, destination: own, spi: inSpi });
      if (inbound === null) continue;
      inEpochs.push(epoch);
      inPackets += Number(inbound.use.packets);
      integrityFailures += inbound.refused.integrity;
      replays += inbound.refused.replayed + inbound.refused.late;
    }
    return { outPackets, inEpochs, inPackets, integrityFailures, replays };
  }

  /** What the route to a peer carries, path MTUs that were learned included. */
  routeMtu(
    vtepAddress: string,
    links: ReadonlyMap<number, Link>,
  ): Pick<CheckedPeer, "routeMtuBytes" | "mtuLearned"> {
    const destination = IpAddress.parse(vtepAddress);
    try {
      const { nextHops, mtuBytes, mtuLearned } = this.#route.get(getRoute({ destination }));
      const linkMtus = nextHops.flatMap(({ index }) => links.get(index)?.mtuBytes ?? []);
      const routeMtuBytes = Math.min(mtuBytes ?? Infinity, ...linkMtus);
      return { routeMtuBytes: Number.isFinite(routeMtuBytes) ? routeMtuBytes : null, mtuLearned };
    } catch (error) {
      // ENETUNREACH, EHOSTUNREACH, or what a route of type blackhole or prohibit answers.
      if (error instanceof NetlinkError) return { routeMtuBytes: null, mtuLearned: false };
      throw error;
    }
  }

  #sa(id: Pick<Sa, "source" | "destination" | "spi">): Sa | null {
    try {
      const sa = this.#xfrm.get(getSa(id));
      return sa.larval ? null : sa;
    } catch (error) {
      if (error instanceof NetlinkError && error.code === "ESRCH") return null;
      throw error;
    }
  }
}
