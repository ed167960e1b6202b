import { converse } from "./conversation.ts";

Deno.test("a member that is too far behind gets the snapshot, piece by piece", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > propose a one two three four
    a → b: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    a → c: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    > deliver a b
    b → a: accepted in term 1 up to 5
    > deliver b a
    a → b: append in term 1 after 5/1: nothing; commit 5
    a → c: append in term 1 after 5/1: nothing; commit 5
    a applies one two three four
    > lose
    > snapshot a
    > start c
    > tick a 4
    a → b: heartbeat in term 1, commit 5, match 5, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > deliver
    b → a: alive in term 1, round 0
    b applies one two three four
    c is follower of a in term 1
    c → a: alive in term 1, round 0
    > deliver
    a → c: snapshot 5/1 in term 1, bytes 0…8
    > deliver
    c → a: snapshot 5/1 in term 1, next byte 8
    > deliver
    a → c: snapshot 5/1 in term 1, bytes 8…16
    > deliver
    c → a: snapshot 5/1 in term 1, next byte 16
    > deliver
    a → c: snapshot 5/1 in term 1, bytes 16…18, the last
    > deliver
    c → a: accepted in term 1 up to 5
    c restores: one two three four
    > settle
    > show
    a: leader in term 1, log …5/1, commit 5, members a b c
    b: follower in term 1, log 1 1 1 1 1, commit 5, members a b c
    c: follower in term 1, log …5/1, commit 5, members a b c
  `));

Deno.test("a piece is lost, and sent again; a piece comes twice, and counts once", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > propose a one two three four
    a → b: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    a → c: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    > settle
    a applies one two three four
    b applies one two three four
    > snapshot a
    > start c
    > tick a 4
    a → b: heartbeat in term 1, commit 5, match 5, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > deliver a c
    c is follower of a in term 1
    c → a: alive in term 1, round 0
    > deliver c a
    a → c: snapshot 5/1 in term 1, bytes 0…8
    > keep a c
    > deliver a c
    c → a: snapshot 5/1 in term 1, next byte 8
    c → a: snapshot 5/1 in term 1, next byte 8
    > deliver c a
    a → c: snapshot 5/1 in term 1, bytes 8…16
    > lose a c
    # The piece after the two that are one is lost.
    > tick a 5
    a → b: heartbeat in term 1, commit 5, match 5, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    > tick a 5
    a → b: heartbeat in term 1, commit 5, match 5, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    c restores: one two three four
    > show
    a: leader in term 1, log …5/1, commit 5, members a b c
    b: follower in term 1, log 1 1 1 1 1, commit 5, members a b c
    c: follower in term 1, log …5/1, commit 5, members a b c
  `));

Deno.test("the receiver crashes in the middle, and the transfer begins again", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > propose a one two three four
    a → b: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    a → c: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    > settle
    a applies one two three four
    b applies one two three four
    > snapshot a
    > start c
    > tick a 4
    a → b: heartbeat in term 1, commit 5, match 5, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > deliver a c
    c is follower of a in term 1
    c → a: alive in term 1, round 0
    > deliver c a
    a → c: snapshot 5/1 in term 1, bytes 0…8
    > deliver a c
    c → a: snapshot 5/1 in term 1, next byte 8
    > deliver c a
    a → c: snapshot 5/1 in term 1, bytes 8…16
    > crash c
    > start c
    > deliver a c
    c is follower of a in term 1
    c → a: snapshot 5/1 in term 1, next byte 0
    > deliver c a
    a → c: snapshot 5/1 in term 1, bytes 0…8
    > settle
    c restores: one two three four
    > show
    a: leader in term 1, log …5/1, commit 5, members a b c
    b: follower in term 1, log 1 1 1 1 1, commit 5, members a b c
    c: follower in term 1, log …5/1, commit 5, members a b c
  `));

Deno.test("the snapshot is replaced in the middle, and the transfer begins again", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > propose a one two three four
    a → b: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    a → c: append in term 1 after 1/1: 2/1 one, 3/1 two, 4/1 three, 5/1 four; commit 1
    > settle
    a applies one two three four
    b applies one two three four
    > snapshot a
    > start c
    > tick a 4
    a → b: heartbeat in term 1, commit 5, match 5, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > deliver a c
    c is follower of a in term 1
    c → a: alive in term 1, round 0
    > deliver c a
    a → c: snapshot 5/1 in term 1, bytes 0…8
    > deliver a c
    c → a: snapshot 5/1 in term 1, next byte 8
    > propose a five
    a → b: append in term 1 after 5/1: 6/1 five; commit 5
    > deliver a b
    b → a: alive in term 1, round 0
    b → a: accepted in term 1 up to 6
    > deliver b a
    a → b: append in term 1 after 6/1: nothing; commit 6
    a applies five
    > snapshot a
    > deliver c a
    a → c: snapshot 6/1 in term 1, bytes 0…8
    > settle
    b applies five
    c restores: one two three four five
    > show
    a: leader in term 1, log …6/1, commit 6, members a b c
    b: follower in term 1, log 1 1 1 1 1 1, commit 6, members a b c
    c: follower in term 1, log …6/1, commit 6, members a b c
  `));

Deno.test("a snapshot takes nothing away from who has more", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > propose a one
    a → b: append in term 1 after 1/1: 2/1 one; commit 1
    a → c: append in term 1 after 1/1: 2/1 one; commit 1
    > settle
    a applies one
    b applies one
    > snapshot a
    > start c
    > tick a 4
    a → b: heartbeat in term 1, commit 2, match 2, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > deliver a c
    c is follower of a in term 1
    c → a: alive in term 1, round 0
    > deliver c a
    a → c: snapshot 2/1 in term 1, bytes 0…3, the last
    > keep a c
    # A copy of the first piece comes late.
    > deliver a c
    c → a: accepted in term 1 up to 2
    c restores: one
    c → a: accepted in term 1 up to 2
    > deliver c a
    > settle
    > propose a two three
    a → b: append in term 1 after 2/1: 3/1 two, 4/1 three; commit 2
    a → c: append in term 1 after 2/1: 3/1 two, 4/1 three; commit 2
    > settle
    a applies two three
    b applies two three
    c applies two three
    > show
    a: leader in term 1, log …2/1 1 1, commit 4, members a b c
    b: follower in term 1, log 1 1 1 1, commit 4, members a b c
    c: follower in term 1, log …2/1 1 1, commit 4, members a b c
  `));

Deno.test("who starts from a snapshot knows the members", () =>
  converse(`
    > voters a b
    > elect a
    a is leader in term 1
    > remove b at a
    > settle
    > propose a x
    a applies x
    > snapshot a
    > crash a
    > start a
    > show
    a: follower in term 1, log …3/1, commit 3, members a
    b: follower in term 1, log 1, commit 1, members a b
    > campaign a
    a is leader in term 2
    > show
    a: leader in term 2, log …3/1 2, commit 4, members a
    b: follower in term 1, log 1, commit 1, members a b
  `));
