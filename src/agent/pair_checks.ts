import { type Bytes, decodeBase32 } from "../base/mod.ts";
import { checkPairs, type CheckPorts, type NetworkToCheck } from "../overlay/mod.ts";
import {
  type CheckOrder,
  type CheckReport,
  type ProjectedNetwork,
  type Projection,
  underlayMtuBytesFor,
} from "../state/mod.ts";
import { refusalOf } from "./xfrm_counters.ts";

/** Probes the peers that an order names; what keeps it from that is in the report. */
export async function checkAsOrdered(
  ports: CheckPorts,
  order: CheckOrder,
  projection: Projection | null,
): Promise<CheckReport> {
  const { networkId, checkId } = order;
  const report = { v: 1, networkId, checkId, problem: null, neededMtuBytes: 0 } as const;
  const nothing = { refused: [], peers: [] };
  const network = projection?.networks.find(({ id }) => id === networkId);
  const wanted = projection === null || network === undefined
    ? null
    : networkToCheck(order, projection, network);
  if (wanted === null) {
    return {
      ...report,
      ...nothing,
      problem: "this host is not on the network, or the network is not encrypted",
    };
  }
  const { vtepAddress } = wanted.self;
  const encapsulation = { vtepAddress, encrypted: true };
  const neededMtuBytes = underlayMtuBytesFor(wanted.mtuBytes, encapsulation);
  try {
    const { peers, refused } = await checkPairs(ports, wanted, idBytes(checkId));
    return {
      ...report,
      neededMtuBytes,
      peers,
      refused: [...refused].map(([name, packets]) => refusalOf(name, packets)),
    };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { ...report, neededMtuBytes, ...nothing, problem: problem.slice(0, 1024) };
  }
}

/** Null when there is nothing about it that could be checked. */
export function networkToCheck(
  { nodeIds }: CheckOrder,
  { node }: Projection,
  { id, name, mtuBytes, encryption }: ProjectedNetwork,
): NetworkToCheck | null {
  if (encryption === null) return null;
  const isMeant = (peer: string) =>
    nodeIds === null || nodeIds.includes(node.id) || nodeIds.includes(peer);
  const { slot, epochs, holders } = encryption;
  const peers = holders.filter(({ nodeId, state }) =>
    nodeId !== node.id && state === "attached" && isMeant(nodeId)
  );
  return {
    id,
    name,
    slot,
    mtuBytes,
    epochs: epochs.map(({ epoch }) => epoch),
    self: { index: node.index, vtepAddress: node.vtepAddress },
    peers: peers.map(({ nodeId, index, vtepAddress }) => ({ nodeId, index, vtepAddress })),
  };
}

function idBytes(checkId: string): Bytes {
  return decodeBase32(checkId);
}
