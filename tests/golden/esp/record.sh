#!/usr/bin/env bash
# Derives keys of SAs a second time, with openssl and coreutils alone, as vectors.txt beside this.
# Usage: tests/golden/esp/record.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

unhex() { echo -n "$1" | sed 's/../\\x&/g' | xargs -0 printf '%b'; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
# An id is base32 in lower case without padding; 26 characters are 16 bytes.
id() { echo -n "$1======" | tr a-z A-Z | base32 -d | hex; }
# An X25519 key as PKCS #8 and SubjectPublicKeyInfo (RFC 8410).
private() { unhex "302e020100300506032b656e04220420$1" >"$work/$2.key"; }
public() { openssl pkey -inform der -in "$work/$1.key" -pubout -outform der | tail -c 32 | hex; }

# vector NAME SECRET CLUSTER INCARNATION NETWORK EPOCH SENDER RECEIVER SENDER-PRIVATE RECEIVER-PRIVATE
vector() {
  local name=$1 secret=$2 cluster=$3 incarnation=$4 network=$5 epoch=$6 sender=$7 receiver=$8
  private "$9" sender
  private "${10}" receiver
  openssl pkey -inform der -in "$work/receiver.key" -pubout -outform der >"$work/receiver.pub"
  local agreed salt info
  agreed=$(openssl pkeyutl -derive -keyform der -inkey "$work/sender.key" -peerform der \
    -peerkey "$work/receiver.pub" | hex)
  salt=$(id "$cluster")$(id "$incarnation")$(id "$network")
  info=$(echo -n agent/esp/1 | hex)$(printf %016x "$epoch")$(id "$sender")$(id "$receiver")
  info+=$(public sender)$(public receiver)
  cat <<END
vector $name
secret $secret
cluster $cluster
incarnation $incarnation
network $network
epoch $epoch
sender $sender
receiver $receiver
sender-private $9
receiver-private ${10}
sender-public $(public sender)
receiver-public $(public receiver)
agreed $agreed
salt $salt
info $info
context $({ unhex "$salt"; unhex "$info"; } | openssl dgst -sha256 -binary | base64 | tr +/ -_ | tr -d =)
key $(openssl kdf -keylen 36 -kdfopt digest:SHA2-256 -kdfopt hexkey:"$secret$agreed" \
    -kdfopt hexsalt:"$salt" -kdfopt hexinfo:"$info" -binary HKDF | hex)

END
}

one=a8abababababababababababababababababababababababababababababab6b
two=0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
three=5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb
zeros=0000000000000000000000000000000000000000000000000000000000000000
ones=ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
mixed=00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0
cluster=mfrggzdfmztwq2lknnwg23tpoa incarnation=ovqxezlxnbsxezjamnqw4zdpoe network=77777777777777777777777774
a=aaaaaaaaaaaaaaaaaaaaaaaaai b=aaaaaaaaaaaaaaaaaaaaaaaaae c=pmzwey3ejbxw2zlqn5ugs43ume

{
  echo "# $(openssl version | cut -d' ' -f1,2); recorded by record.sh"
  echo
  vector first "$mixed" $cluster $incarnation $network 1 $a $b $one $two
  vector the-other-way "$mixed" $cluster $incarnation $network 1 $b $a $two $one
  vector next-epoch "$mixed" $cluster $incarnation $network 2 $a $b $one $two
  # The same tag in the SPI as the first, and another key.
  vector same-tag "$mixed" $cluster $incarnation $network 8 $a $b $one $two
  vector high-epoch "$mixed" $cluster $incarnation $network 9007199254740991 $a $b $one $two
  vector other-secret "$ones" $cluster $incarnation $network 1 $a $b $one $two
  vector zero-secret "$zeros" $cluster $incarnation $network 1 $a $b $one $two
  vector other-cluster "$mixed" $a $incarnation $network 1 $a $b $one $two
  vector other-incarnation "$mixed" $cluster $a $network 1 $a $b $one $two
  vector other-network "$mixed" $cluster $incarnation $a 1 $a $b $one $two
  vector rebooted-sender "$mixed" $cluster $incarnation $network 1 $a $b $three $two
  vector rebooted-receiver "$mixed" $cluster $incarnation $network 1 $a $b $one $three
  vector other-receiver "$mixed" $cluster $incarnation $network 1 $a $c $one $two
} >"$here/vectors.txt"
