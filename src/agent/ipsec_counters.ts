import type { Clock, JsonObject } from "../base/mod.ts";
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
import type { Projection, ReportedIpsec, ReportedRefusal } from "../state/mod.ts";
import { guardCounters, peerCounters, type PeerRow, trafficOf } from "./ipsec_rows.ts";
import { XfrmCounters } from "./xfrm_counters.ts";

/** Whoever looks more often sees what was seen last: a dump of many SAs is no small thing. */
const REFRESH_MS = 2_000;
/** Reports come every three seconds; counting for them takes no more than a fiftieth of the time. */
const REPORT_REFRESH_MS = 6_000;
const REPORT_SHARE = 50;
/** About thirty counters, and what the guards of some networks have dropped. */
const MAX_REFUSED = 128;

/** What was counted, in full. */
interface Counted {
  readonly peers: readonly PeerRow[];
  readonly refused: readonly ReportedRefusal[];
  readonly unreadable: string | null;
}

/** What a status shows. */
export interface CountedIpsec {
  /** In few numbers, as in reports. */
  readonly summary: ReportedIpsec | null;
  /** By peer. */
  readonly peers: readonly JsonObject[];
}

/** What the kernel has counted for encrypted networks. */
export class IpsecCounters {
  readonly #host: Host;
  readonly #clock: Clock;
  readonly #refusals: XfrmCounters;
  #newest: { readonly atMs: number; readonly counting: Promise<Counted | null> } | null = null;
  #last: { readonly atMs: number; readonly tookMs: number; readonly counted: Counted | null } = {
    atMs: -Infinity,
    tookMs: 0,
    counted: null,
  };

  /** Counts refusals from now on. */
  constructor(host: Host, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
    this.#refusals = new XfrmCounters(() => host.readHostNetFile("xfrm_stat"));
  }

  /** As they are now, or were a moment ago; of the networks of a projection. */
  async count(projection: Projection | null, guardLack: string | null): Promise<CountedIpsec> {
    const counted = await this.#counting(projection, REFRESH_MS);
    return {
      summary: summaryOf(counted, guardLack),
      peers: counted?.peers.map((row) => ({ ...row })) ?? [],
    };
  }

  /** As they were when they were last counted; sees that they are counted again before long. */
  summary(projection: Projection | null, guardLack: string | null): ReportedIpsec | null {
    const { counted, tookMs } = this.#last;
    void this.#counting(projection, Math.max(REPORT_REFRESH_MS, REPORT_SHARE * tookMs));
    return summaryOf(counted, guardLack);
  }

  #counting(projection: Projection | null, goodForMs: number): Promise<Counted | null> {
    const atMs = this.#clock.monotonicMs();
    if (this.#newest === null || atMs - this.#newest.atMs > goodForMs) {
      const counting = this.#count(projection).then((counted) => {
        this.#last = { atMs, tookMs: this.#clock.monotonicMs() - atMs, counted };
        return counted;
      });
      this.#newest = { atMs, counting };
    }
    return this.#newest.counting;
  }

  /** Never rejects. */
  async #count(projection: Projection | null): Promise<Counted | null> {
    const encrypted = projection?.networks.filter(({ encryption }) => encryption !== null) ?? [];
    if (projection === null || encrypted.length === 0) return null;
    try {
      const peers = peerCounters(
        projection,
        await this.#read((host) => host.openXfrmTransport, sas),
      );
      const guard = guardCounters(
        encrypted,
        await this.#read((host) => host.openTransport, filters),
      );
      return { peers, refused: [...guard, ...this.#refusals.refusals()], unreadable: null };
    } catch (error) {
      // They are for one who looks for a fault: that one has to hear of this, too.
      const unreadable = error instanceof Error ? error.message : String(error);
      return { peers: [], refused: [], unreadable };
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

function summaryOf(counted: Counted | null, guardLack: string | null): ReportedIpsec | null {
  if (counted === null) return null;
  const { peers, refused, unreadable } = counted;
  const some = refused.slice(-MAX_REFUSED);
  return { networks: trafficOf(peers), refused: some, guardLack, unreadable };
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
