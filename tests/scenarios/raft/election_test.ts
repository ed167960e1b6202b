import { converse } from "./conversation.ts";

Deno.test("a member asks first, is elected, and begins its term with an entry", () =>
  converse(`
    > voters a b c
    > campaign a
    a is pre-candidate in term 0
    a → b: pre-vote in term 1? log ends at 0/0
    a → c: pre-vote in term 1? log ends at 0/0
    > deliver
    b → a: pre-vote granted in term 1
    c → a: pre-vote granted in term 1
    # Nobody has changed its term for that. Now in earnest:
    > deliver
    a is candidate in term 1
    a → b: vote in term 1? log ends at 0/0
    a → c: vote in term 1? log ends at 0/0
    > deliver
    b is follower in term 1
    b → a: vote granted in term 1
    c is follower in term 1
    c → a: vote granted in term 1
    > deliver
    a is leader in term 1
    a → b: append in term 1 after 0/0: 1/1 noop; commit 0
    a → c: append in term 1 after 0/0: 1/1 noop; commit 0
    > deliver
    b is follower of a in term 1
    b → a: accepted in term 1 up to 1
    c is follower of a in term 1
    c → a: accepted in term 1 up to 1
    # The majority has it: committed here, and the others are told.
    > deliver
    a → b: append in term 1 after 1/1: nothing; commit 1
    a → c: append in term 1 after 1/1: nothing; commit 1
    > settle
    > show
    a: leader in term 1, log 1, commit 1, members a b c
    b: follower in term 1, log 1, commit 1, members a b c
    c: follower in term 1, log 1, commit 1, members a b c
  `));

Deno.test("votes are split, and one candidate is faster the next time", () =>
  converse(`
    > voters a b c d
    > campaign a
    a is pre-candidate in term 0
    a → b: pre-vote in term 1? log ends at 0/0
    a → c: pre-vote in term 1? log ends at 0/0
    a → d: pre-vote in term 1? log ends at 0/0
    > campaign d
    d is pre-candidate in term 0
    d → a: pre-vote in term 1? log ends at 0/0
    d → b: pre-vote in term 1? log ends at 0/0
    d → c: pre-vote in term 1? log ends at 0/0
    > deliver a b
    b → a: pre-vote granted in term 1
    > deliver d c
    c → d: pre-vote granted in term 1
    > deliver b a
    > deliver c d
    # b would vote for a, and c for d: that is no majority of four. Nobody has begun a term for it.
    > lose
    > show
    a: pre-candidate in term 0, log empty, commit 0, members a b c d
    b: follower in term 0, log empty, commit 0, members a b c d
    c: follower in term 0, log empty, commit 0, members a b c d
    d: pre-candidate in term 0, log empty, commit 0, members a b c d
    > tick a 10
    a → b: pre-vote in term 1? log ends at 0/0
    a → c: pre-vote in term 1? log ends at 0/0
    a → d: pre-vote in term 1? log ends at 0/0
    > settle
    a is candidate in term 1
    b is follower in term 1
    c is follower in term 1
    d is follower in term 1
    a is leader in term 1
    b is follower of a in term 1
    c is follower of a in term 1
    d is follower of a in term 1
    > show
    a: leader in term 1, log 1, commit 1, members a b c d
    b: follower in term 1, log 1, commit 1, members a b c d
    c: follower in term 1, log 1, commit 1, members a b c d
    d: follower in term 1, log 1, commit 1, members a b c d
  `));

Deno.test("a vote is cast once, whatever crashes in between", () =>
  converse(`
    > voters a b c
    > campaign a
    a is pre-candidate in term 0
    a → b: pre-vote in term 1? log ends at 0/0
    a → c: pre-vote in term 1? log ends at 0/0
    > lose a c
    > deliver a b
    b → a: pre-vote granted in term 1
    > deliver b a
    a is candidate in term 1
    a → b: vote in term 1? log ends at 0/0
    a → c: vote in term 1? log ends at 0/0
    > deliver a b
    b is follower in term 1
    b → a: vote granted in term 1
    # b has voted for a, and the answer is on its way when b crashes.
    > crash b
    > start b
    > lose a c
    > campaign c
    c is pre-candidate in term 0
    c → a: pre-vote in term 1? log ends at 0/0
    c → b: pre-vote in term 1? log ends at 0/0
    > deliver c b
    b → c: pre-vote refused in term 1
    > deliver b c
    c is follower in term 1
    # c has not heard of term 1: this is the same term, and b has no vote left.
    > deliver c b
    > deliver b a
    a is leader in term 1
    a → b: append in term 1 after 0/0: 1/1 noop; commit 0
    a → c: append in term 1 after 0/0: 1/1 noop; commit 0
    > deliver c a
    a → c: pre-vote refused in term 1
    > lose
    > show
    a: leader in term 1, log 1, commit 0, members a b c
    b: follower in term 1, log empty, commit 0, members a b c
    c: follower in term 1, log empty, commit 0, members a b c
  `));

Deno.test("a vote for an earlier term does not count", () =>
  converse(`
    > voters a b c
    > campaign a
    a is pre-candidate in term 0
    a → b: pre-vote in term 1? log ends at 0/0
    a → c: pre-vote in term 1? log ends at 0/0
    > lose a c
    > deliver
    b → a: pre-vote granted in term 1
    > deliver
    a is candidate in term 1
    a → b: vote in term 1? log ends at 0/0
    a → c: vote in term 1? log ends at 0/0
    > lose a c
    > deliver
    b is follower in term 1
    b → a: vote granted in term 1
    # b has voted for a in term 1, and that is late. a tries again, in term 2.
    > tick a 10
    a is pre-candidate in term 1
    a → b: pre-vote in term 2? log ends at 0/0
    a → c: pre-vote in term 2? log ends at 0/0
    > late b a
    > lose a b
    > deliver a c
    c → a: pre-vote granted in term 2
    > deliver c a
    a is candidate in term 2
    a → b: vote in term 2? log ends at 0/0
    a → c: vote in term 2? log ends at 0/0
    > lose a
    # Only now comes the vote of term 1: it does not make a leader of term 2.
    > deliver b a
    > show
    a: candidate in term 2, log empty, commit 0, members a b c
    b: follower in term 1, log empty, commit 0, members a b c
    c: follower in term 0, log empty, commit 0, members a b c
  `));

Deno.test("a vote that was not saved was not cast", () =>
  converse(`
    > voters a b c
    > campaign a
    a is pre-candidate in term 0
    a → b: pre-vote in term 1? log ends at 0/0
    a → c: pre-vote in term 1? log ends at 0/0
    > lose a c
    > deliver a b
    b → a: pre-vote granted in term 1
    > deliver b a
    a is candidate in term 1
    a → b: vote in term 1? log ends at 0/0
    a → c: vote in term 1? log ends at 0/0
    > slow b
    > deliver a b
    b is follower in term 1
    # Until its disk has the vote, b says nothing. It crashes before that.
    > crash b
    > start b
    > show
    a: candidate in term 1, log empty, commit 0, members a b c
    b: follower in term 0, log empty, commit 0, members a b c
    c: follower in term 0, log empty, commit 0, members a b c
    > lose
    > campaign c
    c is pre-candidate in term 0
    c → a: pre-vote in term 1? log ends at 0/0
    c → b: pre-vote in term 1? log ends at 0/0
    > deliver c b
    b → c: pre-vote granted in term 1
    > deliver b c
    c is candidate in term 1
    c → a: vote in term 1? log ends at 0/0
    c → b: vote in term 1? log ends at 0/0
    > deliver c b
    b is follower in term 1
    b → c: vote granted in term 1
    > deliver b c
    c is leader in term 1
    c → a: append in term 1 after 0/0: 1/1 noop; commit 0
    c → b: append in term 1 after 0/0: 1/1 noop; commit 0
    > show
    a: candidate in term 1, log empty, commit 0, members a b c
    b: follower in term 1, log empty, commit 0, members a b c
    c: leader in term 1, log 1, commit 0, members a b c
  `));

Deno.test("who lacks committed entries is not elected (paper, 5.4.1)", () =>
  converse(`
    > voters a b c
    > disk a term 2 commit 2 log 1 2
    a applies 1.1 2.2
    > disk b term 2 commit 1 log 1 2
    b applies 1.1
    > disk c term 2 log 1 1 1
    > campaign c
    c is pre-candidate in term 2
    c → a: pre-vote in term 3? log ends at 3/1
    c → b: pre-vote in term 3? log ends at 3/1
    > deliver
    a → c: pre-vote refused in term 2
    b → c: pre-vote refused in term 2
    > deliver
    c is follower in term 2
    > elect b
    b is leader in term 3
    > show
    a: follower in term 3, log 1 2 3, commit 3, members a b c
    b: leader in term 3, log 1 2 3, commit 3, members a b c
    c: follower in term 3, log 1 2 3, commit 3, members a b c
  `));

Deno.test("a member that was cut off comes back and disturbs nobody (PreVote; thesis, 9.6)", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    # c hears nothing for a long time, and stands for election again and again.
    > tick c 45
    c is pre-candidate in term 1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    > lose
    > show
    a: leader in term 1, log 1, commit 1, members a b c
    b: follower in term 1, log 1, commit 1, members a b c
    c: pre-candidate in term 1, log 1, commit 1, members a b c
    > tick a 2
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    c is follower of a in term 1
    > show
    a: leader in term 1, log 1, commit 1, members a b c
    b: follower in term 1, log 1, commit 1, members a b c
    c: follower in term 1, log 1, commit 1, members a b c
  `));

Deno.test("a member that was removed cannot depose the leader (thesis, 4.2.3)", () =>
  converse(`
    > voters a b c d
    > elect a
    a is leader in term 1
    > remove d at a
    a → b: append in term 1 after 1/1: 2/1 members a b c; commit 1
    a → c: append in term 1 after 1/1: 2/1 members a b c; commit 1
    > lose a d
    > settle
    # d has not heard of it. It asks, and those who hear a leader refuse.
    > tick d 10
    d is pre-candidate in term 1
    d → a: pre-vote in term 2? log ends at 1/1
    d → b: pre-vote in term 2? log ends at 1/1
    d → c: pre-vote in term 2? log ends at 1/1
    > deliver
    a → d: pre-vote refused in term 1
    b → d: pre-vote refused in term 1
    c → d: pre-vote refused in term 1
    > lose
    # Not even a term that is really higher, as a member without PreVote would have it, helps.
    > disk d term 7 log 1 1
    > campaign d
    d is pre-candidate in term 7
    d → a: pre-vote in term 8? log ends at 2/1
    d → b: pre-vote in term 8? log ends at 2/1
    d → c: pre-vote in term 8? log ends at 2/1
    > deliver
    a → d: pre-vote refused in term 1
    b → d: pre-vote refused in term 1
    c → d: pre-vote refused in term 1
    > deliver
    d is follower in term 7
    > show
    a: leader in term 1, log 1 1, commit 2, members a b c
    b: follower in term 1, log 1 1, commit 2, members a b c
    c: follower in term 1, log 1 1, commit 2, members a b c
    d: follower in term 7, log 1 1, commit 0, members a b c d
  `));

Deno.test("a leader that hears no majority steps down, and nobody reads from it (CheckQuorum)", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > tick a 9
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > read a
    read 1 waits
    a → b: heartbeat in term 1, commit 1, match 1, round 1
    a → c: heartbeat in term 1, commit 1, match 1, round 1
    > lose
    > show
    a: leader in term 1, log 1, commit 1, members a b c
    b: follower in term 1, log 1, commit 1, members a b c
    c: follower in term 1, log 1, commit 1, members a b c
    > tick a 1
    a is follower in term 1
    read 1 is lost
    > propose a x
    refused: not-leader
  `));

Deno.test("an old leader hears that its term is over", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > tick c 10
    c is pre-candidate in term 1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    > lose c
    > campaign b
    b is pre-candidate in term 1
    b → a: pre-vote in term 2? log ends at 1/1
    b → c: pre-vote in term 2? log ends at 1/1
    > lose b a
    > deliver b c
    c → b: pre-vote granted in term 2
    > deliver c b
    b is candidate in term 2
    b → a: vote in term 2? log ends at 1/1
    b → c: vote in term 2? log ends at 1/1
    > lose b a
    > deliver b c
    c is follower in term 2
    c → b: vote granted in term 2
    > deliver c b
    b is leader in term 2
    b → a: append in term 2 after 1/1: 2/2 noop; commit 1
    b → c: append in term 2 after 1/1: 2/2 noop; commit 1
    # b leads term 2 with the help of c. a still believes in term 1.
    > lose b a
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > deliver a c
    c → a: vote refused in term 2
    > deliver c a
    a is follower in term 2
    > show
    a: follower in term 2, log 1 1, commit 1, members a b c
    b: leader in term 2, log 1 2, commit 1, members a b c
    c: follower in term 2, log 1, commit 1, members a b c
    > lose
    > tick b 2
    b → a: heartbeat in term 2, commit 0, match 0, round 0
    b → c: heartbeat in term 2, commit 0, match 0, round 0
    > settle
    a is follower of b in term 2
    c is follower of b in term 2
    > show
    a: follower in term 2, log 1 1, commit 1, members a b c
    b: leader in term 2, log 1 2, commit 1, members a b c
    c: follower in term 2, log 1, commit 1, members a b c
  `));

Deno.test("two leaders in one term cannot be; a member that claims it is not believed", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > disk b term 1 vote b log
    > disk c term 1 vote b log
    # Both disks were tampered with: b and c have forgotten that they voted for a.
    > campaign b
    b is pre-candidate in term 1
    b → a: pre-vote in term 2? log ends at 0/0
    b → c: pre-vote in term 2? log ends at 0/0
    > lose b a
    > settle
    b is candidate in term 2
    c is follower in term 2
    b is leader in term 2
    a is follower of b in term 2
    c is follower of b in term 2
    > propose b evil
    b → a: append in term 2 after 1/2: 2/2 evil; commit 1
    b → c: append in term 2 after 1/2: 2/2 evil; commit 1
    > deliver b a
    a → b: rejected in term 2 after 1, at best 1/1
    > show
    a: follower in term 2, log 1, commit 1, members a b c
    b: leader in term 2, log 2 2, commit 1, members a b c
    c: follower in term 2, log 2, commit 1, members a b c
  `));
