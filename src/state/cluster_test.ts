import { Conversation } from "./conversation_test.ts";

Deno.test("a cluster is made once, and first", () => {
  new Conversation().check(`
    > network a
    no-cluster: There is no cluster yet: agent init makes one
    > token a
    no-cluster: There is no cluster yet: agent init makes one
    > remove host1
    no-cluster: There is no cluster yet: agent init makes one
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > init host1
    cluster-exists: The cluster <cluster> exists already
  `);
});

Deno.test("settings are within limits", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > set certificateValidityMs=29999
    invalid-value /settings/certificateValidityMs: The value must be a whole number in 30000 to 315360000000
    > set certificateValidityMs=30000
    settings 2 | rev 2 | changed settings
    > set certificateValidityMs=315360000001
    invalid-value /settings/certificateValidityMs: The value must be a whole number in 30000 to 315360000000
    > set keyRotationIntervalMs=4999
    invalid-value /settings/keyRotationIntervalMs: The value must be a whole number in 5000 to 2592000000
    > set keyRotationIntervalMs=5000
    settings 3 | rev 3 | changed settings
    > set keyRotationIntervalMs=2592000001
    invalid-value /settings/keyRotationIntervalMs: The value must be a whole number in 5000 to 2592000000
    > set controlPort=0
    invalid-value /settings/controlPort: The value must be a whole number in 1 to 65535
    > set controlPort=65536
    invalid-value /settings/controlPort: The value must be a whole number in 1 to 65535
    > set encryptedVxlanPortBase=57345
    invalid-value /settings/encryptedVxlanPortBase: The value must be a whole number in 1024 to 57344
    > set addressPool=10.64.0.0/7
    invalid-value /settings/addressPool: "10.64.0.0/7" has host bits set: the network is 10.0.0.0/7
    > set addressPool=10.64.0.0/25
    invalid-value /settings/addressPool: 10.64.0.0/25 is too small: the longest length is /24
    > set addressPool=127.0.0.0/8
    invalid-value /settings/addressPool: 127.0.0.0/8 overlaps 127.0.0.0/8 (loopback): hosts cannot use it
    > set addressPool=fd00::/8
    invalid-value /settings/addressPool: IPv6 is not supported yet: choose an IPv4 prefix
    > set addressPool=10.0.0.1/8
    invalid-value /settings/addressPool: "10.0.0.1/8" has host bits set: the network is 10.0.0.0/8
    > set subnetPrefixLength=30
    invalid-value /settings/subnetPrefixLength: The value must be a whole number in 8 to 29
    > set subnetPrefixLength=1.5
    invalid-value /settings/subnetPrefixLength: The value must be a whole number in 8 to 29
  `);
});

Deno.test("settings go together", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > set addressPool=172.16.0.0/20 subnetPrefixLength=19
    invalid-value /settings/subnetPrefixLength: Subnets of length 19 are larger than the pool 172.16.0.0/20
    > set subnetPrefixLength=10
    invalid-value /settings/subnetPrefixLength: Subnets of length 10 are larger than the pool 10.64.0.0/11
    > set subnetPrefixLength=11
    settings 2 | rev 2 | changed settings
    > set plainVxlanPort=7443
    invalid-value /settings/plainVxlanPort: Port 7443 is the control port
    > set plainVxlanPort=20000
    invalid-value /settings/plainVxlanPort: Port 20000 is among those of encrypted networks, 20000 to 28191
    > set plainVxlanPort=28191
    invalid-value /settings/plainVxlanPort: Port 28191 is among those of encrypted networks, 20000 to 28191
    > set plainVxlanPort=28192
    settings 3 | rev 3 | changed settings <host1>
    > set encryptedVxlanPortBase=28000
    invalid-value /settings/plainVxlanPort: Port 28192 is among those of encrypted networks, 28000 to 36191
    > set encryptedVxlanPortBase=7443
    invalid-value /settings/encryptedVxlanPortBase: Port 7443 is the control port
    > set controlPort=28192
    invalid-value /settings/plainVxlanPort: Port 28192 is the control port
    > init host2
    cluster-exists: The cluster <cluster> exists already
  `);
});

Deno.test("a change may depend on the revision, and changes nothing when there is nothing to change", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > set controlPort=7443
    settings 1 | rev 1
    > set controlPort=7444 if=2
    revision-mismatch: The object has changed: its revision is 1, not 2. Read it again and repeat the change | {"revision":1}
    > set controlPort=7444 if=1
    settings 2 | rev 2 | changed settings
    > set controlPort=7445 if=1
    revision-mismatch: The object has changed: its revision is 2, not 1. Read it again and repeat the change | {"revision":2}
    > set controlPort=7445 if=2
    settings 3 | rev 3 | changed settings
    > set
    settings 3 | rev 3
  `);
});

Deno.test("a new pool is for new networks", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > set addressPool=10.1.0.0/16 subnetPrefixLength=20
    settings 3 | rev 3 | changed settings
    > network b
    b 10.1.0.0/20 vni 4097 | rev 4
    > network c
    c 10.1.16.0/20 vni 4098 | rev 5
  `);
});

Deno.test("all nodes hear of another VXLAN port", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > set plainVxlanPort=4789
    settings 4 | rev 4 | changed settings <host1> <host2>
  `);
});

Deno.test("a setting is known, and a number or text as it should be", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > set controlPort=x
    invalid-value /settings/controlPort: The value must be a whole number in 1 to 65535
  `);
});
