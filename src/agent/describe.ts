import { Cidr } from "../base/mod.ts";
import type { NodeRecord } from "../node/mod.ts";
import { type Host, hostRoutes, underlayMtu } from "../overlay/mod.ts";
import { DEFAULT_SETTINGS, type NodeFacts } from "../state/mod.ts";
import { hostname } from "../sys/mod.ts";

/** The formats and commands that this agent knows. */
const FEATURE_LEVEL = 1;
/** Routes change seldom, and a report goes out every three seconds. */
const REFRESH_MS = 10_000;

/** What the host says of itself to the cluster. */
export class HostDescription {
  readonly #host: Host;
  readonly #addresses: Pick<NodeRecord, "controlAddress" | "vtepAddress">;
  readonly #agentVersion: string;
  #facts: NodeFacts | null = null;
  #madeAtMs = 0;

  /** Describes this machine as a node with these addresses. */
  constructor(
    host: Host,
    addresses: Pick<NodeRecord, "controlAddress" | "vtepAddress">,
    agentVersion: string,
  ) {
    this.#host = host;
    this.#addresses = addresses;
    this.#agentVersion = agentVersion;
  }

  /** As it is now, or was a few seconds ago. */
  facts(): NodeFacts {
    const nowMs = performance.now();
    if (this.#facts === null || nowMs - this.#madeAtMs > REFRESH_MS) {
      this.#facts = this.#describe();
      this.#madeAtMs = nowMs;
    }
    return this.#facts;
  }

  #describe(): NodeFacts {
    const { controlAddress, vtepAddress } = this.#addresses;
    return {
      hostname: hostname(),
      controlAddress,
      vtepAddress,
      underlayMtuBytes: underlayMtu(this.#host, vtepAddress, []),
      hostRoutes: hostRoutes(this.#host, Cidr.parse(DEFAULT_SETTINGS.addressPool)),
      encryption: "unavailable (this version has no encrypted networks)",
      agentVersion: this.#agentVersion,
      featureLevel: FEATURE_LEVEL,
    };
  }
}
