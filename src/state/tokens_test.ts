import { Conversation } from "./conversation_test.ts";

Deno.test("a token has a lifetime and a number of uses", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token a seconds=0
    invalid-value /lifetimeMs: The value must be a whole number in 1000 to 315360000000
    > token a seconds=0.5
    invalid-value /lifetimeMs: The value must be a whole number in 1000 to 315360000000
    > token a seconds=1
    token worker uses 10 | rev 2
    > token b seconds=315360000
    token worker uses 10 | rev 3
    > token c seconds=315360001
    invalid-value /lifetimeMs: The value must be a whole number in 1000 to 315360000000
    > token c uses=0
    invalid-value /uses: The value must be a whole number in 1 to 100000
    > token c uses=100001
    invalid-value /uses: The value must be a whole number in 1 to 100000
    > token c uses=100000
    token worker uses 100000 | rev 4
    > token c
    invalid-value /id: A token has this id already
  `);
});

Deno.test("a token can be deleted", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token a
    token worker uses 10 | rev 2
    > revoke a if=1
    revision-mismatch: The object has changed: its revision is 2, not 1. Read it again and repeat the change | {"revision":2}
    > revoke a if=2
    <a> | rev 3
    > revoke a
    not-found /id: There is no token <a>
  `);
});

Deno.test("a token expires at its time", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token seconds=60
    token worker uses 10 | rev 2
    > wait 59.999
    ok
    > join host2
    <host2> host2 | rev 3 | changed <host2>
    > wait 0.001
    ok
    > join host3
    token-expired: The token has expired. Make one on a manager: agent token create
  `);
});

Deno.test("an expired token is told from an unknown one for a week", () => {
  new Conversation().check(`
    > init host1
    <host1> | rev 1 | changed settings authority managers <host1>
    > token token seconds=60
    token worker uses 10 | rev 2
    > wait 604800
    ok
    > token second
    token worker uses 10 | rev 3
    > join host2
    token-expired: The token has expired. Make one on a manager: agent token create
    > wait 61
    ok
    > token third
    token worker uses 10 | rev 4
    > join host2
    token-unknown: The token is not known: it was deleted, or is of another cluster. Make one on a manager: agent token create
  `);
});
