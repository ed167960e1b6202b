import type { TestHost } from "../lab/hosts.ts";

/** One side of the network that is set up by hand. */
export interface HandMadeSide {
  readonly host: TestHost;
  /** Last byte of its address on the network. */
  readonly number: number;
}

/** Name of the workload's namespace. */
export const HAND_MADE_WORKLOAD = "hand-work";

/** Address of the workload of a side. */
export function handMadeAddress({ number }: HandMadeSide): string {
  return `10.200.0.${number}`;
}

/**
 * The VXLAN network as a person would set it up with `ip` and `bridge` on two hosts, with what the
 * design needs (a sandbox, static entries, no learning, no flooding) and nothing else: all that is
 * not said here is the kernel's default.
 */
export async function setUpByHand(
  left: HandMadeSide,
  right: HandMadeSide,
  mtuBytes: number,
): Promise<void> {
  for (const [own, other] of [[left, right], [right, left]] as const) {
    await own.host.exec("sh", "-ec", script(own, other, mtuBytes));
  }
}

function script(own: HandMadeSide, other: HandMadeSide, mtuBytes: number): string {
  const mac = ({ number }: HandMadeSide) => `06:00:0a:c8:00:0${number}`;
  return `
ip netns add hand-box
ip netns add ${HAND_MADE_WORKLOAD}
ip netns exec hand-box sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.disable_ipv6=1
ip link add vxlan0 type vxlan id 70001 local ${own.host.address} dstport 19998 nolearning proxy noudpcsum
ip link set vxlan0 netns hand-box
ip -n hand-box link add bridge0 mtu ${mtuBytes} type bridge
ip -n hand-box link set bridge0 up
ip -n hand-box link set vxlan0 mtu ${mtuBytes} master bridge0 up
ip -n ${HAND_MADE_WORKLOAD} link add eth0 mtu ${mtuBytes} address ${mac(own)} \
  type veth peer name port0 mtu ${mtuBytes} netns hand-box
ip -n hand-box link set port0 master bridge0 up
for device in vxlan0 port0; do
  bridge -n hand-box link set dev $device learning off flood off mcast_flood off
done
ip -n ${HAND_MADE_WORKLOAD} address add ${handMadeAddress(own)}/24 dev eth0
ip -n ${HAND_MADE_WORKLOAD} link set eth0 up
bridge -n hand-box fdb replace ${mac(own)} dev port0 master static
bridge -n hand-box fdb replace ${mac(other)} dev vxlan0 master static
bridge -n hand-box fdb replace ${mac(other)} dev vxlan0 self permanent dst ${other.host.address}
ip -n hand-box neigh replace ${handMadeAddress(other)} lladdr ${
    mac(other)
  } dev vxlan0 nud permanent`;
}
