import type { Desired, DesiredEndpoint, DesiredNetwork } from "./desired.ts";
import { sandboxName } from "./names.ts";

/** A desired state by names of sandboxes. */
export interface Wanted {
  readonly networks: ReadonlyMap<string, DesiredNetwork>;
  readonly endpoints: ReadonlyMap<string, readonly DesiredEndpoint[]>;
}

/** Arranges a desired state by sandboxes. */
export function bySandbox(desired: Desired): Wanted {
  const networks = new Map(desired.networks.map((network) => [sandboxName(network.name), network]));
  const names = new Map(desired.networks.map(({ id, name }) => [id, sandboxName(name)]));
  const endpoints = new Map<string, DesiredEndpoint[]>();
  for (const endpoint of desired.endpoints) {
    const name = names.get(endpoint.networkId);
    if (name === undefined) continue;
    const before = endpoints.get(name);
    if (before === undefined) endpoints.set(name, [endpoint]);
    else before.push(endpoint);
  }
  return { networks, endpoints };
}
