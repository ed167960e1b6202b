#!/usr/bin/env bash
# Records again what iproute2 and the kernel say to each other about IPsec and traffic control, as the
# files states.txt, policies.txt, xfrm_notifications.txt and filters.txt beside this.
# Needs: root, strace, iproute2, gcc, deno, and a kernel with ESP and flower: run it in the lab,
#     scripts/lab --kernel guest -- tests/golden/netlink/record_xfrm.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
one=golden-one two=golden-two
work=$(mktemp -d)
monitor=
cleanup() {
  [ -z "$monitor" ] || kill $(pgrep -P "$monitor") 2>/dev/null || true
  ip netns del $one 2>/dev/null || true
  ip netns del $two 2>/dev/null || true
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
    echo "# $(ip -V | sed 's/.*, \(iproute2[^,]*\).*/\1/'), Linux $(uname -r), $(uname -m); recorded by record_xfrm.sh" >"$here/$file.txt"
    echo >>"$here/$file.txt"
  done
}

# Numbers of <linux/xfrm.h> and <linux/rtnetlink.h>.
NEWSA=16 DELSA=17 GETSA=18 NEWPOLICY=19 DELPOLICY=20 GETPOLICY=21 ALLOCSPI=22 UPDPOLICY=25 UPDSA=26
FLUSHSA=28 FLUSHPOLICY=29 NEWAE=30 GETAE=31 GETSADINFO=35 GETSPDINFO=37
NEWQDISC=36 DELQDISC=37 GETQDISC=38 NEWTFILTER=44 DELTFILTER=45 GETTFILTER=46

cleanup
mkdir -p "$work"
gcc -O -Wall -o "$work/replay_state" "$here/replay_state.c"
PATH=$work:$PATH
ip netns add $one
ip netns add $two
quiet sysctl -qw net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0
quiet ip link add under0 index 50 address 02:00:00:00:00:50 type veth peer name under1 index 51 address 02:00:00:00:00:51 netns $two
quiet ip address add 192.0.2.1/24 dev under0
quiet ip -6 address add 2001:db8::1/64 dev under0 nodad
quiet ip link set under0 up
ip -n $two link set under1 up
quiet ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:51 dev under0 nud permanent
begin states policies xfrm_notifications filters

aead='rfc4106(gcm(aes))'
key=0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223
v4="src 192.0.2.1 dst 192.0.2.2 proto esp" v6="src 2001:db8::1 dst 2001:db8::2 proto esp"
sel4="src 192.0.2.1/32 dst 192.0.2.2/32 proto udp sport 20001 dport 20001"
sel6="src 2001:db8::1/128 dst 2001:db8::2/128 proto udp sport 20001 dport 20001"

# --- SAs
record states $NEWSA ip xfrm state add $v4 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn sel $sel4 limit byte-soft 70368744177664
record states $NEWSA ip xfrm state add $v6 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn sel $sel6
record states $NEWSA ip xfrm state add $v4 spi 0x300 aead "$aead" $key 96 mode tunnel mark 7 mask 255 reqid 5 replay-window 32
record states $NEWSA ip xfrm state add $v4 spi 0x301 aead "$aead" $key 128 mode transport reqid 5 replay-window 64 replay-seq 4294967280 replay-oseq 4294967281 replay-seq-hi 1 replay-oseq-hi 2 flag esn
record states $NEWSA ip xfrm state add $v4 spi 0x302 aead "$aead" $key 128 mode transport reqid 5 limit byte-soft 1000 limit byte-hard 2000 limit packet-soft 10 limit packet-hard 20 limit time-soft 100000 limit time-hard 200000 limit time-use-soft 300000 limit time-use-hard 400000
record states $NEWSA ip xfrm state add $v4 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn sel $sel4
quiet ip xfrm state add $v4 spi 0x303 enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f auth 'hmac(sha256)' 0x000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f mode transport reqid 5 if_id 9
record states $ALLOCSPI ip xfrm state allocspi $v4 mode transport reqid 6 min 0x400 max 0x400
record states $UPDSA ip xfrm state update $v4 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn sel $sel4
record states $GETSA ip xfrm state get $v4 spi 0x20010001
record states $GETSA ip xfrm state get $v4 spi 0x300 mark 7 mask 255
record states $GETSA ip xfrm state get $v6 spi 0x20010001
record states $GETSA ip xfrm state get $v6 spi 0x999
record states $GETSA ip -s xfrm state list
record states $GETSADINFO ip xfrm state count
record states $GETAE replay_state get 192.0.2.2 0x301
record states $NEWAE replay_state set 192.0.2.2 0x301 64 0x1fffffff0 0x2fffffff1
record states $GETAE replay_state get 192.0.2.2 0x301
record states $GETAE replay_state get 2001:db8::2 0x20010001
record states $NEWAE replay_state set 192.0.2.2 0x301 1024 1 1
record states $DELSA ip xfrm state delete $v4 spi 0x20010001
record states $DELSA ip xfrm state delete $v4 spi 0x300 mark 7 mask 255
record states $DELSA ip xfrm state delete $v6 spi 0x20010001
record states $DELSA ip xfrm state delete $v6 spi 0x20010001
record states $FLUSHSA ip xfrm state flush proto esp
record states $FLUSHSA ip xfrm state flush
record states $GETSA ip xfrm state list

# --- policies
any4="src 0.0.0.0/0 dst 0.0.0.0/0 proto udp" any6="src ::/0 dst ::/0 proto udp"
record policies $NEWPOLICY ip xfrm policy add $any4 dport 20001 dir out action block priority 1000 flag icmp
record policies $NEWPOLICY ip xfrm policy add $any4 sport 20001 dir out action block priority 1000 flag icmp
record policies $NEWPOLICY ip xfrm policy add $any4 dport 20001 dir in action block priority 1000
record policies $NEWPOLICY ip xfrm policy add $any6 dport 20001 dir in action block priority 1000
record policies $NEWPOLICY ip xfrm policy add $sel4 dir out priority 100 flag icmp tmpl $v4 spi 0x20010001 mode transport reqid 1095172097 level required
record policies $NEWPOLICY ip xfrm policy add src 192.0.2.2/32 dst 192.0.2.1/32 proto udp sport 20001 dport 20001 dir in priority 100 tmpl src 192.0.2.2 dst 192.0.2.1 proto esp mode transport reqid 1095172097 level required
record policies $NEWPOLICY ip xfrm policy add $sel6 dir out priority 100 flag icmp tmpl $v6 spi 0x20010001 mode transport reqid 1095172097 level required
record policies $NEWPOLICY ip xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir fwd mark 7 mask 255 index 4242 action allow priority 7 flag localok limit byte-soft 1000 tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode tunnel level use tmpl $v4 proto ah mode transport
quiet ip xfrm policy add src 10.3.0.0/16 dst 10.4.0.0/16 dev under0 dir out if_id 9 priority 8
record policies $NEWPOLICY ip xfrm policy add $sel4 dir out priority 100 flag icmp tmpl $v4 spi 0x20010001 mode transport reqid 1095172097 level required
record policies $UPDPOLICY ip xfrm policy update $sel4 dir out priority 100 flag icmp tmpl $v4 spi 0x40010001 mode transport reqid 1095172097 level required
record policies $GETPOLICY ip xfrm policy get $sel4 dir out
record policies $GETPOLICY ip xfrm policy get dir fwd index 4242 mark 7 mask 255
record policies $GETPOLICY ip xfrm policy get $sel6 dir out
record policies $GETPOLICY ip xfrm policy get $sel6 dir in
record policies $GETPOLICY ip -s xfrm policy list
record policies $GETSPDINFO ip xfrm policy count
record policies $DELPOLICY ip xfrm policy delete $sel4 dir out
record policies $DELPOLICY ip xfrm policy delete $any6 dport 20001 dir in
record policies $DELPOLICY ip xfrm policy delete dir fwd index 4242 mark 7 mask 255
record policies $DELPOLICY ip xfrm policy delete $sel4 dir out
record policies $FLUSHPOLICY ip xfrm policy flush
record policies $GETPOLICY ip xfrm policy list

# --- notifications: what a listener hears of these commands
ip netns exec $one strace -qq -e trace=recvmsg -s 0 -e read=all -o "$work/trace" \
  ip xfrm monitor >"$work/heard" 2>&1 &
monitor=$!
# It listens when a socket of xfrm (6) has joined groups.
until ip netns exec $one awk '$2 == 6 && $4 != "00000000"' /proc/net/netlink | grep -q .; do sleep 0.05; done
send() { quiet bash -c 'echo > /dev/udp/192.0.2.2/20001'; }
quiet ip xfrm state add $v4 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn limit packet-soft 1 limit packet-hard 2
quiet ip xfrm state update $v4 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn limit packet-soft 2 limit packet-hard 3
quiet ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 proto udp dport 20001 dir out priority 100 flag icmp tmpl $v4 spi 0x20010001 mode transport reqid 1095172097 level required
quiet ip xfrm policy update src 192.0.2.1/32 dst 192.0.2.2/32 proto udp dport 20001 dir out priority 100 flag icmp tmpl $v4 spi 0x20010001 mode transport reqid 1095172097 level required
for _ in 1 2 3 4 5; do send; done
# The SA has expired, so the kernel asks for another.
until grep -q acquire "$work/heard"; do send; sleep 0.05; done
quiet replay_state set 192.0.2.2 0x20010001 1024 5 6
quiet ip xfrm state add $v6 spi 0x20010001 aead "$aead" $key 128 mode transport reqid 1095172097 replay-window 1024 flag esn
quiet replay_state set 2001:db8::2 0x20010001 1024 0x100000005 0x200000006
quiet ip xfrm state delete $v6 spi 0x20010001
quiet ip xfrm policy delete src 192.0.2.1/32 dst 192.0.2.2/32 proto udp dport 20001 dir out
quiet ip xfrm policy add $any6 dport 20001 dir in action block priority 1000 limit time-hard 1
until grep -q 'Expired src ::/0' "$work/heard"; do sleep 0.1; done
quiet ip xfrm state flush proto esp
quiet ip xfrm policy add $any6 dport 20001 dir in action block priority 1000
quiet ip xfrm policy flush
quiet ip xfrm policy add $any4 dport 20099 dir in action block
until grep -q 20099 "$work/heard"; do sleep 0.05; done
# The listener, not strace, so that strace writes its file to the end.
kill "$(pgrep -P $monitor)"
wait $monitor || true
monitor=
deno run --quiet "$here/transcript.ts" 0 ip xfrm monitor <"$work/trace" >>"$here/xfrm_notifications.txt"

# --- traffic control
record filters $NEWQDISC tc qdisc add dev under0 clsact
record filters $NEWQDISC tc qdisc add dev under0 clsact
record filters $GETQDISC tc qdisc show dev under0
record filters $NEWTFILTER tc filter add dev under0 egress protocol ip pref 1 handle 0x1 flower ip_proto udp dst_port 20001 action drop
record filters $NEWTFILTER tc filter add dev under0 egress protocol ip pref 1 handle 0x2 flower ip_proto udp src_port 20001 action drop
record filters $NEWTFILTER tc filter add dev under0 egress protocol ipv6 pref 2 handle 0x7 flower ip_proto udp dst_port 20001 src_port 20001 action drop
record filters $NEWTFILTER tc filter add dev under0 ingress protocol ip pref 1 handle 0x1 flower ip_proto udp dst_port 20001 action drop
record filters $NEWTFILTER tc filter add dev under0 egress protocol ip pref 1 handle 0x1 flower ip_proto udp dst_port 20001 action drop
record filters $NEWTFILTER tc filter replace dev under0 egress protocol ip pref 1 handle 0x1 flower ip_proto udp dst_port 20001 action drop
quiet tc filter add dev under0 egress protocol ip pref 3 flower ip_proto udp dst_port 20001 dst_ip 192.0.2.2/32 action drop
quiet tc filter add dev under0 egress protocol ip pref 3 flower ip_proto udp dst_port 20001 action pass
quiet tc filter add dev under0 egress protocol all pref 4 matchall action pass
quiet tc filter add dev under0 egress protocol ip pref 5 u32 match u32 0 0 action drop
# A probability: every other packet passes.
quiet tc filter add dev under0 egress protocol ip pref 7 flower ip_proto udp dst_port 20001 action drop random determ pass 2
quiet tc filter add dev under0 egress protocol ip pref 6 chain 5 flower ip_proto udp dst_port 20000-20010 action drop
send
send
record filters $GETTFILTER tc -s -p filter show dev under0 egress
record filters $GETTFILTER tc -s filter show dev under0 ingress
record filters $DELTFILTER tc filter del dev under0 egress protocol ip pref 1 handle 0x1 flower
record filters $DELTFILTER tc filter del dev under0 egress protocol ipv6 pref 2
record filters $DELTFILTER tc filter del dev under0 egress protocol ip pref 99 handle 0x1 flower
record filters $DELQDISC tc qdisc del dev under0 clsact
record filters $DELQDISC tc qdisc del dev under0 clsact
record filters $GETTFILTER tc -s filter show dev under0 egress
