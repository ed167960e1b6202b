import type { Id } from "../base/mod.ts";
import { decodeSpi } from "../esp/mod.ts";
import type { Filter, Sa } from "../netlink/mod.ts";
import type {
  ProjectedEncryption,
  ProjectedNetwork,
  Projection,
  ReportedFault,
  ReportedRefusal,
  ReportedTraffic,
} from "../state/mod.ts";

/** A report names no more peers of a network; the host's own status has all. */
const MAX_FAULTY = 16;
/** Nor more networks: one comes every three seconds from each host. */
const MAX_NETWORKS = 256;

const GUARD_MEANINGS = {
  egress:
    "cleartext was offered for an encrypted network and dropped at the device: IPsec's policies " +
    "had let it pass, so somebody has changed them",
  ingress:
    "cleartext came for an encrypted network and was dropped at the device: somebody forges it, " +
    "or the other host does not encrypt",
} as const;

/** What has passed between this host and another one on one network. */
export interface PeerRow {
  readonly networkId: Id;
  readonly networkName: string;
  readonly nodeId: Id;
  sentPackets: number;
  sentBytes: number;
  receivedPackets: number;
  receivedBytes: number;
  /** Received before, or too late to tell. */
  replays: number;
  /** Changed on the way, or made with another key. */
  integrityFailures: number;
}

/**
 * Packets and bytes by network and peer, over the SAs that are there now: with an epoch go its counts.
 * Pure.
 */
export function peerCounters(projection: Projection, sas: Iterable<Sa>): readonly PeerRow[] {
  const rows = new Map<string, PeerRow>();
  const bySlot = new Map<number, ProjectedNetwork>();
  for (const network of projection.networks) {
    const { encryption } = network;
    if (encryption === null) continue;
    bySlot.set(encryption.slot, network);
    for (const { nodeId } of encryption.holders) {
      if (nodeId !== projection.node.id) {
        rows.set(`${network.id} ${nodeId}`, newRow(network, nodeId));
      }
    }
  }
  for (const sa of sas) {
    const spi = decodeSpi(sa.spi);
    const network = spi === null ? undefined : bySlot.get(spi.slot);
    if (spi === null || network === undefined || network.encryption === null) continue;
    const isOut = spi.sender === projection.node.index;
    const peer = isOut
      ? holderAt(network.encryption, sa.destination.toString())
      : network.encryption.holders.find(({ index }) => index === spi.sender);
    const row = rows.get(`${network.id} ${peer?.nodeId}`);
    if (row !== undefined) add(row, sa, isOut ? "sent" : "received");
  }
  return [...rows.values()];
}

/**
 * The same by network, and peers only where there are faults: few numbers, however many SAs. Those with
 * faults come first, then those with most packets. Pure.
 */
export function trafficOf(rows: Iterable<PeerRow>): readonly ReportedTraffic[] {
  const totals = new Map<Id, PeerRow & { faulty: ReportedFault[] }>();
  for (const row of rows) {
    const { networkId, nodeId, replays, integrityFailures } = row;
    const total = totals.get(networkId);
    const faulty = total?.faulty ?? [];
    if (replays + integrityFailures > 0) faulty.push({ nodeId, replays, integrityFailures });
    totals.set(networkId, { ...(total === undefined ? row : sum(total, row)), faulty });
  }
  const worstFirst = (left: ReportedFault, right: ReportedFault) =>
    faultsOf(right) - faultsOf(left);
  return [...totals.values()]
    .sort((left, right) => worstFirst(left, right) || packetsOf(right) - packetsOf(left))
    .slice(0, MAX_NETWORKS)
    .map(({ nodeId: _, faulty, ...total }) => ({
      ...total,
      faulty: faulty.sort(worstFirst).slice(0, MAX_FAULTY),
    }));
}

/** What the second guard has dropped, on the wire's side of the networks' ports. Pure. */
export function guardCounters(
  networks: readonly Pick<ProjectedNetwork, "name" | "port">[],
  filters: Iterable<Filter>,
): readonly ReportedRefusal[] {
  const byPort = new Map(networks.map(({ name, port }) => [port, name]));
  const dropped = new Map<string, ReportedRefusal>();
  for (const { flower, actions, hook } of filters) {
    const ports = [flower?.udpDestinationPort ?? null, flower?.udpSourcePort ?? null];
    const networkName = ports.map((port) => byPort.get(port ?? 0)).find((name) =>
      name !== undefined
    );
    const packets = Number(actions[0]?.counters?.packets ?? 0);
    if (networkName === undefined || actions[0]?.drops !== true || packets === 0) continue;
    const key = `${networkName} ${hook}`;
    dropped.set(key, {
      name: `guard-${hook}`,
      networkName,
      packets: packets + (dropped.get(key)?.packets ?? 0),
      meaning: GUARD_MEANINGS[hook],
    });
  }
  return [...dropped.values()];
}

function newRow({ id, name }: ProjectedNetwork, nodeId: Id): PeerRow {
  return {
    networkId: id,
    networkName: name,
    nodeId,
    sentPackets: 0,
    sentBytes: 0,
    receivedPackets: 0,
    receivedBytes: 0,
    replays: 0,
    integrityFailures: 0,
  };
}

function holderAt({ holders }: ProjectedEncryption, address: string) {
  return holders.find(({ vtepAddress }) => vtepAddress === address);
}

function add(row: PeerRow, { use, refused }: Sa, direction: "sent" | "received"): void {
  row[`${direction}Packets`] += Number(use.packets);
  row[`${direction}Bytes`] += Number(use.bytes);
  row.replays += refused.replayed + refused.late;
  row.integrityFailures += refused.integrity;
}

function sum(left: PeerRow, right: PeerRow): PeerRow {
  return {
    ...left,
    sentPackets: left.sentPackets + right.sentPackets,
    sentBytes: left.sentBytes + right.sentBytes,
    receivedPackets: left.receivedPackets + right.receivedPackets,
    receivedBytes: left.receivedBytes + right.receivedBytes,
    replays: left.replays + right.replays,
    integrityFailures: left.integrityFailures + right.integrityFailures,
  };
}

function packetsOf({ sentPackets, receivedPackets }: PeerRow): number {
  return sentPackets + receivedPackets;
}

function faultsOf({ replays, integrityFailures }: ReportedFault): number {
  return replays + integrityFailures;
}
