import { type Id, type MacText, parseMac, present } from "../base/mod.ts";
import { isAllowed } from "./allowed.ts";
import type { NewEndpoint } from "./command.ts";
import type { Decide } from "./decision.ts";
import { attach, holderOf, leave } from "./holders.ts";
import {
  defaultMac,
  defaultMacOwner,
  formatIpv4,
  isInside,
  isReserved,
  lowestFreeAddress,
} from "./ipam.ts";
import { quote, reject, rejectValue, requireRevision } from "./rejected.ts";
import { ipv4Number, type NetworkIndex, type Tables } from "./tables.ts";
import type { Endpoint, Network, Node } from "./types.ts";

/** A network of the command, with what the command's own endpoints take of it. */
interface Draft {
  readonly network: Network;
  readonly index: NetworkIndex;
  readonly ips: Set<number>;
  readonly macs: Set<MacText>;
  readonly names: Set<string>;
}

/** An endpoint of the command, as far as it is decided. */
interface Planned {
  readonly asked: NewEndpoint;
  readonly draft: Draft;
  readonly field: string;
  ip: number | null;
}

export const createEndpoints: Decide<"endpoints.create"> = (tables, body) => {
  const planned = plan(tables, body.endpoints);
  // Chosen addresses first, so that no automatic one of the same command takes them.
  for (const one of planned) one.ip = chosenAddress(one);
  for (const one of planned) one.ip ??= automaticAddress(one);
  const made = planned.map((one) => ({ ...one, mac: macOf(one) }));
  return {
    commit: (revision) => {
      const nodes = new Set<Id>();
      const endpoints = made.map(({ asked, draft, ip, mac }): Endpoint => {
        const endpoint: Endpoint = {
          id: asked.id,
          networkId: asked.networkId,
          nodeId: asked.nodeId,
          name: asked.name ?? null,
          ip: formatIpv4(present(ip, "The address of an endpoint")),
          mac,
          createdAtMs: tables.timeMs,
          revision,
        };
        tables.addEndpoint(endpoint);
        if (asked.ip === undefined) draft.index.lowestFree = ipv4Number(endpoint.ip) + 1;
        return endpoint;
      });
      for (const { draft } of made) {
        for (const nodeId of draft.index.nodes.keys()) nodes.add(nodeId);
      }
      for (const network of new Set(made.map(({ draft }) => draft.network))) {
        for (const nodeId of attachNodes(tables, network, revision)) nodes.add(nodeId);
      }
      return { value: { endpoints }, touched: { nodes } };
    },
  };
};

export const deleteEndpoints: Decide<"endpoints.delete"> = (tables, body) => {
  const found: Endpoint[] = [];
  for (const id of new Set(body.ids)) {
    const endpoint = tables.endpoints.get(id);
    if (endpoint === undefined) continue;
    requireRevision(endpoint.revision, body.ifRevision);
    found.push(endpoint);
  }
  const ids = found.map((endpoint) => endpoint.id);
  if (ids.length === 0) return { value: { ids } };
  return {
    commit: () => {
      const nodes = new Set<Id>();
      for (const networkId of new Set(found.map((endpoint) => endpoint.networkId))) {
        for (const nodeId of tables.networkIndex(networkId).nodes.keys()) nodes.add(nodeId);
      }
      for (const endpoint of found) tables.deleteEndpoint(endpoint);
      for (const networkId of new Set(found.map((endpoint) => endpoint.networkId))) {
        leaveNodes(tables, networkId);
      }
      return { value: { ids }, touched: { nodes } };
    },
  };
};

/** Resolves networks and nodes, and checks all that does not depend on addresses. */
function plan(tables: Tables, asked: readonly NewEndpoint[]): Planned[] {
  const ids = new Set<Id>();
  const drafts = new Map<Id, Draft>();
  return asked.map((one, position) => {
    const field = `/endpoints/${position}`;
    if (ids.has(one.id) || tables.endpoints.has(one.id)) {
      rejectValue(`${field}/id`, "An endpoint has this id already");
    }
    ids.add(one.id);
    const draft = drafts.get(one.networkId) ?? openDraft(tables, one.networkId, field);
    drafts.set(one.networkId, draft);
    const node = requireAllowed(tables, draft.network, one.nodeId, `${field}/nodeId`);
    requireEncryption(draft.network, node, `${field}/nodeId`);
    if (one.name !== undefined) {
      if (draft.names.has(one.name) || draft.index.byName.has(one.name)) {
        const holder = draft.index.byName.get(one.name);
        reject(
          "name-taken",
          `An endpoint of ${draft.network.name} is called ${quote(one.name)} already`,
          {
            field: `${field}/name`,
            ...(holder === undefined ? {} : { details: { endpoint: holder.id } }),
          },
        );
      }
      draft.names.add(one.name);
    }
    return { asked: one, draft, field, ip: null };
  });
}

function openDraft(tables: Tables, networkId: Id, field: string): Draft {
  const network = tables.networks.get(networkId);
  if (network === undefined) {
    reject("not-found", `There is no network ${networkId}`, { field: `${field}/networkId` });
  }
  return {
    network,
    index: tables.networkIndex(networkId),
    ips: new Set(),
    macs: new Set(),
    names: new Set(),
  };
}

function requireAllowed(tables: Tables, network: Network, nodeId: Id, field: string): Node {
  const node = tables.nodes.get(nodeId);
  if (node === undefined) reject("not-found", `There is no node ${nodeId}`, { field });
  if (isAllowed(network.allowedNodes, node)) return node;
  reject(
    "node-not-allowed",
    `The node ${node.facts.hostname} may not attach to ${network.name}: ` +
      "change the network's allowedNodes, or use another node",
    { field, details: { node: node.id, network: network.id } },
  );
}

function requireEncryption(network: Network, { id, facts }: Node, field: string): void {
  if (network.keys === null || facts.encryption === "ok") return;
  reject(
    "encryption-unavailable",
    `The node ${facts.hostname} cannot have endpoints on ${network.name}, which is encrypted: ` +
      facts.encryption,
    { field, details: { node: id, network: network.id } },
  );
}

/** Nodes that had no endpoint on it and have one are holders now. Gives whoever hears of it. */
function attachNodes(tables: Tables, { id }: Network, revision: number): Id[] {
  const network = present(tables.networks.get(id), "The network of an endpoint");
  const { keys } = network;
  if (keys === null) return [];
  const come = [...tables.networkIndex(id).nodes.keys()].filter((nodeId) =>
    holderOf(keys, nodeId)?.leftAtEpoch !== null
  );
  if (come.length === 0) return [];
  const next = attach(keys, new Set(come), revision);
  tables.putNetwork({ ...network, keys: next });
  return next.holders.map(({ nodeId }) => nodeId);
}

/** Holders that have no endpoint on it any more have left. */
function leaveNodes(tables: Tables, networkId: Id): void {
  const network = present(tables.networks.get(networkId), "The network of an endpoint");
  const { keys } = network;
  if (keys === null) return;
  const { nodes } = tables.networkIndex(networkId);
  const gone = keys.holders.filter(({ nodeId, leftAtEpoch }) =>
    leftAtEpoch === null && !nodes.has(nodeId)
  );
  if (gone.length === 0) return;
  const left = new Set(gone.map(({ nodeId }) => nodeId));
  tables.putNetwork({ ...network, keys: leave(keys, left) });
}

function chosenAddress({ asked, draft, field }: Planned): number | null {
  if (asked.ip === undefined) return null;
  const { network, index } = draft;
  const at = `${field}/ip`;
  const ip = ipv4Number(asked.ip);
  if (!isInside(index.prefix, ip)) {
    reject("address-outside-subnet", `${asked.ip} is not in ${network.subnet}`, { field: at });
  }
  if (isReserved(index.prefix, ip)) {
    rejectValue(
      at,
      `${asked.ip} is never given out: in ${network.subnet} the lowest address, the one above it ` +
        "and the highest are reserved",
    );
  }
  const holder = index.byIp.get(ip);
  if (holder !== undefined || draft.ips.has(ip)) {
    reject("address-taken", `${asked.ip} is taken in ${network.name}`, {
      field: at,
      ...(holder === undefined ? {} : { details: { endpoint: holder.id } }),
    });
  }
  draft.ips.add(ip);
  return ip;
}

function automaticAddress({ draft, field }: Planned): number {
  const { index, ips, network } = draft;
  const ip = lowestFreeAddress(
    index.prefix,
    index.lowestFree,
    (candidate) => index.byIp.has(candidate) || ips.has(candidate),
  );
  if (ip === null) {
    reject(
      "subnet-exhausted",
      `All addresses of ${network.subnet} are taken in ${network.name}: delete endpoints, or ` +
        "create a network with a larger subnet",
      { field },
    );
  }
  ips.add(ip);
  return ip;
}

function macOf({ asked, draft, field, ip }: Planned): MacText {
  const { network, index } = draft;
  const own = present(ip, "The address of an endpoint");
  if (asked.mac === undefined) return defaultMac(network.vni, own);
  const at = `${field}/mac`;
  // Otherwise whoever gets that address next could not have its own MAC.
  const owner = defaultMacOwner({ vni: network.vni, prefix: index.prefix }, parseMac(asked.mac));
  if (owner !== null && owner !== own) {
    reject("mac-taken", `${asked.mac} belongs to the address ${formatIpv4(owner)}`, { field: at });
  }
  const holder = index.byMac.get(asked.mac);
  if (holder !== undefined || draft.macs.has(asked.mac)) {
    reject("mac-taken", `${asked.mac} is taken in ${network.name}`, {
      field: at,
      ...(holder === undefined ? {} : { details: { endpoint: holder.id } }),
    });
  }
  draft.macs.add(asked.mac);
  return asked.mac;
}
