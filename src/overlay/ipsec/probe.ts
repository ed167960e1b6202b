import { assert, IpAddress, type MacText, SecretBytes } from "../../base/mod.ts";
import { encodeSpi, SA_KEY_BYTES } from "../../esp/mod.ts";
import {
  addAddress,
  Connection,
  createLink,
  getSa,
  replaceNeighbour,
  type Request,
  setLink,
} from "../../netlink/mod.ts";
import { throwFirst } from "../apply.ts";
import type { Host, Namespace } from "../host.ts";
import { blocksOf, type SaToMake } from "./operation.ts";
import { saRequest, xfrmRequest } from "./requests.ts";

const SLOT = 0;
const PORT = 20_000;
const UNDERLAY_INDEX = 10;
const VXLAN_INDEX = 11;

/** What came of asking: a packet is there before the kernel answers, but for ciphers that work later. */
const LOOKS = 200;

type ProbeEnd = { readonly address: IpAddress; readonly mac: MacText };

const ENDS: readonly [ProbeEnd, ProbeEnd] = [
  { address: IpAddress.parse("192.0.2.1"), mac: "02:00:00:00:00:01" },
  { address: IpAddress.parse("192.0.2.2"), mac: "02:00:00:00:00:02" },
];

/**
 * Tries whether the kernel can carry encrypted networks: makes the exact SAs and policies in two throw-away
 * namespaces, and sends a packet through them. All of it is removed again.
 *
 * It takes some ms, and where modules have to be loaded some hundred, off the thread.
 *
 * @returns `ok`, or why it cannot and what to do about it
 */
export async function probeEncryption(host: Host): Promise<string> {
  const own = host.openHostNamespace();
  const { device, inode } = own.identity;
  own.close();
  // Of this host, so that agents that share a machine are not in each other's way.
  const names = [1, 2].map((end) => `agentprobe-${device}-${inode}-${end}`);
  // What a probe that was killed has left.
  for (const name of names) host.deleteNamed(name);
  const ends: End[] = [];
  try {
    const [one, two] = names.map((name) => {
      const end = new End(host, name);
      ends.push(end);
      return end;
    });
    assert(one !== undefined && two !== undefined, "there are two names");
    return await probe(host, [one, two]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `this kernel cannot encrypt networks: ${reason}. Install its modules xfrm_user, esp4, gcm, ` +
      "ctr, ghash-generic and seqiv (on Ubuntu: the package linux-modules-extra of this kernel), or create " +
      "networks without encryption";
  } finally {
    for (const end of ends) end.close();
    for (const name of names) host.deleteNamed(name);
  }
}

/** One of two hosts. */
class End {
  readonly namespace: Namespace;
  readonly route: Connection;
  readonly xfrm: Connection;

  constructor(host: Host, name: string) {
    this.namespace = host.createNamed(name, () => {});
    this.route = new Connection(host.openTransport(this.namespace));
    this.xfrm = new Connection(host.openXfrmTransport(this.namespace));
  }

  close(): void {
    this.route.close();
    this.xfrm.close();
    this.namespace.close();
  }
}

async function probe(host: Host, [one, two]: readonly [End, End]): Promise<string> {
  await joinUnderlay(one, two);
  for (const [place, end] of [one, two].entries()) {
    throwFirst(await end.xfrm.batchOffThread([...blockRequests(), ...pairRequests(place)]));
  }
  await addVxlan(two, 1);
  // The kernel itself sends a broadcast by it when it goes up, an ARP announcement of its address.
  await addVxlan(one, 0, () => {
    host.writeSysctl(one.namespace, "net/ipv4/conf/vxlan0/arp_notify", "1");
  });
  for (let look = 0; look < LOOKS; look++) {
    if (two.xfrm.get(getSa(saFrom(0))).use.packets > 0n) return "ok";
  }
  throw new Error("a packet in ESP did not come through");
}

async function joinUnderlay(one: End, two: End): Promise<void> {
  const [left, right] = ENDS;
  const peer = {
    name: "under0",
    index: UNDERLAY_INDEX,
    address: right.mac,
    namespaceFd: two.namespace.fd,
  };
  throwFirst(
    await one.route.batchOffThread([
      createLink({
        name: "under0",
        index: UNDERLAY_INDEX,
        address: left.mac,
        kind: { kind: "veth", peer },
      }),
    ]),
  );
  for (const [place, end] of [one, two].entries()) {
    const [own, other] = place === 0 ? [left, right] : [right, left];
    const index = UNDERLAY_INDEX;
    throwFirst(
      await end.route.batchOffThread([
        setLink(index, { up: true }),
        addAddress({ index, address: own.address, prefixLength: 24 }),
        replaceNeighbour({ index, address: other.address, mac: other.mac, state: "permanent" }),
      ]),
    );
  }
}

/** A VXLAN device as those of encrypted networks are, but that floods. */
async function addVxlan({ route }: End, place: 0 | 1, beforeUp = () => {}): Promise<void> {
  const [own, other] = place === 0 ? ENDS : [ENDS[1], ENDS[0]];
  const index = VXLAN_INDEX;
  throwFirst(
    await route.batchOffThread([
      createLink({
        name: "vxlan0",
        index,
        mtuBytes: 1416,
        kind: {
          kind: "vxlan",
          vni: 4096,
          port: PORT,
          sourcePorts: { low: PORT, high: PORT + 1 },
          local: own.address,
          remote: other.address,
          learning: false,
          udpChecksum: false,
        },
      }),
      addAddress({ index, address: IpAddress.parse("198.51.100.1"), prefixLength: 24 }),
    ]),
  );
  beforeUp();
  throwFirst(await route.batchOffThread([setLink(index, { up: true })]));
}

function blockRequests(): readonly Request[] {
  return blocksOf(4, SLOT, PORT).map((block) => xfrmRequest({ kind: "set-block", block }));
}

/** SAs and policies of one end, for both ways. */
function pairRequests(place: number): readonly Request[] {
  return ([0, 1] as const).flatMap((sender) => {
    const sa = saFrom(sender);
    const { source, destination } = sa;
    const direction = sender === place ? "out" : "in";
    const spi = direction === "out" ? sa.spi : null;
    return [
      saRequest(sa, STAND_IN_KEY, "add"),
      xfrmRequest({
        kind: "set-policy",
        policy: { slot: SLOT, port: PORT, direction, source, destination, spi },
      }),
    ];
  });
}

function saFrom(sender: 0 | 1): SaToMake {
  const [source, destination] = sender === 0 ? ENDS : [ENDS[1], ENDS[0]];
  return {
    slot: SLOT,
    port: PORT,
    epoch: 1,
    peer: "",
    direction: "out",
    source: source.address,
    destination: destination.address,
    spi: encodeSpi({ epoch: 1, slot: SLOT, sender: sender + 1 }),
  };
}

/** Nothing is secret about one ARP announcement between two namespaces that are gone then. */
const STAND_IN_KEY = new SecretBytes(new Uint8Array(SA_KEY_BYTES));
