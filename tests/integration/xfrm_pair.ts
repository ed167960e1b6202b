/**
 * Two hosts with SAs and policies between them, made by our codecs alone.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Cidr, IpAddress, type IpFamily, SecretBytes } from "../../src/base/mod.ts";
import {
  addAddress,
  addPolicy,
  addSa,
  Connection,
  createLink,
  NetlinkError,
  type NewPolicy,
  type NewSa,
  replaceNeighbour,
  type Selector,
  setLink,
} from "../../src/netlink/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  type NetworkNamespace,
  openNetlinkSocket,
} from "../../src/sys/mod.ts";

export const PORT = 20001;
export const REQID = 0x41470001;

/** A host: a network namespace with one link to the other host of the pair. */
export class Host implements Disposable {
  static #count = 0;
  readonly name = `xfrm-test-${Deno.pid}-${Host.#count++}`;
  readonly namespace: NetworkNamespace = createNamedNamespace(this.name);
  readonly route = this.#connect("route");
  readonly xfrm = this.#connect("xfrm");

  #connect(family: "route" | "xfrm"): Connection {
    const socket = openNetlinkSocket({ family, namespace: this.namespace });
    return new Connection(socket, { requestsPerSend: 16_000 });
  }

  /** What a command prints in the namespace. */
  async run(...command: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("ip", {
      args: ["netns", "exec", this.name, ...command],
      stdin: "null",
    }).output();
    assert.ok(success, `${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }

  [Symbol.dispose](): void {
    this.route.close();
    this.xfrm.close();
    this.namespace.close();
    deleteNamedNamespace(this.name);
  }
}

export const INDEX = 50;
export const MAC = ["02:00:00:00:00:01", "02:00:00:00:00:02"] as const;
export type Place = 0 | 1;

export function address(family: IpFamily, place: Place): IpAddress {
  const prefix = family === 4 ? "192.0.2." : "2001:db8::";
  return IpAddress.parse(`${prefix}${place + 1}`);
}

export function whole(address: IpAddress): Cidr {
  return new Cidr(address, address.family === 4 ? 32 : 128);
}

/** Two hosts on one wire, that know each other's hardware addresses. */
export class Pair implements Disposable {
  readonly hosts: readonly [Host, Host] = [new Host(), new Host()];

  constructor() {
    const [one, two] = this.hosts;
    one.route.request(createLink({
      name: "under0",
      index: INDEX,
      address: MAC[0],
      up: true,
      kind: {
        kind: "veth",
        peer: { name: "under0", index: INDEX, address: MAC[1], namespaceFd: two.namespace.fd },
      },
    }));
    two.route.request(setLink(INDEX, { up: true }));
    for (const place of [0, 1] as const) {
      const other = place === 0 ? 1 : 0;
      for (const family of [4, 6] as const) {
        const prefixLength = family === 4 ? 24 : 64;
        const own = { index: INDEX, address: address(family, place), prefixLength };
        const { route } = this.hosts[place];
        route.request(addAddress({ ...own, noDad: family === 6 }));
        route.request(replaceNeighbour({
          index: INDEX,
          address: address(family, other),
          mac: MAC[other],
          state: "permanent",
        }));
      }
    }
  }

  [Symbol.dispose](): void {
    for (const host of this.hosts) host[Symbol.dispose]();
  }
}

export function refusedWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof NetlinkError && error.code === code;
}

export function secret(byte: number): SecretBytes {
  return new SecretBytes(new Uint8Array(36).fill(byte));
}

/** All packets from one host to the other. */
export function between(family: IpFamily, from: Place): Selector {
  return {
    source: whole(address(family, from)),
    destination: whole(address(family, from === 0 ? 1 : 0)),
    protocol: null,
    sourcePort: null,
    destinationPort: null,
    index: null,
  };
}

export function ofPort(family: IpFamily, from: Place): Selector {
  return { ...between(family, from), protocol: 17, sourcePort: PORT, destinationPort: PORT };
}

export function sa(family: IpFamily, from: Place, spi: number): NewSa {
  return {
    source: address(family, from),
    destination: address(family, from === 0 ? 1 : 0),
    spi,
    reqid: REQID,
    mode: "transport",
    aead: { name: "rfc4106(gcm(aes))", key: secret(from + 1), icvBits: 128 },
    esn: true,
    windowPackets: 1024,
  };
}

export function policy(family: IpFamily, from: Place, self: Place, spi: number): NewPolicy {
  const selector = between(family, from);
  const template = {
    source: selector.source.address,
    destination: selector.destination.address,
    reqid: REQID,
    mode: "transport",
  } as const;
  return from === self
    ? {
      direction: "out",
      selector,
      priority: 100,
      action: "allow",
      icmp: true,
      templates: [{ ...template, spi }],
    }
    : { direction: "in", selector, priority: 100, action: "allow", templates: [template] };
}

export const spiOf = (from: Place) => 0x20010001 + from;

/** SAs and policies for all packets between the two, on both. */
export function protect({ hosts }: Pair, family: IpFamily): void {
  for (const self of [0, 1] as const) {
    const { xfrm } = hosts[self];
    const requests = ([0, 1] as const).flatMap((from) => [
      addSa(sa(family, from, spiOf(from))),
      addPolicy(policy(family, from, self, spiOf(from))),
    ]);
    assert.deepEqual(xfrm.batch(requests), requests.map(() => null));
  }
}

export async function ping({ hosts: [one] }: Pair, family: IpFamily, count = 3): Promise<void> {
  await one.run("ping", "-q", "-c", `${count}`, "-i", "0.02", "-W", "5", `${address(family, 1)}`);
}

/** The text that iproute2 prints has the words, in their order, with any white space between. */
export function assertPrinted(text: string, ...words: readonly string[]): void {
  const printed = text.replaceAll(/\s+/g, " ");
  for (const word of words) assert.ok(printed.includes(word), `${word} in ${text}`);
}
