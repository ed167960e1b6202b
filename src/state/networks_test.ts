import { Conversation } from "./conversation_test.ts";

Deno.test("a network gets the lowest free subnet and the next VNI", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network shop
    shop 10.64.0.0/24 vni 4096 | rev 2
    > network blog
    blog 10.64.1.0/24 vni 4097 | rev 3
    > network wiki
    wiki 10.64.2.0/24 vni 4098 | rev 4
    > delete shop
    <shop> | rev 5
    > network again
    again 10.64.0.0/24 vni 4099 | rev 6
    > network more
    more 10.64.3.0/24 vni 4100 | rev 7
  `);
});

Deno.test("a network needs a free name", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network shop
    shop 10.64.0.0/24 vni 4096 | rev 2
    > network shop id=other
    name-taken /name: A network is called "shop" already | {"network":"<shop>"}
    > network other id=shop
    invalid-value /id: A network has this id already
    > network A
    invalid-value /name: A name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at the ends, and does not look like an id
    > network -a
    invalid-value /name: A name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at the ends, and does not look like an id
    > network aaaaaaaaaaaaaaaaaaaaaaaaaa
    invalid-value /name: A name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at the ends, and does not look like an id
  `);
});

Deno.test("a chosen subnet is a proper IPv4 prefix that workloads can use", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a subnet=172.16.0.0/12
    a 172.16.0.0/12 vni 4096 | rev 2
    > network b subnet=10.64.7.9/24
    invalid-value /subnet: "10.64.7.9/24" has host bits set: the network is 10.64.7.0/24
    > network b subnet=fd00::/64
    invalid-value /subnet: IPv6 is not supported yet: choose an IPv4 prefix
    > network b subnet=10.0.0.0/7
    invalid-value /subnet: 10.0.0.0/7 is too large: the shortest length is /8
    > network b subnet=10.0.0.0/30
    invalid-value /subnet: 10.0.0.0/30 is too small: the longest length is /29: three addresses of a subnet are never given out
    > network b subnet=127.1.0.0/16
    invalid-value /subnet: 127.1.0.0/16 overlaps 127.0.0.0/8 (loopback): hosts cannot use it
    > network b subnet=224.0.0.0/8
    invalid-value /subnet: 224.0.0.0/8 overlaps 224.0.0.0/4 (multicast): hosts cannot use it
    > network b subnet=240.0.0.0/8
    invalid-value /subnet: 240.0.0.0/8 overlaps 240.0.0.0/4 (reserved): hosts cannot use it
    > network b subnet=169.254.0.0/16
    invalid-value /subnet: 169.254.0.0/16 overlaps 169.254.0.0/16 (link-local): hosts cannot use it
    > network b subnet=0.0.0.0/8
    invalid-value /subnet: 0.0.0.0/8 overlaps 0.0.0.0/8 (this network): hosts cannot use it
    > network b subnet=10.0.0.0
    invalid-value /subnet: "10.0.0.0" is not address/length, as 10.64.0.0/24
    > network b subnet=10.0.0/24
    invalid-value /subnet: "10.0.0" is not an IP address
    > network b subnet=10.0.0.0/024
    invalid-value /subnet: "10.0.0.0/024" is not address/length, as 10.64.0.0/24
    > network b subnet=10.0.0.0/33
    invalid-value /subnet: The length 33 is not in 0 to 32
    > network b subnet=10.0.0.0/29
    b 10.0.0.0/29 vni 4097 | rev 3
  `);
});

Deno.test("a chosen subnet overlaps no network", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network shop subnet=10.64.1.0/24
    shop 10.64.1.0/24 vni 4096 | rev 2
    > network b subnet=10.64.1.0/24
    subnet-taken /subnet: 10.64.1.0/24 overlaps 10.64.1.0/24 of the network shop: choose another | {"network":"<shop>"}
    > network b subnet=10.64.0.0/16
    subnet-taken /subnet: 10.64.0.0/16 overlaps 10.64.1.0/24 of the network shop: choose another | {"network":"<shop>"}
    > network b subnet=10.64.1.128/25
    subnet-taken /subnet: 10.64.1.128/25 overlaps 10.64.1.0/24 of the network shop: choose another | {"network":"<shop>"}
    > network b subnet=10.64.2.0/24
    b 10.64.2.0/24 vni 4097 | rev 3
  `);
});

Deno.test("a subnet overlaps no route and no address of a host", () => {
  new Conversation().check(`
    > init host1 routes=10.64.0.0/23,10.70.0.0/16,2001:db8::/32
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2 vtep=10.64.2.9
    <host2> host2 | rev 3 | changed <host2>
    > network a
    a 10.64.3.0/24 vni 4096 | rev 4
    > network b subnet=10.64.1.0/24
    subnet-in-use-on-host /subnet: 10.64.1.0/24 overlaps the route 10.64.0.0/23 of the host host1: choose another | {"node":"<host1>","route":"10.64.0.0/23"}
    > network b subnet=10.70.8.0/24
    subnet-in-use-on-host /subnet: 10.70.8.0/24 overlaps the route 10.70.0.0/16 of the host host1: choose another | {"node":"<host1>","route":"10.70.0.0/16"}
    > network b subnet=10.0.0.0/8
    subnet-taken /subnet: 10.0.0.0/8 overlaps 10.64.3.0/24 of the network a: choose another | {"network":"<a>"}
    > network b subnet=10.64.2.0/25
    subnet-in-use-on-host /subnet: 10.64.2.0/25 overlaps the address or route 10.64.2.9/32 of the host host2: choose another | {"node":"<host2>","route":"10.64.2.9/32"}
    > network b subnet=192.0.2.0/24
    subnet-in-use-on-host /subnet: 192.0.2.0/24 overlaps the address or route 192.0.2.1/32 of the host host1: choose another | {"node":"<host1>","route":"192.0.2.1/32"}
    > describe host1 routes=10.70.0.0/16
    <host1> | rev 5
    > network b
    b 10.64.0.0/24 vni 4097 | rev 6
  `);
});

Deno.test("an exhausted pool says so, and goes on when something is free", () => {
  new Conversation().check(`
    > init host1 addressPool=10.1.0.0/24 subnetPrefixLength=26
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.1.0.0/26 vni 4096 | rev 2
    > network b subnet=10.1.0.128/26
    b 10.1.0.128/26 vni 4097 | rev 3
    > network c
    c 10.1.0.64/26 vni 4098 | rev 4
    > network d
    d 10.1.0.192/26 vni 4099 | rev 5
    > network e
    pool-exhausted: No /26 of the pool 10.1.0.0/24 is free of networks and of hosts' routes: choose a subnet, or enlarge the pool
    > delete c
    <c> | rev 6
    > network f
    f 10.1.0.64/26 vni 4100 | rev 7
  `);
});

Deno.test("the MTU is within limits, or what the underlay carries", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a mtu=575
    invalid-value /mtuBytes: The value must be a whole number in 576 to 65535
    > network a mtu=65536
    invalid-value /mtuBytes: The value must be a whole number in 576 to 65535
    > network a mtu=576
    a 10.64.0.0/24 vni 4096 mtu 576 | rev 2
    > change a mtu=none
    a 10.64.0.0/24 vni 4096 | rev 3
    > change a mtu=none
    a 10.64.0.0/24 vni 4096 | rev 3
    > change a mtu=65535
    a 10.64.0.0/24 vni 4096 mtu 65535 | rev 4
    > change a mtu=1
    invalid-value /mtuBytes: The value must be a whole number in 576 to 65535
  `);
});

Deno.test("who may attach is a member, or has labels", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a allow=host9
    not-found /allowedNodes/ids: There is no node <host9>
    > network a allow=host1 having=zone:a
    a 10.64.0.0/24 vni 4096 | rev 2
    > change a allow=host9
    not-found /allowedNodes/ids: There is no node <host9>
    > change a allow=any
    a 10.64.0.0/24 vni 4096 | rev 3
  `);
});

Deno.test("a change or deletion may depend on the revision", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > network b
    b 10.64.1.0/24 vni 4097 | rev 3
    > change a mtu=1400 if=2
    a 10.64.0.0/24 vni 4096 mtu 1400 | rev 4
    > change a mtu=1300 if=2
    revision-mismatch: The object has changed: its revision is 4, not 2. Read it again and repeat the change | {"revision":4}
    > delete a if=2
    revision-mismatch: The object has changed: its revision is 4, not 2. Read it again and repeat the change | {"revision":4}
    > delete a if=4
    <a> | rev 5
    > delete a if=4
    not-found /id: There is no network <a>
    > change a mtu=1400
    not-found /id: There is no network <a>
  `);
});

Deno.test("a network with endpoints stays", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > endpoint a/web@host1 a/db@host1
    web 10.64.0.2 02:00:0a:40:00:02, db 10.64.0.3 02:00:0a:40:00:03 | rev 3 | changed <host1>
    > delete a
    in-use: The network a has endpoints (2): delete them first | {"endpoints":["<db>","<web>"],"endpointCount":2}
    > drop web
    ids <web> | rev 4 | changed <host1>
    > delete a
    in-use: The network a has endpoints (1): delete them first | {"endpoints":["<db>"],"endpointCount":1}
    > drop db
    ids <db> | rev 5 | changed <host1>
    > delete a
    <a> | rev 6
  `);
});

Deno.test("nobody who is attached is shut out by a change", () => {
  new Conversation().check(`
    > init host1 labels=zone:a
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2 labels=zone:b
    <host2> host2 | rev 3 | changed <host2>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 4
    > endpoint a/web@host1 a/db@host2
    web 10.64.0.2 02:00:0a:40:00:02, db 10.64.0.3 02:00:0a:40:00:03 | rev 5 | changed <host1> <host2>
    > change a having=zone:a
    in-use: Endpoints of a (1) are on nodes that would not be allowed: delete them first | {"endpoints":["<db>"],"endpointCount":1}
    > change a having=zone:a allow=host2
    a 10.64.0.0/24 vni 4096 | rev 6
  `);
});
