import { type IpAddress, present } from "../../base/mod.ts";
import {
  type Connection,
  dumpAddresses,
  dumpLinks,
  getRoute,
  type Link,
  NetlinkError,
  type Route,
} from "../../netlink/mod.ts";
import type { Device } from "../operation.ts";
import { type AddressKey, addressKey } from "./picture.ts";

/** Asking for so many takes a few ms. */
const ROUTES_AT_ONCE = 100;

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
    const wanted = new Map<AddressKey, IpAddress>();
    for (const peer of peers) wanted.set(addressKey(peer), peer);
    for (const key of this.#hops.keys()) if (!wanted.has(key)) this.#hops.delete(key);
    const unknown = [...wanted].filter(([key]) => !this.#hops.has(key));
    for (let start = 0; start < unknown.length; start += ROUTES_AT_ONCE) {
      this.#lookAtRoutes(unknown.slice(start, start + ROUTES_AT_ONCE));
      await pause();
    }
    for (const hops of this.#hops.values()) for (const index of hops) indexes.add(index);
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

  #lookAtRoutes(peers: readonly (readonly [AddressKey, IpAddress])[]): void {
    const queries = peers.map(([, destination]) => getRoute({ destination, answer: "entry" }));
    const found = this.#connection.getEach(queries);
    for (const [place, [key]] of peers.entries()) {
      this.#hops.set(key, nextHops(present(found[place], "a route")));
    }
  }
}

/** @throws {NetlinkError} when the answer was lost */
function nextHops(found: Route | NetlinkError): readonly number[] {
  if (!(found instanceof NetlinkError)) return found.nextHops.map(({ index }) => index);
  if (found.code === "ENOBUFS") throw found;
  // No route, or one that leads nowhere: then no packet leaves either.
  return [];
}
