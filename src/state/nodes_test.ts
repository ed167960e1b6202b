import { Conversation } from "./conversation_test.ts";

Deno.test("a token lets nodes in, each once", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token uses=2
    token worker uses 2 | rev 2
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > join host2
    <host2> host2 | rev 3
    > join host3 token=other
    token-unknown: The token is not known: it was deleted, or is of another cluster. Make one on a manager: agent token create
    > join host3
    <host3> host3 | rev 4 | changed <host3>
    > join host4
    token-used-up: The token is used up. Make one on a manager: agent token create
    > join host2
    <host2> host2 | rev 4
  `);
});

Deno.test("a repeated join is answered after the token has expired, but not after it was deleted", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token seconds=60
    token worker uses 10 | rev 2
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > wait 61
    ok
    > join host3
    token-expired: The token has expired. Make one on a manager: agent token create
    > join host2
    <host2> host2 | rev 3
    > revoke token
    <token> | rev 4
    > join host2
    token-unknown: The token is not known: it was deleted, or is of another cluster. Make one on a manager: agent token create
  `);
});

Deno.test("the role is the token's", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2 role=manager
    invalid-value /node/role: The token is for a worker, not a manager
    > token forManagers role=manager
    token manager uses 10 | rev 3
    > join host2 role=manager token=forManagers
    <host2> host2 | rev 4 | changed managers <host2>
  `);
});

Deno.test("a host's name is unique among members, in either case", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join other hostname=HOST1
    node-exists /node/facts/hostname: A member is called "HOST1" already (<host1>, at 192.0.2.1). If that host is gone: agent node rm host1 | {"node":"<host1>"}
    > join other hostname=aaaaaaaaaaaaaaaaaaaaaaaaaa
    invalid-value /node/facts/hostname: A host's name is 1 to 253 letters, digits, dots, hyphens and underscores, begins and ends with a letter or digit, and does not look like an id
    > join other hostname=-a
    invalid-value /node/facts/hostname: A host's name is 1 to 253 letters, digits, dots, hyphens and underscores, begins and ends with a letter or digit, and does not look like an id
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > describe host2 hostname=host1
    node-exists /facts/hostname: A member is called "host1" already (<host1>, at 192.0.2.1). If that host is gone: agent node rm host1 | {"node":"<host1>"}
    > describe host2 hostname=Host2
    <host2> | rev 4
    > describe host2 hostname=renamed
    <host2> | rev 5
    > join other hostname=host2
    <other> other | rev 6 | changed <other>
  `);
});

Deno.test("a key and an id belong to one node", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > token second
    token worker uses 10 | rev 3
    > join host2 key=host1
    node-exists /node/certificate/spkiHash: The key belongs to the member host1 already: make a new key | {"node":"<host1>"}
    > join host2 id=host1
    invalid-value /node/id: A node has this id already
    > join host2
    <host2> host2 | rev 4 | changed <host2>
    > join host3 key=host2 token=second
    node-exists /node/certificate/spkiHash: The key belongs to the member host2 already: make a new key | {"node":"<host2>"}
    > certify host1 key=host2
    node-exists /certificate/spkiHash: The key belongs to the member host2 already: make a new key | {"node":"<host2>"}
  `);
});

Deno.test("the two newest certificates are kept, and each key has one", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > certify host1 key=k2
    <host1> k2 | rev 2
    > certify host1 key=k2
    <host1> k2 | rev 2
    > certify host1 key=host1
    <host1> host1 | rev 2
    > certify host1 key=k3
    <host1> k3 | rev 3
    > certify host1 key=host1
    <host1> host1 | rev 4
    > certify host9 key=k4
    not-found /id: There is no node <host9>
  `);
});

Deno.test("what a host says of itself is checked", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > describe host1 mtu=575
    invalid-value /facts/underlayMtuBytes: The value must be a whole number in 576 to 65536
    > describe host1 mtu=65537
    invalid-value /facts/underlayMtuBytes: The value must be a whole number in 576 to 65536
    > describe host1 vtep=0.0.0.0
    invalid-value /facts/vtepAddress: 0.0.0.0 is no address of a host
    > describe host1 vtep=224.0.0.1
    invalid-value /facts/vtepAddress: 224.0.0.1 is no address of a host
    > describe host1 vtep=ff02::1
    invalid-value /facts/vtepAddress: ff02::1 is no address of a host
    > describe host1 vtep=2001:DB8:0::1 control=[2001:db8::1]:7443
    <host1> | rev 2 | changed managers <host1>
    > describe host1 control=192.0.2.1
    invalid-value /facts/controlAddress: The value must be address:port, as 192.0.2.1:7443 or [2001:db8::1]:7443
    > describe host1 control=192.0.2.1:65536
    invalid-value /facts/controlAddress: The value must be address:port, as 192.0.2.1:7443 or [2001:db8::1]:7443
    > describe host1 control=[192.0.2.1]:7443
    invalid-value /facts/controlAddress: An IPv6 address is in brackets, an IPv4 address is not
    > describe host1 control=2001:db8::1:7443
    invalid-value /facts/controlAddress: The value must be address:port, as 192.0.2.1:7443 or [2001:db8::1]:7443
    > describe host1 routes=0.0.0.0/0
    invalid-value /facts/hostRoutes/0: A default route is not one that a subnet can clash with: leave it out
    > describe host1 routes=10.64.0.1/24
    invalid-value /facts/hostRoutes/0: "10.64.0.1/24" has host bits set: the network is 10.64.0.0/24
    > describe host9
    not-found /id: There is no node <host9>
  `);
});

Deno.test("those who see a host hear of its new address or MTU", () => {
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
    > endpoint a/x@host1 a/y@host2
    x 10.64.0.2 02:00:0a:40:00:02, y 10.64.0.3 02:00:0a:40:00:03 | rev 6 | changed <host1> <host2>
    > describe host2
    <host2> | rev 6
    > describe host2 routes=10.99.0.0/16
    <host2> | rev 7
    > describe host2 mtu=1400 routes=10.99.0.0/16
    <host2> | rev 8 | changed <host1> <host2>
    > describe host2 mtu=1400 vtep=192.0.2.22
    <host2> | rev 9 | changed <host1> <host2>
    > describe host1 control=192.0.2.1:7444
    <host1> | rev 10 | changed managers
  `);
});

Deno.test("a removed node is gone with its endpoints, its name, its number's turn and its place on lists", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token
    token worker uses 10 | rev 2
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > network a allow=host1,host2
    a 10.64.0.0/24 vni 4096 | rev 4
    > endpoint a/x@host1 a/y@host2
    x 10.64.0.2 02:00:0a:40:00:02, y 10.64.0.3 02:00:0a:40:00:03 | rev 5 | changed <host1> <host2>
    > remove host2 if=1
    revision-mismatch: The object has changed: its revision is 3, not 1. Read it again and repeat the change | {"revision":3}
    > remove host2
    <host2> 1 | rev 6 | changed <host1> -<host2>
    > remove host2
    not-found /id: There is no node <host2>
    > change a allow=host1
    a 10.64.0.0/24 vni 4096 | rev 6
    > join host2 id=new
    <new> host2 | rev 7 | changed <new>
    > remove host1
    last-manager: host1 is the only manager: nobody would be left
  `);
});

Deno.test("labels that let a node attach stay as long as it is attached", () => {
  new Conversation().check(`
    > init host1 labels=zone:a
    <host1> | rev 1 | changed settings authority managers <host1>
    > network a having=zone:a
    a 10.64.0.0/24 vni 4096 | rev 2
    > endpoint a/x@host1
    x 10.64.0.2 02:00:0a:40:00:02 | rev 3 | changed <host1>
    > label host1 labels=zone:b
    in-use: Without these labels the node is not allowed on a, where it has endpoints: delete them first | {"endpoints":["<x>"],"endpointCount":1}
    > label host1 labels=zone:a,rack:1
    <host1> labels {"rack":"1","zone":"a"} | rev 4
    > label host1 labels=zone:a,rack:1
    <host1> labels {"rack":"1","zone":"a"} | rev 4
    > drop x
    ids <x> | rev 5 | changed <host1>
    > label host1 labels= if=1
    revision-mismatch: The object has changed: its revision is 4, not 1. Read it again and repeat the change | {"revision":4}
    > label host1 labels=
    <host1> labels {} | rev 6
    > label host9 labels=
    not-found /id: There is no node <host9>
  `);
});

Deno.test("a node becomes a manager and a worker again, and somebody stays a manager", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > role host1 to=worker
    last-manager: host1 is the only manager: nobody would be left
    > token token
    token worker uses 10 | rev 2
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > role host2 to=manager if=1
    revision-mismatch: The object has changed: its revision is 3, not 1. Read it again and repeat the change | {"revision":3}
    > role host2 to=manager
    <host2> labels {} | rev 4 | changed managers role<host2>
    > role host2 to=manager
    <host2> labels {} | rev 4
    > role host1 to=worker
    <host1> labels {} | rev 5 | changed managers role<host1>
    > remove host2
    last-manager: host2 is the only manager: nobody would be left
    > role host9 to=manager
    not-found /id: There is no node <host9>
  `);
});
