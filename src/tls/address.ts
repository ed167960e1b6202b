import { IpAddress } from "../base/mod.ts";

/** Where to dial. */
export interface Endpoint {
  /** As the caller wrote it, for messages. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `192.0.2.1:7443` or `[2001:db8::1]:7443`.
 *
 * @throws {TypeError} when the text is not an IP address with a port
 */
export function parseEndpoint(address: string): Endpoint {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(address);
  const [, six, four, port] = match ?? [];
  const host = six ?? four;
  if (host === undefined || Number(port) > 65_535) {
    throw new TypeError(
      `Cannot parse address: ${JSON.stringify(address)} is not ip:port or [ipv6]:port`,
    );
  }
  if ((IpAddress.parse(host).family === 6) !== (six !== undefined)) {
    throw new TypeError(`Cannot parse address: ${JSON.stringify(address)} has misplaced brackets`);
  }
  return { address, host, port: Number(port) };
}

/** The endpoint of an IP address and a port, which nobody has to read. */
export function endpointOf(host: string, port: number): Endpoint {
  return { address: `${host.includes(":") ? `[${host}]` : host}:${port}`, host, port };
}
