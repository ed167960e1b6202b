import { converse } from "./conversation.ts";

Deno.test("a read waits for a majority to confirm the leader (thesis, 6.4)", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > read a
    read 1 waits
    a → b: heartbeat in term 1, commit 1, match 1, round 1
    a → c: heartbeat in term 1, commit 1, match 1, round 1
    > deliver a b
    b → a: accepted in term 1 up to 2
    b → a: alive in term 1, round 1
    > deliver b a
    a → b: append in term 1 after 2/1: nothing; commit 2
    a → c: append in term 1 after 2/1: nothing; commit 2
    a applies x
    read 1 sees up to 1
  `));

Deno.test("a deposed leader does not read what is old", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    # a is cut off; b and c elect b, and x is written.
    > tick c 10
    c is pre-candidate in term 1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    > lose
    > tick b 10
    b is pre-candidate in term 1
    b → a: pre-vote in term 2? log ends at 1/1
    b → c: pre-vote in term 2? log ends at 1/1
    > deliver b c
    c → b: pre-vote granted in term 2
    > deliver c b
    b is candidate in term 2
    b → a: vote in term 2? log ends at 1/1
    b → c: vote in term 2? log ends at 1/1
    > deliver b c
    c is follower in term 2
    c → b: vote granted in term 2
    > deliver c b
    b is leader in term 2
    b → a: append in term 2 after 1/1: 2/2 noop; commit 1
    b → c: append in term 2 after 1/1: 2/2 noop; commit 1
    > propose b x
    > deliver b c
    c is follower of b in term 2
    c → b: accepted in term 2 up to 2
    > deliver c b
    b → c: append in term 2 after 2/2: 3/2 x; commit 2
    > show
    a: leader in term 1, log 1, commit 1, members a b c
    b: leader in term 2, log 1 2 2, commit 2, members a b c
    c: follower in term 2, log 1 2, commit 1, members a b c
    # a still believes that it leads. A heartbeat tells.
    > lose
    > read a
    read 1 waits
    a → b: heartbeat in term 1, commit 1, match 1, round 1
    a → c: heartbeat in term 1, commit 1, match 1, round 1
    > deliver a b
    b → a: vote refused in term 2
    > deliver a c
    c → a: vote refused in term 2
    > deliver b a
    a is follower in term 2
    read 1 is lost
  `));

Deno.test("a new leader does not know yet what is committed", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > deliver a b
    b → a: accepted in term 1 up to 2
    > deliver b a
    a → b: append in term 1 after 2/1: nothing; commit 2
    a → c: append in term 1 after 2/1: nothing; commit 2
    a applies x
    # x is committed and acknowledged, but b has not heard that.
    > lose
    > crash a
    > tick c 10
    c is pre-candidate in term 1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    > lose
    > tick b 10
    b is pre-candidate in term 1
    b → a: pre-vote in term 2? log ends at 2/1
    b → c: pre-vote in term 2? log ends at 2/1
    > deliver b c
    c → b: pre-vote granted in term 2
    > deliver c b
    b is candidate in term 2
    b → a: vote in term 2? log ends at 2/1
    b → c: vote in term 2? log ends at 2/1
    > deliver b c
    c is follower in term 2
    c → b: vote granted in term 2
    > deliver c b
    b is leader in term 2
    b → a: append in term 2 after 2/1: 3/2 noop; commit 1
    b → c: append in term 2 after 2/1: 3/2 noop; commit 1
    > read b
    read 1 waits
    > deliver b c
    c is follower of b in term 2
    c → b: rejected in term 2 after 2, at best 1/1
    > deliver c b
    b → c: append in term 2 after 1/1: 2/1 x, 3/2 noop; commit 1
    > deliver b c
    c → b: accepted in term 2 up to 3
    > deliver c b
    b → a: heartbeat in term 2, commit 0, match 0, round 1
    b → c: heartbeat in term 2, commit 3, match 3, round 1
    b → c: append in term 2 after 3/2: nothing; commit 3
    b applies x
  `));

Deno.test("many reads share one round, and an answer to an older round confirms nothing", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > read a
    read 1 waits
    a → b: heartbeat in term 1, commit 1, match 1, round 1
    a → c: heartbeat in term 1, commit 1, match 1, round 1
    > keep a b
    > read a
    read 2 waits
    a → b: heartbeat in term 1, commit 1, match 1, round 2
    a → c: heartbeat in term 1, commit 1, match 1, round 2
    > read a
    read 3 waits
    a → b: heartbeat in term 1, commit 1, match 1, round 3
    a → c: heartbeat in term 1, commit 1, match 1, round 3
    > lose a c
    > lose a b
    > tick a 2
    a → b: heartbeat in term 1, commit 1, match 1, round 3
    a → c: heartbeat in term 1, commit 1, match 1, round 3
    > lose a c
    > deliver a b
    b → a: alive in term 1, round 3
    > deliver b a
    read 1 sees up to 1
    read 2 sees up to 1
    read 3 sees up to 1
  `));

Deno.test("a member alone confirms itself; a follower refers to the leader", () =>
  converse(`
    > voters a
    > read a
    refused: not-leader
    > campaign a
    a is leader in term 1
    > read a
    read 2 waits
    read 2 sees up to 1
  `));
