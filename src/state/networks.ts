import { canonicalJson, Cidr, type Id, present } from "../base/mod.ts";
import { endpointsNotAllowed, rejectInUse, requireMembers } from "./allowed.ts";
import type { Decide } from "./decision.ts";
import { everyHolder } from "./holders.ts";
import { lowestFreeSubnet } from "./ipam.ts";
import { formatIpv4Prefix, type Ipv4Prefix, prefixSize, toIpv4Prefix } from "./prefix_index.ts";
import { quote, reject, rejectValue, requireRevision } from "./rejected.ts";
import { SLOTS } from "./settings.ts";
import type { Tables } from "./tables.ts";
import type { Network, NetworkKeys } from "./types.ts";

export const createNetwork: Decide<"network.create"> = (tables, body) => {
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
  const { encryption } = body;
  const slot = encryption === undefined ? null : freeSlot(tables);
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
        keys: slot === null ? null : {
          slot,
          rotationIntervalMs: encryption?.rotationIntervalMs ?? null,
          epochs: [{ epoch: 1, sinceMs: tables.timeMs }],
          holders: [],
          formerHolders: [],
          rotation: "by-interval",
        },
        createdAtMs: tables.timeMs,
        revision,
      };
      tables.vnis.take(vni);
      tables.putNetwork(network);
      if (slot !== null && encryption !== undefined) {
        tables.keys.slots.take(slot);
        tables.keys.setSecrets(network.id, new Map([[1, encryption.secret]]));
      }
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
    keys: keysWithInterval(network, body.rotationIntervalMs),
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
  if (isSame(updated, network)) {
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
    commit: (revision) => {
      const { keys } = network;
      tables.deleteNetwork(network);
      if (keys === null) return { value: { id: network.id }, touched: {} };
      // What they have of it goes now, and the slot is free when they have said so.
      const nodes = everyHolder(keys);
      tables.keys.release({ kind: "slot", number: keys.slot }, revision, nodes);
      return { value: { id: network.id }, touched: { nodes } };
    },
  };
};

function freeSlot(tables: Tables): number {
  const slot = tables.keys.slots.peek();
  if (slot !== null) return slot;
  reject(
    "slots-exhausted",
    `All ${SLOTS} slots of encrypted networks are in use, or were and may still be in SAs on hosts that ` +
      "have not said otherwise: delete networks, and remove nodes that are gone for good",
    { field: "/encryption" },
  );
}

function keysWithInterval(
  { keys, name }: Network,
  rotationIntervalMs: number | null | undefined,
): NetworkKeys | null {
  if (rotationIntervalMs === undefined) return keys;
  if (keys === null) {
    reject("not-encrypted", `${name} is not encrypted: it has no keys that could be changed`, {
      field: "/rotationIntervalMs",
    });
  }
  return keys.rotationIntervalMs === rotationIntervalMs ? keys : { ...keys, rotationIntervalMs };
}

function isSame(left: Network, right: Network): boolean {
  const { allowedNodes: allowed } = left;
  const { allowedNodes: otherAllowed } = right;
  return left.mtuBytes === right.mtuBytes && left.keys === right.keys &&
    canonicalJson(left.labels) === canonicalJson(right.labels) &&
    canonicalJson(allowed === "any" ? allowed : { ...allowed }) ===
      canonicalJson(otherAllowed === "any" ? otherAllowed : { ...otherAllowed });
}

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
