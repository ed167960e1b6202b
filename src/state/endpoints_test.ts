import { Conversation } from "./conversation_test.ts";

Deno.test("an endpoint gets the lowest free address and the MAC that belongs to it", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > endpoint a/web@host1
    web 10.64.0.2 02:00:0a:40:00:02 | rev 3 | changed <host1>
    > endpoint a/-db@host1
    (unnamed) 10.64.0.3 02:00:0a:40:00:03 | rev 4 | changed <host1>
    > endpoint a/x@host1 ip=10.64.0.5
    x 10.64.0.5 02:00:0a:40:00:05 | rev 5 | changed <host1>
    > endpoint a/y@host1 a/z@host1
    y 10.64.0.4 02:00:0a:40:00:04, z 10.64.0.6 02:00:0a:40:00:06 | rev 6 | changed <host1>
    > drop web
    ids <web> | rev 7 | changed <host1>
    > endpoint a/new@host1
    new 10.64.0.2 02:00:0a:40:00:02 | rev 8 | changed <host1>
  `);
});

Deno.test("a chosen address is inside, free and not reserved", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > endpoint a/web@host1 ip=10.64.0.9
    web 10.64.0.9 02:00:0a:40:00:09 | rev 3 | changed <host1>
    > endpoint a/b@host1 ip=10.64.0.9
    address-taken /endpoints/0/ip: 10.64.0.9 is taken in a | {"endpoint":"<web>"}
    > endpoint a/b@host1 ip=10.64.1.9
    address-outside-subnet /endpoints/0/ip: 10.64.1.9 is not in 10.64.0.0/24
    > endpoint a/b@host1 ip=10.64.0.0
    invalid-value /endpoints/0/ip: 10.64.0.0 is never given out: in 10.64.0.0/24 the lowest address, the one above it and the highest are reserved
    > endpoint a/b@host1 ip=10.64.0.1
    invalid-value /endpoints/0/ip: 10.64.0.1 is never given out: in 10.64.0.0/24 the lowest address, the one above it and the highest are reserved
    > endpoint a/b@host1 ip=10.64.0.255
    invalid-value /endpoints/0/ip: 10.64.0.255 is never given out: in 10.64.0.0/24 the lowest address, the one above it and the highest are reserved
    > endpoint a/b@host1 ip=10.64.0.999
    invalid-value /endpoints/0/ip: "10.64.0.999" is not an IP address
    > endpoint a/b@host1 ip=fd00::9
    invalid-value /endpoints/0/ip: IPv6 is not supported yet
    > endpoint a/b@host1 ip=10.64.0.254
    b 10.64.0.254 02:00:0a:40:00:fe | rev 4 | changed <host1>
  `);
});

Deno.test("a chosen MAC is one that an interface can have, and nobody else's", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > network b
    b 10.64.1.0/24 vni 4097 | rev 3
    > endpoint a/web@host1 mac=02:AA:00:00:00:01
    web 10.64.0.2 02:aa:00:00:00:01 | rev 4 | changed <host1>
    > endpoint a/b@host1 mac=02:aa:00:00:00:01
    mac-taken /endpoints/0/mac: 02:aa:00:00:00:01 is taken in a | {"endpoint":"<web>"}
    > endpoint a/b@host1 mac=01:00:5e:00:00:01
    invalid-value /endpoints/0/mac: "01:00:5e:00:00:01" is a group address or zero: no interface can have it
    > endpoint a/b@host1 mac=00:00:00:00:00:00
    invalid-value /endpoints/0/mac: "00:00:00:00:00:00" is a group address or zero: no interface can have it
    > endpoint a/b@host1 mac=06:41:47:50:00:02
    invalid-value /endpoints/0/mac: "06:41:47:50:00:02" is of those with which hosts check encrypted networks: choose another one
    > endpoint a/b@host1 mac=02:aa
    invalid-value /endpoints/0/mac: "02:aa" is not a MAC address such as 02:00:0a:40:00:02
    > endpoint a/b@host1 mac=02:00:0a:40:00:07
    mac-taken /endpoints/0/mac: 02:00:0a:40:00:07 belongs to the address 10.64.0.7
    > endpoint a/b@host1 ip=10.64.0.7 mac=02:00:0a:40:00:07
    b 10.64.0.7 02:00:0a:40:00:07 | rev 5 | changed <host1>
    > endpoint b/c@host1 mac=02:aa:00:00:00:01
    c 10.64.1.2 02:aa:00:00:00:01 | rev 6 | changed <host1>
  `);
});

Deno.test("a name is unique in its network", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > network b
    b 10.64.1.0/24 vni 4097 | rev 3
    > endpoint a/web@host1
    web 10.64.0.2 02:00:0a:40:00:02 | rev 4 | changed <host1>
    > endpoint a/web@host1 id=other
    name-taken /endpoints/0/name: An endpoint of a is called "web" already | {"endpoint":"<web>"}
    > endpoint b/web@host1 id=other
    web 10.64.1.2 02:01:0a:40:01:02 | rev 5 | changed <host1>
    > endpoint b/Web@host1
    invalid-value /endpoints/0/name: A name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at the ends, and does not look like an id
  `);
});

Deno.test("several endpoints are made all or none", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > network b
    b 10.64.1.0/24 vni 4097 | rev 3
    > endpoint a/web@host1 b/db@host1
    web 10.64.0.2 02:00:0a:40:00:02, db 10.64.1.2 02:01:0a:40:01:02 | rev 4 | changed <host1>
    > endpoint a/x@host1 nowhere/y@host1
    not-found /endpoints/1/networkId: There is no network <nowhere>
    > endpoint a/x@host1 b/db@host1 id=y
    name-taken /endpoints/1/name: An endpoint of b is called "db" already | {"endpoint":"<db>"}
    > endpoint a/x@host1 a/x@host1 id=y
    name-taken /endpoints/1/name: An endpoint of a is called "x" already
    > endpoint a/x@host1 b/x@host1
    invalid-value /endpoints/1/id: An endpoint has this id already
    > endpoint a/x@host1 b/y@host9
    not-found /endpoints/1/nodeId: There is no node <host9>
    > endpoint a/x@host1 a/y@host1 ip=10.64.0.3
    x 10.64.0.4 02:00:0a:40:00:04, y 10.64.0.3 02:00:0a:40:00:03 | rev 5 | changed <host1>
    > endpoint a/p@host1 ip=10.64.0.9 a/q@host1 ip=10.64.0.9
    address-taken /endpoints/1/ip: 10.64.0.9 is taken in a
    > endpoint a/p@host1 mac=02:aa:00:00:00:09 a/q@host1 mac=02:aa:00:00:00:09
    mac-taken /endpoints/1/mac: 02:aa:00:00:00:09 is taken in a
  `);
});

Deno.test("the node is allowed on each network", () => {
  new Conversation().check(`
    > init host1 labels=zone:a
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2 labels=zone:b
    <host2> host2 | rev 3 | changed <host2>
    > network listed allow=host1
    listed 10.64.0.0/24 vni 4096 | rev 4
    > network labelled having=zone:b
    labelled 10.64.1.0/24 vni 4097 | rev 5
    > network nobody allow=
    nobody 10.64.2.0/24 vni 4098 | rev 6
    > endpoint listed/a@host1
    a 10.64.0.2 02:00:0a:40:00:02 | rev 7 | changed <host1>
    > endpoint listed/b@host2
    node-not-allowed /endpoints/0/nodeId: The node host2 may not attach to listed: change the network's allowedNodes, or use another node | {"node":"<host2>","network":"<listed>"}
    > endpoint labelled/c@host1
    node-not-allowed /endpoints/0/nodeId: The node host1 may not attach to labelled: change the network's allowedNodes, or use another node | {"node":"<host1>","network":"<labelled>"}
    > endpoint labelled/d@host2
    d 10.64.1.2 02:01:0a:40:01:02 | rev 8 | changed <host2>
    > endpoint nobody/e@host1
    node-not-allowed /endpoints/0/nodeId: The node host1 may not attach to nobody: change the network's allowedNodes, or use another node | {"node":"<host1>","network":"<nobody>"}
  `);
});

Deno.test("a full subnet says so", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a subnet=10.9.0.0/29
    a 10.9.0.0/29 vni 4096 | rev 2
    > endpoint a/a@host1 a/b@host1 a/c@host1 a/d@host1
    a 10.9.0.2 02:00:0a:09:00:02, b 10.9.0.3 02:00:0a:09:00:03, c 10.9.0.4 02:00:0a:09:00:04, d 10.9.0.5 02:00:0a:09:00:05 | rev 3 | changed <host1>
    > endpoint a/e@host1 a/f@host1
    subnet-exhausted /endpoints/1: All addresses of 10.9.0.0/29 are taken in a: delete endpoints, or create a network with a larger subnet
    > endpoint a/e@host1
    e 10.9.0.6 02:00:0a:09:00:06 | rev 4 | changed <host1>
    > endpoint a/f@host1
    subnet-exhausted /endpoints/0: All addresses of 10.9.0.0/29 are taken in a: delete endpoints, or create a network with a larger subnet
    > drop c
    ids <c> | rev 5 | changed <host1>
    > endpoint a/f@host1
    f 10.9.0.4 02:00:0a:09:00:04 | rev 6 | changed <host1>
  `);
});

Deno.test("what is not there any more is no error when endpoints are deleted", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 2
    > endpoint a/web@host1
    web 10.64.0.2 02:00:0a:40:00:02 | rev 3 | changed <host1>
    > drop web gone web if=9
    revision-mismatch: The object has changed: its revision is 3, not 9. Read it again and repeat the change | {"revision":3}
    > drop web gone web if=3
    ids <web> | rev 4 | changed <host1>
    > drop web gone
    ids | rev 4
  `);
});

Deno.test("every member of the network hears of a change, and nobody else", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > join host3
    <host3> host3 | rev 4 | changed <host3>
    > network a
    a 10.64.0.0/24 vni 4096 | rev 5
    > network b
    b 10.64.1.0/24 vni 4097 | rev 6
    > endpoint a/w1@host1
    w1 10.64.0.2 02:00:0a:40:00:02 | rev 7 | changed <host1>
    > endpoint a/w2@host2
    w2 10.64.0.3 02:00:0a:40:00:03 | rev 8 | changed <host1> <host2>
    > endpoint b/w3@host3
    w3 10.64.1.2 02:01:0a:40:01:02 | rev 9 | changed <host3>
    > endpoint b/w4@host3
    w4 10.64.1.3 02:01:0a:40:01:03 | rev 10 | changed <host3>
    > drop w1
    ids <w1> | rev 11 | changed <host1> <host2>
  `);
});
