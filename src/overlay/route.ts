import { type Cidr, IpAddress, type IpFamily } from "../base/mod.ts";
import {
  Connection,
  dumpAddresses,
  dumpLinks,
  dumpRoutes,
  getRoute,
  type Link,
  NetlinkError,
  type NextHop,
  type Route,
} from "../netlink/mod.ts";
import type { Host } from "./host.ts";
import { endpointOfAlias } from "./names.ts";
import { mergePrefixes } from "./prefixes.ts";

/** Which address of its own a host would speak from. */
export type SourceAddress =
  | { readonly kind: "found"; readonly address: string }
  /** Nothing says which of them: a person has to choose. Empty: the host has none. */
  | { readonly kind: "ambiguous"; readonly choices: readonly SourceChoice[] };

/** An address of the host. */
export interface SourceChoice {
  /** As text. */
  readonly address: string;
  /** The interface that has it, or that its route leaves by. */
  readonly interfaceName: string;
}

/** More are of no use to whoever chooses subnets, and every node's are in the cluster's state. */
const MAX_HOST_ROUTES = 256;

/** Routing table with the host's routes (`RT_TABLE_MAIN`). */
const TABLE_MAIN = 254;

/** `RT_SCOPE_UNIVERSE`: an address that is good beyond its link. */
const SCOPE_UNIVERSE = 0;

/** Where no host is (RFC 5737, RFC 3849): to ask which way a packet to the outside would go. */
const OUTSIDE: Readonly<Record<IpFamily, string>> = { 4: "203.0.113.1", 6: "2001:db8::1" };

/** Types of routes that lead nowhere a workload could be. */
const IRRELEVANT: ReadonlySet<Route["type"]> = new Set(["broadcast", "multicast", "unspec"]);

/**
 * The source address of packets to a target, or, without one, of the default route. Where there is
 * no default route, the host's only address.
 */
export function sourceAddressFor(host: Host, target: string | null): SourceAddress {
  return inHost(host, (connection, links) => {
    if (target !== null) {
      const source = sourceTo(connection, IpAddress.parse(target), undefined);
      if (source !== null && !isLoopback(source)) return { kind: "found", address: `${source}` };
      return choose(globalAddresses(connection, links));
    }
    for (const family of [4, 6] as const) {
      const hops = defaultNextHops(connection, family);
      const choices = hops.flatMap(({ index, gateway }) => {
        const destination = gateway?.family === family ? gateway : IpAddress.parse(OUTSIDE[family]);
        const source = sourceTo(connection, destination, index);
        const interfaceName = links.get(index)?.name ?? `ifindex ${index}`;
        return source === null ? [] : [{ address: `${source}`, interfaceName }];
      });
      if (choices.length > 0) return choose(choices);
    }
    return choose(globalAddresses(connection, links));
  });
}

/**
 * Routes of the host that overlap a pool of addresses: whoever took a subnet there would cut the host
 * off from something. The default route is not one of them, nor are those of our own endpoints.
 *
 * @returns at most 256 prefixes in ascending order, none within another; where there were more, the
 *   narrowest have been widened
 */
export function hostRoutes(host: Host, pool: Cidr): readonly string[] {
  return inHost(host, (connection, links) => {
    const isOurs = ({ index }: NextHop) =>
      endpointOfAlias(links.get(index)?.alias ?? null) !== null;
    const routes = connection.dump(dumpRoutes({ family: pool.family })).filter((route) =>
      route.destination.prefixLength > 0 && !IRRELEVANT.has(route.type) &&
      route.destination.overlaps(pool) && !route.nextHops.some(isOurs)
    );
    const prefixes = routes.map(({ destination }) => destination);
    return mergePrefixes(prefixes, MAX_HOST_ROUTES).map(String);
  });
}

/**
 * The largest packet, in bytes, that the host's underlay carries: what the link of its VTEP address
 * and the routes to its peers have in common, learned path MTUs included.
 *
 * @param peers VTEP addresses of the other members, as far as they are known
 */
export function underlayMtu(host: Host, vtepAddress: string, peers: readonly string[]): number {
  return inHost(host, (connection, links) => {
    const mtus: number[] = [];
    const addresses = connection.dump(dumpAddresses());
    for (const { index, address } of addresses) {
      const link = links.get(index);
      if (`${address}` === vtepAddress && link?.loopback === false) mtus.push(link.mtuBytes);
    }
    for (const peer of peers) {
      const route = routeTo(connection, IpAddress.parse(peer), undefined);
      const hops = (route?.nextHops ?? []).flatMap(({ index }) => links.get(index) ?? []);
      // A peer on this very host sets no limit.
      for (const link of hops.filter(({ loopback }) => !loopback)) {
        mtus.push(Math.min(route?.mtuBytes ?? link.mtuBytes, link.mtuBytes));
      }
    }
    if (mtus.length > 0) return Math.min(...mtus);
    // A VTEP address on the loopback link, and no peer yet: any link may be the way.
    const others = [...links.values()].filter(({ up, loopback }) => up && !loopback);
    return Math.min(65_535, ...others.map(({ mtuBytes }) => mtuBytes));
  });
}

function inHost<T>(
  host: Host,
  action: (connection: Connection, links: ReadonlyMap<number, Link>) => T,
): T {
  const namespace = host.openHostNamespace();
  try {
    const connection = new Connection(host.openTransport(namespace));
    try {
      const links = connection.dump(dumpLinks());
      return action(connection, new Map(links.map((link) => [link.index, link])));
    } finally {
      connection.close();
    }
  } finally {
    namespace.close();
  }
}

/** Null when there is no route. */
function routeTo(
  connection: Connection,
  destination: IpAddress,
  index: number | undefined,
): Route | null {
  try {
    return connection.get(getRoute(index === undefined ? { destination } : { destination, index }));
  } catch (error) {
    // ENETUNREACH, EHOSTUNREACH, or what a route of type blackhole or prohibit answers.
    if (error instanceof NetlinkError) return null;
    throw error;
  }
}

function sourceTo(
  connection: Connection,
  destination: IpAddress,
  index: number | undefined,
): IpAddress | null {
  return routeTo(connection, destination, index)?.preferredSource ?? null;
}

/** Of the default routes with the lowest metric. */
function defaultNextHops(connection: Connection, family: IpFamily): readonly NextHop[] {
  const defaults = connection.dump(dumpRoutes({ family, table: TABLE_MAIN })).filter((route) =>
    route.destination.prefixLength === 0 && route.type === "unicast"
  );
  const lowest = Math.min(...defaults.map(({ metric }) => metric));
  return defaults.filter(({ metric }) => metric === lowest).flatMap(({ nextHops }) => nextHops);
}

function globalAddresses(
  connection: Connection,
  links: ReadonlyMap<number, Link>,
): readonly SourceChoice[] {
  return connection.dump(dumpAddresses()).flatMap(({ index, address, scope }) => {
    const link = links.get(index);
    const usable = scope === SCOPE_UNIVERSE && link?.up === true && !link.loopback &&
      endpointOfAlias(link.alias) === null;
    return usable ? [{ address: `${address}`, interfaceName: link.name }] : [];
  });
}

function choose(choices: readonly SourceChoice[]): SourceAddress {
  const addresses = [...new Set(choices.map(({ address }) => address))];
  const [only] = addresses;
  if (only !== undefined && addresses.length === 1) return { kind: "found", address: only };
  return { kind: "ambiguous", choices };
}

function isLoopback(address: IpAddress): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}
