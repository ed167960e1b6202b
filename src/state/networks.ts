import { canonicalJson, Cidr, type Id, present } from "../base/mod.ts";
import { endpointsNotAllowed, rejectInUse, requireMembers } from "./allowed.ts";
import type { Decide } from "./decision.ts";
import { lowestFreeSubnet } from "./ipam.ts";
import { formatIpv4Prefix, type Ipv4Prefix, prefixSize, toIpv4Prefix } from "./prefix_index.ts";
import { quote, reject, rejectValue, requireRevision } from "./rejected.ts";
import type { Tables } from "./tables.ts";
import type { Network } from "./types.ts";

export const createNetwork: Decide<"network.create"> = (tables, body) => {
  if (body.encrypted) {
    reject(
      "encryption-unavailable",
      "Encrypted networks arrive with a later version of agent: create the network without " +
        "encryption, or wait",
      { field: "/encrypted" },
    );
  }
  if (tables.networks.has(body.id)) rejectValue("/id", "A network has this id already");
  const namesake = tables.networkByName.get(body.name);
  if (namesake !== undefined) {
    reject("name-taken", `A network is called ${quote(body.name)} already`, {
      field: "/name",
      details: { network: namesake.id },
    });
  }
  requireMembers(tables, body.allowedNodes);
  const subnet = body.subnet === undefined
    ? automaticSubnet(tables)
    : chosenSubnet(tables, body.subnet);
  const vni = tables.vnis.peek();
  if (vni === null) reject("vnis-exhausted", "All VNIs from 4096 to 16777215 are in use");
  return {
    commit: (revision) => {
      const network: Network = {
        id: body.id,
        name: body.name,
        vni,
        subnet,
        labels: body.labels,
        mtuBytes: body.mtuBytes ?? null,
        allowedNodes: body.allowedNodes,
        encrypted: body.encrypted,
        createdAtMs: tables.timeMs,
        revision,
      };
      tables.vnis.take(vni);
      tables.putNetwork(network);
      return { value: network, touched: {} };
    },
  };
};

export const updateNetwork: Decide<"network.update"> = (tables, body) => {
  const network = findNetwork(tables, body.id);
  requireRevision(network.revision, body.ifRevision);
  const updated: Network = {
    ...network,
    labels: body.labels ?? network.labels,
    mtuBytes: body.mtuBytes === undefined ? network.mtuBytes : body.mtuBytes,
    allowedNodes: body.allowedNodes ?? network.allowedNodes,
  };
  if (body.allowedNodes !== undefined) {
    requireMembers(tables, body.allowedNodes);
    const inTheWay = endpointsNotAllowed(tables, network.id, body.allowedNodes);
    if (inTheWay.length > 0) {
      rejectInUse(
        inTheWay,
        `Endpoints of ${network.name} (${inTheWay.length}) are on nodes that would not be allowed: ` +
          "delete them first",
      );
    }
  }
  if (canonicalJson({ ...updated }) === canonicalJson({ ...network })) {
    return { value: network };
  }
  return {
    commit: (revision) => {
      const next: Network = { ...updated, revision };
      tables.putNetwork(next);
      const projected = next.mtuBytes !== network.mtuBytes;
      const members = tables.networkIndex(network.id).nodes;
      return { value: next, touched: projected ? { nodes: members.keys() } : {} };
    },
  };
};

export const deleteNetwork: Decide<"network.delete"> = (tables, body) => {
  const network = findNetwork(tables, body.id);
  requireRevision(network.revision, body.ifRevision);
  const { endpoints } = tables.networkIndex(network.id);
  if (endpoints.size > 0) {
    rejectInUse(
      endpoints.ordered(),
      `The network ${network.name} has endpoints (${endpoints.size}): delete them first`,
    );
  }
  return {
    commit: () => {
      tables.deleteNetwork(network);
      return { value: { id: network.id }, touched: {} };
    },
  };
};

function findNetwork(tables: Tables, id: Id): Network {
  const network = tables.networks.get(id);
  if (network === undefined) reject("not-found", `There is no network ${id}`, { field: "/id" });
  return network;
}

function automaticSubnet(tables: Tables): string {
  const { addressPool, subnetPrefixLength } = tables.requireCluster().settings;
  const pool = toIpv4Prefix(Cidr.parse(addressPool));
  const last = tables.subnetSearch;
  const goesOn = last !== null && last.pool === addressPool && last.length === subnetPrefixLength;
  const found = lowestFreeSubnet(
    pool,
    subnetPrefixLength,
    [tables.subnets, tables.hostPrefixes],
    goesOn ? last.from : pool.start,
  );
  tables.subnetSearch = {
    pool: addressPool,
    length: subnetPrefixLength,
    from: found?.start ?? pool.start + prefixSize(pool.length),
  };
  if (found === null) {
    reject(
      "pool-exhausted",
      `No /${subnetPrefixLength} of the pool ${addressPool} is free of networks and of hosts' ` +
        "routes: choose a subnet, or enlarge the pool",
    );
  }
  return formatIpv4Prefix(found);
}

function chosenSubnet(tables: Tables, subnet: string): string {
  const prefix = toIpv4Prefix(Cidr.parse(subnet));
  const taken = tables.subnets.overlap(prefix);
  if (taken !== null) {
    const holder = holderOf(tables.subnets.holderOf(taken), tables.networks);
    reject(
      "subnet-taken",
      `${subnet} overlaps ${holder.subnet} of the network ${holder.name}: choose another`,
      { field: "/subnet", details: { network: holder.id } },
    );
  }
  requireFreeOnHosts(tables, subnet, prefix);
  return subnet;
}

function requireFreeOnHosts(tables: Tables, subnet: string, prefix: Ipv4Prefix): void {
  const route = tables.hostPrefixes.overlap(prefix);
  if (route === null) return;
  const node = holderOf(tables.hostPrefixes.holderOf(route), tables.nodes);
  const routeText = formatIpv4Prefix(route);
  const what = route.length === 32 ? "address or route" : "route";
  reject(
    "subnet-in-use-on-host",
    `${subnet} overlaps the ${what} ${routeText} of the host ${node.facts.hostname}: choose another`,
    { field: "/subnet", details: { node: node.id, route: routeText } },
  );
}

function holderOf<T>(id: Id | undefined, all: ReadonlyMap<Id, T>): T {
  return present(all.get(present(id, "The holder of a prefix")), "The holder of a prefix");
}
