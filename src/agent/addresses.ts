import { IpAddress } from "../base/mod.ts";
import { type Host, sourceAddressFor } from "../overlay/mod.ts";

/** The addresses of a node, or their choice is a person's. */
export class AddressError extends Error {
  /** `AddressError`. */
  override name = "AddressError";
}

/** What a person has said of this host's addresses. */
export interface AddressChoice {
  /** Control address, with or without a port. */
  readonly advertise?: string | undefined;
  readonly vtep?: string | undefined;
}

/** What a node is known by. */
export interface NodeAddresses {
  /** `192.0.2.1:7443`. */
  readonly controlAddress: string;
  readonly vtepAddress: string;
}

/**
 * Where the others reach this host: what a person has said, or the source address of the route to
 * `leader` (null: of the default route).
 *
 * @throws {AddressError} when it is ambiguous, with the choices, or not an address of this host
 */
export function chooseAddresses(
  host: Host,
  choice: AddressChoice,
  leader: string | null,
  defaultPort: number,
): NodeAddresses {
  const { address, port } = choice.advertise === undefined
    ? { address: defaultAddress(host, leader), port: defaultPort }
    : splitAddress(choice.advertise, defaultPort);
  const vtepAddress = choice.vtep ?? address;
  parse(vtepAddress, "--vtep");
  return { controlAddress: joinAddress(address, port), vtepAddress };
}

/**
 * Takes `192.0.2.1`, `192.0.2.1:7443`, `2001:db8::1` or `[2001:db8::1]:7443` apart.
 *
 * @throws {AddressError} when it is none of these
 */
export function splitAddress(
  text: string,
  defaultPort: number,
): { readonly address: string; readonly port: number } {
  const match = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:]+):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? text;
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (port < 1 || port > 65535) throw new AddressError(`${text}: port ${port} is not in 1..65535`);
  return { address: String(parse(address, text)), port };
}

/** `192.0.2.1:7443` or `[2001:db8::1]:7443`. */
export function joinAddress(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function parse(text: string, what: string): IpAddress {
  try {
    return IpAddress.parse(text);
  } catch {
    throw new AddressError(
      `${what}: ${text} is not an IP address; names are not used between hosts`,
    );
  }
}

function defaultAddress(host: Host, leader: string | null): string {
  const source = sourceAddressFor(host, leader);
  if (source.kind === "found") return source.address;
  const choices = source.choices.map(({ address, interfaceName }) =>
    `${address} (${interfaceName})`
  );
  const route = leader === null ? "has no default route" : `has no route to ${leader}`;
  throw new AddressError(
    choices.length === 0
      ? `This host ${route} and no address that others could reach: give it one`
      : `This host ${route}, so its address has to be chosen: --advertise with one of ` +
        choices.join(", "),
  );
}
