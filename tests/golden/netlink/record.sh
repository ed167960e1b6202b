#!/usr/bin/env bash
# Records again what iproute2 and the kernel say to each other, as the *.txt files beside this.
# Needs: root, strace, iproute2, deno. Works in throw-away network namespaces; interfaces get chosen
# indexes and addresses, so that most of the bytes are the same every time (counters and times are not).
# Usage: tests/golden/netlink/record.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
one=golden-one two=golden-two three=golden-three
work=$(mktemp -d)
monitor=
cleanup() {
  [ -z "$monitor" ] || kill $(pgrep -P "$monitor") 2>/dev/null || true
  ip netns del $one 2>/dev/null || true
  ip netns del $two 2>/dev/null || true
  ip netns del $three 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# quiet COMMAND…: in namespace one, not recorded.
quiet() { ip netns exec $one "$@" >/dev/null 2>&1 || true; }

# record FILE TYPE COMMAND…: the last exchange that begins with a message of this type.
record() {
  local file=$1 type=$2
  shift 2
  ip netns exec $one strace -qq -e trace=sendmsg,sendto,recvmsg -s 0 -e write=all -e read=all \
    -o "$work/trace" "$@" >"$work/output" 2>&1 || true
  deno run --quiet "$here/transcript.ts" "$type" "$@" <"$work/trace" >>"$here/$file.txt" || { cat "$work/output"; exit 1; }
}

begin() {
  for file in "$@"; do
    echo "# $(ip -V | sed 's/.*, \(iproute2[^,]*\).*/\1/'), Linux $(uname -r), $(uname -m); recorded by record.sh" >"$here/$file.txt"
    echo >>"$here/$file.txt"
  done
}

# Numbers of <linux/rtnetlink.h>.
NEWLINK=16 DELLINK=17 GETLINK=18 SETLINK=19 NEWADDR=20 DELADDR=21 GETADDR=22 NEWROUTE=24 DELROUTE=25
GETROUTE=26 NEWNEIGH=28 DELNEIGH=29 GETNEIGH=30 NEWNSID=88 GETNSID=90

cleanup
mkdir -p "$work"
ip netns add $one
ip netns add $two
ip netns add $three
quiet sysctl -qw net.ipv6.conf.default.disable_ipv6=1
begin links addresses routes neighbours namespaces notifications

# --- links
record links $NEWLINK ip link add bridge0 index 10 mtu 1450 address 02:00:00:00:00:10 up type bridge vlan_default_pvid 0
record links $NEWLINK ip link add bridge1 index 11 type bridge
record links $NEWLINK ip link add bridge2 index 12 type bridge ageing_time 6000 vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
record links $NEWLINK ip link add bridge3 index 13 type bridge forward_delay 0 ageing_time 6000
record links $NEWLINK ip link add vxlan0 index 20 mtu 1400 address 02:00:00:00:00:20 master bridge0 group 7 type vxlan srcport 20001 20002 ageing 30 proxy noudpcsum id 4096 local 192.0.2.1 nolearning dstport 20001
record links $NEWLINK ip link add vxlan1 index 21 type vxlan udp6zerocsumtx udp6zerocsumrx id 4097 remote 2001:db8::2 local 2001:db8::1 dev bridge0 ttl 9 dstport 4789
record links $NEWLINK ip link add vxlan2 index 22 type vxlan udpcsum id 4098 remote 192.0.2.2 local 192.0.2.1 learning dstport 4789
record links $NEWLINK ip link add eth0 index 30 mtu 1400 netns $two address 02:00:00:00:00:30 up type veth peer name port0 index 31 mtu 1400 address 02:00:00:00:00:31
record links $NEWLINK ip link add port1 index 32 mtu 1400 address 02:00:00:00:00:32 type veth peer name port2 index 33 address 02:00:00:00:00:33
record links $NEWLINK ip link set dev vxlan0 up
record links $NEWLINK ip link set dev vxlan0 down
record links $NEWLINK ip link set dev vxlan0 mtu 1416 address 02:00:00:00:00:21
record links $NEWLINK ip link set dev vxlan0 nomaster
record links $NEWLINK ip link set dev port0 master bridge0 group 9 up
record links $NEWLINK ip link set dev port0 alias agent:net:1
record links $NEWLINK ip link set dev vxlan0 type vxlan local 192.0.2.7
record links $NEWLINK ip link set dev port2 netns $two
record links $NEWLINK ip link set dev port1 name port9
record links $SETLINK bridge link set dev port0 learning off flood off mcast_flood off bcast_flood off neigh_suppress on isolated on
record links $SETLINK bridge link set dev port0 learning off flood off
record links $GETLINK ip link show dev nowhere0
record links $GETLINK ip -d link show type vxlan
record links $GETLINK ip -d link show master bridge0
record links $GETLINK ip -d -s link show
record links $NEWLINK ip link add vxlan0 type vxlan id 4096 dstport 4789
record links $NEWLINK ip link set dev vxlan0 type vxlan id 5
record links $NEWLINK ip link set dev vxlan0 mtu 20
record links $DELLINK ip link del dev port9
record links $DELLINK ip link del group 7
record links $DELLINK ip link del group 77

# --- addresses
quiet ip link add eth1 index 40 address 02:00:00:00:00:40 type veth peer name eth2 index 41 address 02:00:00:00:00:41
quiet sysctl -qw net.ipv6.conf.eth1.disable_ipv6=0
quiet ip link set eth1 addrgenmode none
quiet ip link set eth1 up
quiet ip link set eth2 up
record addresses $NEWADDR ip address add 192.0.2.1/24 dev eth1
record addresses $NEWADDR ip address add 192.0.2.1/24 dev eth1
record addresses $NEWADDR ip address replace 192.0.2.1/24 dev eth1
record addresses $NEWADDR ip address add 192.0.2.5 peer 198.51.100.5/32 dev eth1
record addresses $NEWADDR ip address add 2001:db8::1/64 dev eth1 nodad
record addresses $GETADDR ip address show dev eth1
record addresses $GETADDR ip -6 address show
record addresses $DELADDR ip address del 192.0.2.5 peer 198.51.100.5/32 dev eth1
record addresses $DELADDR ip address del 192.0.2.99/24 dev eth1

# --- routes
record routes $NEWROUTE ip route add default via 192.0.2.254 src 192.0.2.1 metric 50 dev eth1 mtu 1400
record routes $NEWROUTE ip route add 198.51.100.0/24 dev eth1
record routes $NEWROUTE ip route add 203.0.113.0/24 via 192.0.2.253 dev eth1 table 1000
record routes $NEWROUTE ip route replace 198.51.100.0/24 via 192.0.2.254
record routes $NEWROUTE ip -6 route add 2001:db8:1::/48 via 2001:db8::2 dev eth1
quiet ip route add 10.0.0.0/8 nexthop via 192.0.2.250 dev eth1 weight 2 nexthop via 192.0.2.251 dev eth1
quiet ip route add 10.1.0.0/16 via inet6 2001:db8::9 dev eth1
quiet ip route add blackhole 10.2.0.0/16
record routes $GETROUTE ip route get 198.51.100.1
record routes $GETROUTE ip route get 8.8.8.8 from 192.0.2.1 oif eth1 mark 7
record routes $GETROUTE ip -6 route get 2001:db8:1::1
record routes $GETROUTE ip -6 route get 2001:db8:2::1
record routes $GETROUTE ip -4 route show
record routes $GETROUTE ip -4 route show table all
record routes $GETROUTE ip route show table all dev eth1
record routes $DELROUTE ip route del 198.51.100.0/24
record routes $DELROUTE ip route del 198.51.100.0/24

# --- neighbours and forwarding entries
quiet ip link add bridge5 index 50 address 02:00:00:00:00:50 type bridge vlan_default_pvid 0
quiet ip link add vxlan5 index 51 address 02:00:00:00:00:51 type vxlan id 5 local 192.0.2.1 dstport 4789 nolearning
quiet ip link set vxlan5 master bridge5 up
record neighbours $NEWNEIGH ip neigh replace 10.64.0.2 lladdr 02:00:0a:40:00:02 dev vxlan5 nud permanent
record neighbours $NEWNEIGH ip neigh replace 2001:db8::2 lladdr 02:00:0a:40:00:02 dev eth1 nud stale
record neighbours $GETNEIGH ip neigh show dev vxlan5 nud all
record neighbours $GETNEIGH ip -6 neigh show nud all
record neighbours $DELNEIGH ip neigh del 10.64.0.2 dev vxlan5
record neighbours $DELNEIGH ip neigh del 10.64.0.99 dev vxlan5
record neighbours $NEWNEIGH bridge fdb replace 02:00:0a:40:00:02 dev vxlan5 self permanent dst 192.0.2.2
record neighbours $NEWNEIGH bridge fdb replace 02:00:0a:40:00:03 dev vxlan5 self permanent dst 2001:db8::2
record neighbours $NEWNEIGH bridge fdb replace 02:00:0a:40:00:02 dev vxlan5 master static
record neighbours $NEWNEIGH bridge fdb replace 02:00:0a:40:00:04 dev vxlan5 master static vlan 7
record neighbours $GETNEIGH bridge fdb show
record neighbours $GETNEIGH bridge fdb show br bridge5
record neighbours $GETNEIGH bridge fdb show dev vxlan5
record neighbours $GETNEIGH bridge fdb show brport vxlan5
record neighbours $DELNEIGH bridge fdb del 02:00:0a:40:00:02 dev vxlan5 self dst 192.0.2.2
record neighbours $DELNEIGH bridge fdb del 02:00:0a:40:00:02 dev vxlan5 master
record neighbours $DELNEIGH bridge fdb del 02:00:0a:40:00:99 dev vxlan5 self

# --- namespace ids
record namespaces $NEWNSID ip netns set $three 70
record namespaces $NEWNSID ip netns set $two 71
record namespaces $GETNSID ip netns list
record namespaces $GETNSID ip netns list-id

# --- notifications: what a listener hears of these commands
ip netns exec $one strace -qq -e trace=recvmsg -s 0 -e read=all -o "$work/trace" \
  ip monitor link address route neigh nsid >"$work/heard" 2>&1 &
monitor=$!
# It listens when a socket of rtnetlink (0) has joined groups.
until ip netns exec $one awk '$2 == 0 && $4 != "00000000"' /proc/net/netlink | grep -q .; do sleep 0.05; done
quiet ip link add bridge6 index 60 address 02:00:00:00:00:60 type bridge
quiet ip link add vxlan6 index 61 address 02:00:00:00:00:61 type vxlan id 6 local 192.0.2.1 dstport 4790
quiet ip link set vxlan6 master bridge6
quiet ip link set vxlan6 up
quiet ip neigh replace 10.64.0.6 lladdr 02:00:0a:40:00:06 dev vxlan6 nud permanent
quiet bridge fdb replace 02:00:0a:40:00:06 dev vxlan6 self permanent dst 192.0.2.6
quiet bridge fdb replace 02:00:0a:40:00:06 dev vxlan6 master static
quiet bridge fdb del 02:00:0a:40:00:06 dev vxlan6 master
quiet ip neigh del 10.64.0.6 dev vxlan6
quiet ip address add 192.0.2.66/32 dev eth1
quiet ip address del 192.0.2.66/32 dev eth1
quiet ip route add 198.51.100.66/32 dev eth1
quiet ip route del 198.51.100.66/32 dev eth1
quiet ip link set vxlan6 nomaster
quiet ip link del vxlan6
quiet ip route add 198.51.100.99/32 dev eth1
until grep -q 198.51.100.99 "$work/heard"; do sleep 0.05; done
# The listener, not strace, so that strace writes its file to the end.
kill "$(pgrep -P $monitor)"
wait $monitor || true
monitor=
deno run --quiet "$here/transcript.ts" 0 ip monitor link address route neigh nsid <"$work/trace" >>"$here/notifications.txt"
