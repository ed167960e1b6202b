/**
 * Encrypted networks between two hosts, set up with `ip`, `bridge` and `tc` alone: what the agent has to
 * do, said once more by other means. Any guard can be left out, so that an attack is seen to succeed
 * there: else its failure elsewhere proves nothing.
 *
 * @module
 */
import type { TestHost } from "../lab/hosts.ts";

/** What protects a network. */
export interface Guards {
  /** Policies that refuse whatever no peer's policy is for. */
  readonly blocks: boolean;
  /** Filters on the underlay device that drop the network's port in the clear. */
  readonly wire: boolean;
  /** Policies hold for ICMP errors about the network's packets, too. */
  readonly icmp: boolean;
  /** The VXLAN socket sends from its own port only. */
  readonly fixedSourcePort: boolean;
  /** Policies hold on the loopback device, too. */
  readonly loopback: boolean;
  /** An SA is for its own network's port, and named by a reqid of its own. */
  readonly ownSas: boolean;
  /** With the sequence number in 64 bits and a window of 1024. */
  readonly antiReplay: boolean;
}

export const ALL_GUARDS: Guards = {
  blocks: true,
  wire: true,
  icmp: true,
  fixedSourcePort: true,
  loopback: true,
  ownSas: true,
  antiReplay: true,
};

/** A network of which two hosts have one workload each. */
export interface HandMadeNetwork {
  readonly slot: number;
  readonly port: number;
  readonly vni: number;
}

export function handMadeNetwork(slot: number): HandMadeNetwork {
  return { slot, port: 20_000 + slot, vni: 4096 + slot };
}

/** Who lives in the network on a host. */
export interface HandMadeWorkload {
  readonly host: TestHost;
  /** Its namespace. */
  readonly name: string;
  readonly ip: string;
  readonly mac: string;
}

/** Largest packet in an encrypted network where the underlay carries 1500 bytes. */
const MTU = 1416;

const spi = (slot: number, sender: number) =>
  `0x${((1 << 29) | (slot << 16) | sender).toString(16).padStart(8, "0")}`;
/** A stand-in for the key schedule; each is another in each slot and direction. */
const key = (slot: number, sender: number) => `0x${`${slot}${sender}`.padStart(72, "5")}`;

/** Hosts count from 1, as their underlay addresses and indexes do. */
export class HandMadePair {
  #guards = ALL_GUARDS;
  readonly hosts: readonly [TestHost, TestHost];

  constructor(hosts: readonly [TestHost, TestHost]) {
    this.hosts = hosts;
  }

  /** Makes a network, on both; all guards stand but for those that are said to be missing. */
  async add(
    network: HandMadeNetwork,
    missing: Partial<Guards> = {},
  ): Promise<readonly [HandMadeWorkload, HandMadeWorkload]> {
    const [one, two] = this.hosts;
    this.#guards = { ...ALL_GUARDS, ...missing };
    await Promise.all([
      one.exec("sh", "-ec", this.#script(network, 1, one, two)),
      two.exec("sh", "-ec", this.#script(network, 2, two, one)),
    ]);
    return [this.#workload(network, 1, one), this.#workload(network, 2, two)];
  }

  #workload({ slot }: HandMadeNetwork, number: number, host: TestHost): HandMadeWorkload {
    return {
      host,
      name: `work${slot}`,
      ip: `10.128.${slot}.${number}`,
      mac: `02:00:00:00:${`${slot}`.padStart(2, "0")}:0${number}`,
    };
  }

  #script(network: HandMadeNetwork, number: number, own: TestHost, other: TestHost): string {
    const { slot, port, vni } = network;
    const guards = this.#guards;
    const box = `box${slot}`;
    const self = this.#workload(network, number, own);
    const peer = this.#workload(network, 3 - number, other);
    const reqid = 0x41470000 | (guards.ownSas ? slot : 0xffff);
    const source = guards.fixedSourcePort ? `srcport ${port} ${port + 1}` : "";
    const vxlan = `vxlan${slot}`;
    // Starting a program takes long where these tests run, so each is started once.
    return `
echo ${guards.loopback ? 0 : 1} >/proc/sys/net/ipv4/conf/lo/disable_policy
${guards.wire ? this.#wire(port) : ""}
ip -batch - <<BATCH
netns add ${box}
netns add ${self.name}
${guards.blocks ? this.#blocks(port) : ""}
link add ${vxlan} type vxlan id ${vni} local ${own.address} dstport ${port} ${source} nolearning proxy noudpcsum
link set ${vxlan} netns ${box}
${this.#sas(network, number, own, other, reqid)}
BATCH
ip -n ${box} -batch - <<BATCH
link add name bridge0 type bridge
link set ${vxlan} master bridge0
link set ${vxlan} mtu ${MTU} up
link set bridge0 mtu ${MTU} up
link add port0 mtu ${MTU} type veth peer name eth0 mtu ${MTU} address ${self.mac} netns ${self.name}
link set port0 master bridge0 up
neigh replace ${peer.ip} lladdr ${peer.mac} dev ${vxlan} nud permanent
BATCH
bridge -n ${box} -batch - <<BATCH
link set dev ${vxlan} learning off flood off
link set dev port0 learning off flood off
fdb replace ${self.mac} dev port0 master static
fdb replace ${peer.mac} dev ${vxlan} master static
fdb replace ${peer.mac} dev ${vxlan} self permanent dst ${other.address}
BATCH
ip -n ${self.name} -batch - <<BATCH
address add ${self.ip}/24 dev eth0
link set eth0 up
neigh replace ${peer.ip} lladdr ${peer.mac} dev eth0 nud permanent
BATCH`;
  }

  #wire(port: number): string {
    const filters = ["ingress", "egress"].flatMap((way) =>
      ["src_port", "dst_port"].map((field) =>
        `filter add dev eth0 ${way} protocol ip pref 1 flower ip_proto udp ${field} ${port} action drop`
      )
    );
    // The first network on a host makes the hook, for all.
    return `tc -force -batch - 2>/dev/null <<BATCH || :\nqdisc add dev eth0 clsact\n${
      filters.join("\n")
    }\nBATCH`;
  }

  #blocks(port: number): string {
    const { fixedSourcePort } = this.#guards;
    const block = (what: string) =>
      `xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 proto udp ${what} priority 1000 action block`;
    return [
      block(`dport ${port} dir out`) + this.#icmp(),
      ...(fixedSourcePort ? [block(`sport ${port} dir out`) + this.#icmp()] : []),
      block(`dport ${port} dir in`),
    ].join("\n");
  }

  #icmp(): string {
    return this.#guards.icmp ? " flag icmp" : "";
  }

  #sas(
    { slot, port }: HandMadeNetwork,
    number: number,
    own: TestHost,
    other: TestHost,
    reqid: number,
  ): string {
    const { antiReplay, fixedSourcePort, ownSas } = this.#guards;
    return (["out", "in"] as const).flatMap((way) => {
      const [from, to] = way === "out" ? [own, other] : [other, own];
      const sender = way === "out" ? number : 3 - number;
      const [source, destination] = [from.address, to.address];
      const ports = fixedSourcePort ? `sport ${port} dport ${port}` : `dport ${port}`;
      const selector = `src ${source}/32 dst ${destination}/32 proto udp ${ports}`;
      const name = `src ${source} dst ${destination} proto esp`;
      return [
        `xfrm state add ${name} spi ${spi(slot, sender)} reqid ${reqid} mode transport ` +
        `aead 'rfc4106(gcm(aes))' ${key(slot, sender)} 128 ` +
        (antiReplay ? "flag esn replay-window 1024" : "replay-window 0") +
        (ownSas ? ` sel ${selector}` : ""),
        `xfrm policy add ${selector} dir ${way} priority 100` +
        (way === "out" ? this.#icmp() : "") +
        ` tmpl ${name} ${way === "out" ? `spi ${spi(slot, sender)} ` : ""}reqid ${reqid} ` +
        "mode transport level required",
      ];
    }).join("\n");
  }
}
