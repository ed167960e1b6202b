import { Cidr } from "../base/mod.ts";
import type { NodeRecord } from "../node/mod.ts";
import { type Host, hostRoutes, underlayMtu } from "../overlay/mod.ts";
import { DEFAULT_SETTINGS, type NodeFacts } from "../state/mod.ts";
import { hostname } from "../sys/mod.ts";

/** The formats and commands that this agent knows. */
const FEATURE_LEVEL = 1;
/** Routes change seldom, and a report goes out every three seconds. */
const REFRESH_MS = 10_000;

/** What {@linkcode HostDescription} describes. */
export interface HostDescriptionOptions {
  /** This machine. */
  readonly host: Host;
  /** As a node has them. */
  readonly addresses: Pick<NodeRecord, "controlAddress" | "vtepAddress">;
  /** Whether it can have encrypted networks: `ok`, or why not. */
  readonly encryption: () => string;
  readonly agentVersion: string;
}

/** What the host says of itself to the cluster. */
export class HostDescription {
  readonly #options: HostDescriptionOptions;
  #facts: Omit<NodeFacts, "encryption"> | null = null;
  #madeAtMs = 0;

  /** Describes this machine as a node with these addresses. */
  constructor(options: HostDescriptionOptions) {
    this.#options = options;
  }

  /** As it is now, or was a few seconds ago. */
  facts(): NodeFacts {
    const nowMs = performance.now();
    if (this.#facts === null || nowMs - this.#madeAtMs > REFRESH_MS) {
      this.#facts = this.#describe();
      this.#madeAtMs = nowMs;
    }
    return { ...this.#facts, encryption: this.#options.encryption() };
  }

  #describe(): Omit<NodeFacts, "encryption"> {
    const { host, addresses: { controlAddress, vtepAddress }, agentVersion } = this.#options;
    return {
      hostname: hostname(),
      controlAddress,
      vtepAddress,
      underlayMtuBytes: underlayMtu(host, vtepAddress, []),
      hostRoutes: hostRoutes(host, Cidr.parse(DEFAULT_SETTINGS.addressPool)),
      agentVersion,
      featureLevel: FEATURE_LEVEL,
    };
  }
}
