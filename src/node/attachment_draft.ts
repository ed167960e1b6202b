import { type Id, newId, present, type Random } from "../base/mod.ts";
import type { Projection } from "../state/mod.ts";
import type { AttachedEndpoint, AttachmentRecord } from "./attachment_store.ts";
import { HostError } from "./host_error.ts";

/** What a client of the host's socket wants attached. */
export interface AttachRequest {
  /** Path of its network namespace. */
  readonly netns?: string | undefined;
  /** A process in it. */
  readonly pid?: number | undefined;
  /** One or several: all or none. */
  readonly networks: readonly WantedNetwork[];
  /** Name of its endpoints. */
  readonly name?: string | undefined;
  /** Whether it ends with its last process. */
  readonly lease?: boolean | undefined;
}

/** One network that a workload wants to be on. */
export interface WantedNetwork {
  /** Id or name. */
  readonly network: string;
  /** Address on it; by default the lowest that is free. */
  readonly ip?: string | undefined;
  /** Name of the interface; by default the first free `ethN`. */
  readonly interface?: string | undefined;
}

/** One endpoint that the leader is asked for. */
export interface WantedEndpoint {
  readonly id: Id;
  readonly network: string;
  readonly name?: string;
  readonly ip?: string;
}

/** What is chosen by: the workload, and what there is already. */
export interface DraftFacts {
  /** Names of the interfaces that are in the workload. */
  readonly interfaceNames: readonly string[];
  readonly projection: Projection | null;
  /** Endpoints of other attachments. */
  readonly taken: ReadonlySet<Id>;
  readonly random: Random;
}

/**
 * Chooses endpoints and names of interfaces. Both are kept, so that a workload's interfaces keep their
 * names through repairs.
 *
 * @throws {HostError} `interface-taken`
 */
export function draftEndpoints(request: AttachRequest, facts: DraftFacts): AttachedEndpoint[] {
  const names = chooseNames(request.networks, facts.interfaceNames);
  const taken = new Set(facts.taken);
  return request.networks.map((wanted, index) => {
    const reserved = findReserved(wanted, request.name, facts.projection, taken);
    const endpoint = {
      endpointId: reserved?.endpointId ?? newId(facts.random),
      networkId: reserved?.networkId ?? null,
      interfaceName: present(names[index], "a name for each network"),
      reserved: reserved !== null,
    };
    taken.add(endpoint.endpointId);
    return endpoint;
  });
}

/** Those endpoints of a record that have to be made, and at which place of the request each stands. */
export function wantedEndpoints(
  { endpoints, name }: AttachmentRecord,
  networks: readonly WantedNetwork[],
): { readonly wanted: readonly WantedEndpoint[]; readonly places: readonly number[] } {
  const wanted: WantedEndpoint[] = [];
  const places: number[] = [];
  networks.forEach(({ network, ip }, place) => {
    const endpoint = endpoints[place];
    if (endpoint === undefined || endpoint.reserved) return;
    places.push(place);
    wanted.push({
      id: endpoint.endpointId,
      network,
      ...(name === null ? {} : { name }),
      ...(ip === undefined ? {} : { ip }),
    });
  });
  return { wanted, places };
}

/**
 * The leader's refusal in the terms of the host's client: `/endpoints/1/ip` of the leader's body is
 * the `ip` of a network of the client's; the name is one for all.
 */
export function inClientTerms(refusal: HostError, places: readonly number[]): HostError {
  const { code, message, field, details, cause } = refusal;
  const [, position, member] = /^\/endpoints\/(\d+)\/(\w+)$/.exec(field ?? "") ?? [];
  const place = places[Number(position)];
  const clientField = member === "name" || place === undefined
    ? member && `/${member}`
    : `/networks/${place}/${member}`;
  return new HostError(code, message, {
    ...(clientField === undefined ? {} : { field: clientField }),
    ...(details === undefined ? {} : { details }),
    cause,
  });
}

function chooseNames(
  networks: readonly WantedNetwork[],
  interfaceNames: readonly string[],
): string[] {
  const taken = new Set(interfaceNames);
  networks.forEach(({ interface: wanted }, index) => {
    if (wanted === undefined) return;
    if (taken.has(wanted)) {
      const who = interfaceNames.includes(wanted) ? "The workload" : "Another of these networks";
      throw new HostError("interface-taken", `${who} has an interface ${wanted} already`, {
        field: `/networks/${index}/interface`,
      });
    }
    taken.add(wanted);
  });
  let next = 0;
  return networks.map(({ interface: wanted }) => {
    if (wanted !== undefined) return wanted;
    while (taken.has(`eth${next}`)) next++;
    return `eth${next++}`;
  });
}

/** An endpoint that a person has reserved for a workload of this name on this host. */
function findReserved(
  wanted: WantedNetwork,
  name: string | undefined,
  projection: Projection | null,
  taken: ReadonlySet<Id>,
): { readonly endpointId: Id; readonly networkId: Id } | null {
  if (name === undefined || projection === null) return null;
  const network = projection.networks.find((one) =>
    one.id === wanted.network || one.name === wanted.network
  );
  const endpoint = network?.endpoints.find((candidate) =>
    candidate.nodeId === projection.node.id && candidate.name === name &&
    !taken.has(candidate.id) && (wanted.ip === undefined || wanted.ip === candidate.ip)
  );
  if (network === undefined || endpoint === undefined) return null;
  return { endpointId: endpoint.id, networkId: network.id };
}
