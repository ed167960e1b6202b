import type { IpAddress } from "../../base/mod.ts";
import {
  type Connection,
  dumpAddresses,
  dumpLinks,
  getRoute,
  type Link,
  NetlinkError,
} from "../../netlink/mod.ts";
import type { Device } from "../operation.ts";
import { type AddressKey, addressKey } from "./picture.ts";

/** Devices by the next hops of the routes to peers, kept as long as routes do not change. */
export class Underlay {
  readonly #connection: Connection;
  readonly #hops = new Map<AddressKey, readonly number[]>();
  #links: ReadonlyMap<number, Link> = new Map();
  #own: IpAddress | null = null;
  #ownIndexes: readonly number[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Routes, links or addresses have changed. */
  forget(): void {
    this.#hops.clear();
    this.#own = null;
  }

  /**
   * The devices that packets to peers can leave by: the link of this host's own VTEP address, and every
   * next hop of the routes to the peers. Not the loopback link, which leads to nobody else.
   */
  async devices(
    own: IpAddress,
    peers: Iterable<IpAddress>,
    pause: () => Promise<void>,
  ): Promise<ReadonlyMap<number, Device>> {
    if (this.#own === null || !this.#own.equals(own)) await this.#lookAtLinks(own, pause);
    const indexes = new Set(this.#ownIndexes);
    const wanted = new Set<AddressKey>();
    for (const peer of peers) {
      const key = addressKey(peer);
      wanted.add(key);
      let hops = this.#hops.get(key);
      if (hops === undefined) {
        hops = nextHops(this.#connection, peer);
        this.#hops.set(key, hops);
        await pause();
      }
      for (const index of hops) indexes.add(index);
    }
    for (const key of this.#hops.keys()) if (!wanted.has(key)) this.#hops.delete(key);
    if ([...indexes].some((index) => !this.#links.has(index))) await this.#lookAtLinks(own, pause);
    const devices = new Map<number, Device>();
    for (const index of indexes) {
      const link = this.#links.get(index);
      if (link?.loopback === false) devices.set(index, { index, name: link.name });
    }
    return devices;
  }

  async #lookAtLinks(own: IpAddress, pause: () => Promise<void>): Promise<void> {
    const links = await this.#connection.dumpInParts(dumpLinks(), pause);
    const addresses = await this.#connection.dumpInParts(dumpAddresses(), pause);
    this.#links = new Map(links.map((link) => [link.index, link]));
    this.#own = own;
    this.#ownIndexes = addresses.filter(({ address }) => address.equals(own)).map(({ index }) =>
      index
    );
  }
}

function nextHops(connection: Connection, destination: IpAddress): readonly number[] {
  try {
    const { nextHops } = connection.get(getRoute({ destination, answer: "entry" }));
    return nextHops.map(({ index }) => index);
  } catch (error) {
    // No route, or one that leads nowhere: then no packet leaves either.
    if (error instanceof NetlinkError) return [];
    throw error;
  }
}
