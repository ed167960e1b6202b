import type { Clock, Id, JsonObject } from "../base/mod.ts";
import { decodeSpi } from "../esp/mod.ts";
import {
  Connection,
  dumpFilters,
  dumpQdiscs,
  dumpSas,
  type Filter,
  type Sa,
  type Transport,
} from "../netlink/mod.ts";
import type { Host, Namespace } from "../overlay/mod.ts";
import type { ProjectedEncryption, ProjectedNetwork, Projection } from "../state/mod.ts";
import { XfrmCounters } from "./xfrm_counters.ts";

/** Whoever looks more often sees what was seen last: a dump of many SAs is no small thing. */
const REFRESH_MS = 2_000;

const GUARD_MEANINGS = {
  egress:
    "cleartext was offered for an encrypted network and dropped at the device: IPsec's policies " +
    "had let it pass, so somebody has changed them",
  ingress:
    "cleartext came for an encrypted network and was dropped at the device: somebody forges it, " +
    "or the other host does not encrypt",
} as const;

/** What the kernel has counted for encrypted networks. */
export class IpsecCounters {
  readonly #host: Host;
  readonly #clock: Clock;
  readonly #refusals: XfrmCounters;
  #newest: { readonly atMs: number; readonly counters: Promise<JsonObject> } | null = null;

  /** Counts refusals from now on. */
  constructor(host: Host, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
    this.#refusals = new XfrmCounters(() => host.readHostNetFile("xfrm_stat"));
  }

  /** As they are now, or were a moment ago; of the networks of a projection. */
  count(projection: Projection | null): Promise<JsonObject> {
    const atMs = this.#clock.monotonicMs();
    if (this.#newest === null || atMs - this.#newest.atMs > REFRESH_MS) {
      this.#newest = { atMs, counters: this.#count(projection) };
    }
    return this.#newest.counters;
  }

  async #count(projection: Projection | null): Promise<JsonObject> {
    const refused = this.#refusals.refusals();
    const encrypted = projection?.networks.filter(({ encryption }) => encryption !== null) ?? [];
    if (projection === null || encrypted.length === 0) return { refused };
    try {
      return {
        refused,
        peers: peerCounters(projection, await this.#read((host) => host.openXfrmTransport, sas)),
        guard: guardCounters(encrypted, await this.#read((host) => host.openTransport, filters)),
      };
    } catch (error) {
      // They are for one who looks for a fault: that one has to hear of this, too.
      return { refused, unreadable: error instanceof Error ? error.message : String(error) };
    }
  }

  async #read<T>(
    opener: (host: Host) => (namespace: Namespace) => Transport,
    read: (connection: Connection, pause: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const namespace = this.#host.openHostNamespace();
    try {
      const connection = new Connection(opener(this.#host).call(this.#host, namespace));
      try {
        return await read(
          connection,
          () => new Promise<void>((resolve) => void this.#clock.schedule(0, resolve)),
        );
      } finally {
        connection.close();
      }
    } finally {
      namespace.close();
    }
  }
}

function sas(connection: Connection, pause: () => Promise<void>): Promise<Sa[]> {
  return connection.dumpInParts(dumpSas(), pause);
}

async function filters(connection: Connection, pause: () => Promise<void>): Promise<Filter[]> {
  const found: Filter[] = [];
  for (const { kind, index } of await connection.dumpInParts(dumpQdiscs(), pause)) {
    if (kind !== "clsact") continue;
    for (const hook of ["ingress", "egress"] as const) {
      found.push(...await connection.dumpInParts(dumpFilters({ index, hook }), pause));
    }
  }
  return found;
}

/**
 * Packets and bytes by network and peer, over the SAs that are there now: with an epoch go its counts.
 * Pure.
 */
export function peerCounters(projection: Projection, sas: Iterable<Sa>): readonly JsonObject[] {
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
  return [...rows.values()].map((row) => ({ ...row }));
}

/** What the second guard has dropped, on the wire's side of the networks' ports. Pure. */
export function guardCounters(
  networks: readonly Pick<ProjectedNetwork, "name" | "port">[],
  filters: Iterable<Filter>,
): readonly JsonObject[] {
  const byPort = new Map(networks.map(({ name, port }) => [port, name]));
  const dropped = new Map<string, { networkName: string; packets: number; meaning: string }>();
  for (const { flower, actions, hook } of filters) {
    const ports = [flower?.udpDestinationPort ?? null, flower?.udpSourcePort ?? null];
    const networkName = ports.map((port) => byPort.get(port ?? 0)).find((name) =>
      name !== undefined
    );
    const packets = Number(actions[0]?.counters?.packets ?? 0);
    if (networkName === undefined || actions[0]?.drops !== true || packets === 0) continue;
    const key = `${networkName} ${hook}`;
    const before = dropped.get(key)?.packets ?? 0;
    dropped.set(key, { networkName, packets: before + packets, meaning: GUARD_MEANINGS[hook] });
  }
  return [...dropped.values()];
}

interface PeerRow {
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
