import { converse } from "./conversation.ts";

Deno.test("a member joins as a learner, catches up, and votes", () =>
  converse(`
    > voters a
    > campaign a
    a is leader in term 1
    > propose a x y
    a applies x y
    > joins b
    > add b at a
    a → b: append in term 1 after 3/1: 4/1 members a + b; commit 3
    > settle
    b is follower of a in term 1
    b applies x y
    > show
    a: leader in term 1, log 1 1 1 1, commit 4, members a + b
    b: follower in term 1, log 1 1 1 1, commit 4, members a + b
    # It has everything; a majority of one still decides.
    > promote b at a
    a → b: append in term 1 after 4/1: 5/1 members a b; commit 4
    > settle
    > show
    a: leader in term 1, log 1 1 1 1 1, commit 5, members a b
    b: follower in term 1, log 1 1 1 1 1, commit 5, members a b
    > campaign b
    b is pre-candidate in term 1
    b → a: pre-vote in term 2? log ends at 5/1
    > show
    a: leader in term 1, log 1 1 1 1 1, commit 5, members a b
    b: pre-candidate in term 1, log 1 1 1 1 1, commit 5, members a b
  `));

Deno.test("a learner decides nothing", () =>
  converse(`
    > voters a
    > campaign a
    a is leader in term 1
    > joins b
    > add b at a
    a → b: append in term 1 after 1/1: 2/1 members a + b; commit 1
    > lose
    > propose a x
    a applies x
    # Nobody else has it, and nobody else is needed.
    > campaign b
    > show
    a: leader in term 1, log 1 1 1, commit 3, members a + b
    b: follower in term 0, log empty, commit 0, members unknown
  `));

Deno.test("who is far behind is not promoted (thesis, 4.2.1)", () =>
  converse(`
    > voters a
    > campaign a
    a is leader in term 1
    > propose a x
    a applies x
    > joins b
    > add b at a
    a → b: append in term 1 after 2/1: 3/1 members a + b; commit 2
    > lose
    > promote b at a
    refused: not-caught-up
    > tick a 2
    a → b: heartbeat in term 1, commit 0, match 0, round 0
    > settle
    b is follower of a in term 1
    > tick a 4
    a → b: heartbeat in term 1, commit 0, match 0, round 0
    > settle
    b applies x
    > promote b at a
    a → b: append in term 1 after 3/1: 4/1 members a b; commit 3
    > settle
    > show
    a: leader in term 1, log 1 1 1 1, commit 4, members a b
    b: follower in term 1, log 1 1 1 1, commit 4, members a b
  `));

Deno.test("one change at a time", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > joins d
    > joins e
    > add d at a
    a → b: append in term 1 after 1/1: 2/1 members a b c + d; commit 1
    a → c: append in term 1 after 1/1: 2/1 members a b c + d; commit 1
    a → d: append in term 1 after 1/1: 2/1 members a b c + d; commit 1
    > add e at a
    refused: change-pending
    > settle
    d is follower of a in term 1
    > add e at a
    a → b: append in term 1 after 2/1: 3/1 members a b c + d e; commit 2
    a → c: append in term 1 after 2/1: 3/1 members a b c + d e; commit 2
    a → d: append in term 1 after 2/1: 3/1 members a b c + d e; commit 2
    a → e: append in term 1 after 2/1: 3/1 members a b c + d e; commit 2
    > settle
    e is follower of a in term 1
    > show
    a: leader in term 1, log 1 1 1, commit 3, members a b c + d e
    b: follower in term 1, log 1 1 1, commit 3, members a b c + d e
    c: follower in term 1, log 1 1 1, commit 3, members a b c + d e
    d: follower in term 1, log 1 1 1, commit 3, members a b c + d e
    e: follower in term 1, log 1 1 1, commit 3, members a b c + d e
  `));

Deno.test("no change before the term has begun (the error of 2015)", () =>
  converse(`
    # In term 1, leader 1 has put a change (adding 5) into its own log only.
    > voters 1 2 3 4
    > joins 5
    > elect 1
    1 is leader in term 1
    > add 5 at 1
    1 → 2: append in term 1 after 1/1: 2/1 members 1 2 3 4 + 5; commit 1
    1 → 3: append in term 1 after 1/1: 2/1 members 1 2 3 4 + 5; commit 1
    1 → 4: append in term 1 after 1/1: 2/1 members 1 2 3 4 + 5; commit 1
    1 → 5: append in term 1 after 1/1: 2/1 members 1 2 3 4 + 5; commit 1
    > lose
    # Leader 2 of term 2 knows nothing of it. If it could remove 1 at once, with 2 and 3 as a majority
    # of the remaining three, then 1, 4 and 5 would be a majority of the other five.
    > tick 2 10
    2 is pre-candidate in term 1
    2 → 1: pre-vote in term 2? log ends at 1/1
    2 → 3: pre-vote in term 2? log ends at 1/1
    2 → 4: pre-vote in term 2? log ends at 1/1
    > tick 3 10
    3 is pre-candidate in term 1
    3 → 1: pre-vote in term 2? log ends at 1/1
    3 → 2: pre-vote in term 2? log ends at 1/1
    3 → 4: pre-vote in term 2? log ends at 1/1
    > tick 4 10
    4 is pre-candidate in term 1
    4 → 1: pre-vote in term 2? log ends at 1/1
    4 → 2: pre-vote in term 2? log ends at 1/1
    4 → 3: pre-vote in term 2? log ends at 1/1
    > lose
    > campaign 2
    2 → 1: pre-vote in term 2? log ends at 1/1
    2 → 3: pre-vote in term 2? log ends at 1/1
    2 → 4: pre-vote in term 2? log ends at 1/1
    > lose 2 1
    > deliver
    3 → 2: pre-vote granted in term 2
    4 → 2: pre-vote granted in term 2
    > deliver
    2 is candidate in term 2
    2 → 1: vote in term 2? log ends at 1/1
    2 → 3: vote in term 2? log ends at 1/1
    2 → 4: vote in term 2? log ends at 1/1
    > deliver
    3 is follower in term 2
    3 → 2: vote granted in term 2
    4 is follower in term 2
    4 → 2: vote granted in term 2
    > deliver
    2 is leader in term 2
    2 → 1: append in term 2 after 1/1: 2/2 noop; commit 1
    2 → 3: append in term 2 after 1/1: 2/2 noop; commit 1
    2 → 4: append in term 2 after 1/1: 2/2 noop; commit 1
    > remove 1 at 2
    refused: term-not-begun
    # Its first entry must be committed: then a majority of the old four has it, and 1 cannot win.
    > lose 2 1
    > settle
    3 is follower of 2 in term 2
    4 is follower of 2 in term 2
    > remove 1 at 2
    2 → 3: append in term 2 after 2/2: 3/2 members 2 3 4; commit 2
    2 → 4: append in term 2 after 2/2: 3/2 members 2 3 4; commit 2
    > settle
    > crash 2
    > tick 4 10
    4 is pre-candidate in term 2
    4 → 2: pre-vote in term 3? log ends at 3/2
    4 → 3: pre-vote in term 3? log ends at 3/2
    > lose
    > elect 1
    1 is leader in term 1
    > show
    1: leader in term 1, log 1 1, commit 1, members 1 2 3 4 + 5
    2: down
    3: follower in term 2, log 1 2 2, commit 3, members 2 3 4
    4: pre-candidate in term 2, log 1 2 2, commit 3, members 2 3 4
    5: follower in term 0, log empty, commit 0, members unknown
  `));

Deno.test("a change that is overruled is undone", () =>
  converse(`
    > voters a b c
    > joins d
    > elect a
    a is leader in term 1
    > add d at a
    a → b: append in term 1 after 1/1: 2/1 members a b c + d; commit 1
    a → c: append in term 1 after 1/1: 2/1 members a b c + d; commit 1
    a → d: append in term 1 after 1/1: 2/1 members a b c + d; commit 1
    > lose
    > show
    a: leader in term 1, log 1 1, commit 1, members a b c + d
    b: follower in term 1, log 1, commit 1, members a b c
    c: follower in term 1, log 1, commit 1, members a b c
    d: follower in term 0, log empty, commit 0, members unknown
    > crash a
    > tick c 10
    c is pre-candidate in term 1
    c → a: pre-vote in term 2? log ends at 1/1
    c → b: pre-vote in term 2? log ends at 1/1
    > lose
    > tick b 10
    b is pre-candidate in term 1
    b → a: pre-vote in term 2? log ends at 1/1
    b → c: pre-vote in term 2? log ends at 1/1
    > settle
    b is candidate in term 2
    c is follower in term 2
    b is leader in term 2
    c is follower of b in term 2
    > start a
    > tick b 4
    b → a: heartbeat in term 2, commit 0, match 0, round 0
    b → c: heartbeat in term 2, commit 2, match 2, round 0
    > settle
    a is follower of b in term 2
    > show
    a: follower in term 2, log 1 2, commit 2, members a b c
    b: leader in term 2, log 1 2, commit 2, members a b c
    c: follower in term 2, log 1 2, commit 2, members a b c
    d: follower in term 0, log empty, commit 0, members unknown
  `));

Deno.test("a leader removes itself, and leads until that is done (thesis, 4.2.2)", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > remove a at a
    a → b: append in term 1 after 1/1: 2/1 members b c; commit 1
    a → c: append in term 1 after 1/1: 2/1 members b c; commit 1
    > deliver a b
    b → a: accepted in term 1 up to 2
    > deliver b a
    > settle
    a is follower in term 1
    > show
    a: follower in term 1, log 1 1, commit 2, members b c
    b: follower in term 1, log 1 1, commit 2, members b c
    c: follower in term 1, log 1 1, commit 2, members b c
    # The others were told, and choose among themselves.
    > tick c 10
    c is pre-candidate in term 1
    c → b: pre-vote in term 2? log ends at 2/1
    > lose
    > tick b 10
    b is pre-candidate in term 1
    b → c: pre-vote in term 2? log ends at 2/1
    > settle
    b is candidate in term 2
    c is follower in term 2
    b is leader in term 2
    c is follower of b in term 2
    > show
    a: follower in term 1, log 1 1, commit 2, members b c
    b: leader in term 2, log 1 1 2, commit 3, members b c
    c: follower in term 2, log 1 1 2, commit 3, members b c
  `));

Deno.test("what would cost the majority is refused", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > tick a 5
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    > tick a 5
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    # c has been silent for ten ticks.
    > remove b at a
    refused: quorum-at-risk
    > remove c at a
    a → b: append in term 1 after 1/1: 2/1 members a b; commit 1
    > settle
    > show
    a: leader in term 1, log 1 1, commit 2, members a b
    b: follower in term 1, log 1 1, commit 2, members a b
    c: down
    > remove b at a
    # a is alone, and that is a majority.
    > remove a at a
    refused: last-voter
    > remove z at a
    refused: not-a-member
    > promote z at a
    refused: not-a-member
    > add z at b
    refused: not-leader
  `));

Deno.test("leadership is handed over", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > transfer a b
    # First b must have everything. Meanwhile nothing new comes in.
    > propose a y
    refused: transferring
    > deliver a b
    b → a: accepted in term 1 up to 2
    > deliver b a
    a → b: append in term 1 after 2/1: nothing; commit 2
    a → c: append in term 1 after 2/1: nothing; commit 2
    a → b: stand for election now, in term 1
    a applies x
    > deliver a b
    b → a: accepted in term 1 up to 2
    b applies x
    b is candidate in term 2
    b → a: vote in term 2? log ends at 2/1, by transfer
    b → c: vote in term 2? log ends at 2/1, by transfer
    # The others still hear a; they vote all the same, for it is a itself that wants it.
    > settle
    c applies x
    a is follower in term 2
    c is follower in term 2
    b is leader in term 2
    a is follower of b in term 2
    c is follower of b in term 2
    > show
    a: follower in term 2, log 1 1 2, commit 3, members a b c
    b: leader in term 2, log 1 1 2, commit 3, members a b c
    c: follower in term 2, log 1 1 2, commit 3, members a b c
  `));

Deno.test("a hand-over that fails ends after an election timeout", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash b
    > transfer a b
    a → b: stand for election now, in term 1
    > tick a 5
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    > propose a x
    refused: transferring
    > tick a 5
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 1, match 1, round 0
    > settle
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > transfer a z
    refused: not-a-member
    > transfer c a
    refused: not-leader
  `));
