import { converse } from "./conversation.ts";

Deno.test("many proposals share one message and one write, and messages follow each other unanswered", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a v w x
    a → b: append in term 1 after 1/1: 2/1 v, 3/1 w, 4/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 v, 3/1 w, 4/1 x; commit 1
    > propose a y
    a → b: append in term 1 after 4/1: 5/1 y; commit 1
    a → c: append in term 1 after 4/1: 5/1 y; commit 1
    > propose a z
    a → b: append in term 1 after 5/1: 6/1 z; commit 1
    a → c: append in term 1 after 5/1: 6/1 z; commit 1
    > deliver a b
    b → a: accepted in term 1 up to 4
    b → a: accepted in term 1 up to 5
    b → a: accepted in term 1 up to 6
    > deliver b a
    a → b: append in term 1 after 6/1: nothing; commit 4
    a → c: append in term 1 after 6/1: nothing; commit 4
    a applies v w x
    a → b: append in term 1 after 6/1: nothing; commit 5
    a → c: append in term 1 after 6/1: nothing; commit 5
    a applies y
    a → b: append in term 1 after 6/1: nothing; commit 6
    a → c: append in term 1 after 6/1: nothing; commit 6
    a applies z
    > settle
    b applies v w x
    c applies v w x
    b applies y
    c applies y
    b applies z
    c applies z
    > show
    a: leader in term 1, log 1 1 1 1 1 1, commit 6, members a b c
    b: follower in term 1, log 1 1 1 1 1 1, commit 6, members a b c
    c: follower in term 1, log 1 1 1 1 1 1, commit 6, members a b c
  `));

Deno.test("the logs of figure 7", () =>
  converse(`
    # The leader of term 8 and six followers: some lack entries, some have too many, some both.
    > voters l a b c d e f
    > disk l term 7 log 1 1 1 4 4 5 5 6 6 6
    > disk a term 6 log 1 1 1 4 4 5 5 6 6
    > disk b term 4 log 1 1 1 4
    > disk c term 6 log 1 1 1 4 4 5 5 6 6 6 6
    > disk d term 7 log 1 1 1 4 4 5 5 6 6 6 7 7
    > disk e term 4 log 1 1 1 4 4 4 4
    > disk f term 3 log 1 1 1 2 2 2 3 3 3 3 3
    > elect l
    l is leader in term 8
    > show
    l: leader in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
    a: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
    b: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
    c: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
    d: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
    e: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
    f: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l a b c d e f
  `));

Deno.test("a whole term is skipped in one exchange (paper, end of 5.3)", () =>
  converse(`
    > voters l f
    > disk l term 7 log 1 1 1 4 4 5 5 6 6 6
    > disk f term 3 log 1 1 1 2 2 2 3 3 3 3 3
    > campaign l
    l is pre-candidate in term 7
    l → f: pre-vote in term 8? log ends at 10/6
    > deliver
    f → l: pre-vote granted in term 8
    > deliver
    l is candidate in term 8
    l → f: vote in term 8? log ends at 10/6
    > deliver
    f is follower in term 8
    f → l: vote granted in term 8
    > deliver
    l is leader in term 8
    l → f: append in term 8 after 10/6: 11/8 noop; commit 0
    > deliver
    f is follower of l in term 8
    f → l: rejected in term 8 after 10, at best 10/3
    > deliver
    l → f: append in term 8 after 3/1: 4/4 4.4, 5/4 4.5, 6/5 5.6, 7/5 5.7, 8/6 6.8, 9/6 6.9, 10/6 6.10, 11/8 noop; commit 0
    > deliver
    f → l: accepted in term 8 up to 11
    > settle
    l applies 1.1 1.2 1.3 4.4 4.5 5.6 5.7 6.8 6.9 6.10
    f applies 1.1 1.2 1.3 4.4 4.5 5.6 5.7 6.8 6.9 6.10
    > show
    l: leader in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l f
    f: follower in term 8, log 1 1 1 4 4 5 5 6 6 6 8, commit 11, members l f
  `));

Deno.test("an entry of an old term does not count by its copies (paper, figure 8)", () =>
  converse(`
    > small appends
    > voters 1 2 3 4 5
    > disk 1 term 3 vote 1 log 1 2
    > disk 2 term 2 vote 1 log 1 2
    > disk 3 term 3 vote 5 log 1
    > disk 4 term 3 vote 5 log 1
    > disk 5 term 3 vote 5 log 1 3
    # (a), (b): 1 led term 2 and brought entry 2 to member 2; 5 led term 3 and has another entry 2.
    # (c): 1 is elected in term 4.
    > campaign 1
    1 is pre-candidate in term 3
    1 → 2: pre-vote in term 4? log ends at 2/2
    1 → 3: pre-vote in term 4? log ends at 2/2
    1 → 4: pre-vote in term 4? log ends at 2/2
    1 → 5: pre-vote in term 4? log ends at 2/2
    > deliver
    2 → 1: pre-vote granted in term 4
    3 → 1: pre-vote granted in term 4
    4 → 1: pre-vote granted in term 4
    5 → 1: pre-vote refused in term 3
    > deliver
    1 is candidate in term 4
    1 → 2: vote in term 4? log ends at 2/2
    1 → 3: vote in term 4? log ends at 2/2
    1 → 4: vote in term 4? log ends at 2/2
    1 → 5: vote in term 4? log ends at 2/2
    > deliver
    2 is follower in term 4
    2 → 1: vote granted in term 4
    3 is follower in term 4
    3 → 1: vote granted in term 4
    4 is follower in term 4
    4 → 1: vote granted in term 4
    5 is follower in term 4
    5 → 1: vote refused in term 4
    > lose 5 1
    > deliver
    1 is leader in term 4
    1 → 2: append in term 4 after 2/2: 3/4 noop; commit 0
    1 → 3: append in term 4 after 2/2: 3/4 noop; commit 0
    1 → 4: append in term 4 after 2/2: 3/4 noop; commit 0
    1 → 5: append in term 4 after 2/2: 3/4 noop; commit 0
    # It brings its entry 2 to members 3 and 4, and nothing more: now it knows of a majority that has it.
    > lose 1 2
    > lose 1 5
    > deliver 1
    3 is follower of 1 in term 4
    3 → 1: rejected in term 4 after 2, at best 1/1
    4 is follower of 1 in term 4
    4 → 1: rejected in term 4 after 2, at best 1/1
    > deliver to 1
    1 → 3: append in term 4 after 1/1: 2/2 2.2; commit 0
    1 → 4: append in term 4 after 1/1: 2/2 2.2; commit 0
    > deliver 1
    3 → 1: accepted in term 4 up to 2
    4 → 1: accepted in term 4 up to 2
    > deliver to 1
    1 → 3: append in term 4 after 2/2: 3/4 noop; commit 0
    1 → 4: append in term 4 after 2/2: 3/4 noop; commit 0
    > lose
    > show
    1: leader in term 4, log 1 2 4, commit 0, members 1 2 3 4 5
    2: follower in term 4, log 1 2, commit 0, members 1 2 3 4 5
    3: follower in term 4, log 1 2, commit 0, members 1 2 3 4 5
    4: follower in term 4, log 1 2, commit 0, members 1 2 3 4 5
    5: follower in term 4, log 1 3, commit 0, members 1 2 3 4 5
    # It is not committed, and rightly so. (d): 1 crashes, 5 is elected and overwrites it.
    > crash 1
    > tick 2 10
    2 is pre-candidate in term 4
    2 → 1: pre-vote in term 5? log ends at 2/2
    2 → 3: pre-vote in term 5? log ends at 2/2
    2 → 4: pre-vote in term 5? log ends at 2/2
    2 → 5: pre-vote in term 5? log ends at 2/2
    > tick 3 10
    3 is pre-candidate in term 4
    3 → 1: pre-vote in term 5? log ends at 2/2
    3 → 2: pre-vote in term 5? log ends at 2/2
    3 → 4: pre-vote in term 5? log ends at 2/2
    3 → 5: pre-vote in term 5? log ends at 2/2
    > tick 4 10
    4 is pre-candidate in term 4
    4 → 1: pre-vote in term 5? log ends at 2/2
    4 → 2: pre-vote in term 5? log ends at 2/2
    4 → 3: pre-vote in term 5? log ends at 2/2
    4 → 5: pre-vote in term 5? log ends at 2/2
    > lose
    > campaign 5
    5 is pre-candidate in term 4
    5 → 1: pre-vote in term 5? log ends at 2/3
    5 → 2: pre-vote in term 5? log ends at 2/3
    5 → 3: pre-vote in term 5? log ends at 2/3
    5 → 4: pre-vote in term 5? log ends at 2/3
    > settle
    5 is candidate in term 5
    2 is follower in term 5
    3 is follower in term 5
    4 is follower in term 5
    5 is leader in term 5
    2 is follower of 5 in term 5
    3 is follower of 5 in term 5
    4 is follower of 5 in term 5
    5 applies 1.1 3.2
    2 applies 1.1 3.2
    3 applies 1.1 3.2
    4 applies 1.1 3.2
    > show
    1: down
    2: follower in term 5, log 1 3 5, commit 3, members 1 2 3 4 5
    3: follower in term 5, log 1 3 5, commit 3, members 1 2 3 4 5
    4: follower in term 5, log 1 3 5, commit 3, members 1 2 3 4 5
    5: leader in term 5, log 1 3 5, commit 3, members 1 2 3 4 5
  `));

Deno.test("… and does count when one of the leader's own term follows (paper, figure 8 e)", () =>
  converse(`
    > voters 1 2 3 4 5
    > disk 1 term 3 log 1 2
    > disk 2 term 3 log 1 2
    > disk 3 term 3 log 1
    > disk 4 term 3 log 1
    > disk 5 term 3 vote 5 log 1 3
    > elect 1
    1 is leader in term 4
    > show
    1: leader in term 4, log 1 2 4, commit 3, members 1 2 3 4 5
    2: follower in term 4, log 1 2 4, commit 3, members 1 2 3 4 5
    3: follower in term 4, log 1 2 4, commit 3, members 1 2 3 4 5
    4: follower in term 4, log 1 2 4, commit 3, members 1 2 3 4 5
    5: follower in term 4, log 1 2 4, commit 3, members 1 2 3 4 5
    > tick 2 10
    2 is pre-candidate in term 4
    2 → 1: pre-vote in term 5? log ends at 3/4
    2 → 3: pre-vote in term 5? log ends at 3/4
    2 → 4: pre-vote in term 5? log ends at 3/4
    2 → 5: pre-vote in term 5? log ends at 3/4
    > tick 3 10
    3 is pre-candidate in term 4
    3 → 1: pre-vote in term 5? log ends at 3/4
    3 → 2: pre-vote in term 5? log ends at 3/4
    3 → 4: pre-vote in term 5? log ends at 3/4
    3 → 5: pre-vote in term 5? log ends at 3/4
    > lose
    > elect 5
    5 is leader in term 5
    > show
    1: follower in term 5, log 1 2 4 5, commit 4, members 1 2 3 4 5
    2: follower in term 5, log 1 2 4 5, commit 4, members 1 2 3 4 5
    3: follower in term 5, log 1 2 4 5, commit 4, members 1 2 3 4 5
    4: follower in term 5, log 1 2 4 5, commit 4, members 1 2 3 4 5
    5: leader in term 5, log 1 2 4 5, commit 4, members 1 2 3 4 5
  `));

Deno.test("a follower catches up with the first heartbeats after its link was cut", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > lose a b
    > deliver a c
    c → a: accepted in term 1 up to 2
    > deliver c a
    a → b: append in term 1 after 2/1: nothing; commit 2
    a → c: append in term 1 after 2/1: nothing; commit 2
    a applies x
    > lose a b
    > tick a 4
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    a → c: heartbeat in term 1, commit 2, match 2, round 0
    > settle
    c applies x
    b applies x
    > settle
    > show
    a: leader in term 1, log 1 1, commit 2, members a b c
    b: follower in term 1, log 1 1, commit 2, members a b c
    c: follower in term 1, log 1 1, commit 2, members a b c
  `));

Deno.test("an append that arrives twice, the second time after newer ones", () =>
  converse(`
    > voters a b
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    > keep a b
    > propose a y
    a → b: append in term 1 after 2/1: 3/1 y; commit 1
    > late a b
    # Under way: x, y, and x again. The second x must not drop y.
    > deliver a b
    b → a: accepted in term 1 up to 2
    b → a: accepted in term 1 up to 3
    b → a: accepted in term 1 up to 2
    > show
    a: leader in term 1, log 1 1 1, commit 1, members a b
    b: follower in term 1, log 1 1 1, commit 1, members a b
    > settle
    a applies x
    a applies y
    b applies x
    b applies y
    > show
    a: leader in term 1, log 1 1 1, commit 3, members a b
    b: follower in term 1, log 1 1 1, commit 3, members a b
  `));

Deno.test("lost appends are noticed by the answers to heartbeats", () =>
  converse(`
    > voters a b
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    > propose a y
    a → b: append in term 1 after 2/1: 3/1 y; commit 1
    > lose
    > tick a 2
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    > deliver
    b → a: alive in term 1, round 0
    > deliver
    # It may only be slow. After two intervals it is lost.
    > tick a 2
    a → b: heartbeat in term 1, commit 1, match 1, round 0
    > deliver
    b → a: alive in term 1, round 0
    > deliver
    a → b: append in term 1 after 1/1: 2/1 x, 3/1 y; commit 1
    > deliver
    b → a: accepted in term 1 up to 3
    > settle
    a applies x y
    b applies x y
    > show
    a: leader in term 1, log 1 1 1, commit 3, members a b
    b: follower in term 1, log 1 1 1, commit 3, members a b
  `));

Deno.test("the leader's disk works while the others' do, and counts when it has the entry (thesis, 10.2.1)", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > slow a
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > deliver a b
    b → a: accepted in term 1 up to 2
    > deliver b a
    # Two know x, and one has it on its disk: that is no majority.
    > show
    a: leader in term 1, log 1, commit 1, members a b c
    b: follower in term 1, log 1 1, commit 1, members a b c
    c: follower in term 1, log 1, commit 1, members a b c
    > saved a
    a → b: append in term 1 after 2/1: nothing; commit 2
    a → c: append in term 1 after 2/1: nothing; commit 2
    a applies x
    > settle
    b applies x
    c applies x
    > show
    a: leader in term 1, log 1 1, commit 2, members a b c
    b: follower in term 1, log 1 1, commit 2, members a b c
    c: follower in term 1, log 1 1, commit 2, members a b c
  `));

Deno.test("what a leader has told, and lost in a crash, is what the others make of it", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > slow a
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > deliver a b
    b → a: accepted in term 1 up to 2
    > crash a
    > lose
    > start a
    > show
    a: follower in term 1, log 1, commit 1, members a b c
    b: follower in term 1, log 1 1, commit 1, members a b c
    c: follower in term 1, log 1, commit 1, members a b c
    > elect b
    b is leader in term 2
    > show
    a: follower in term 2, log 1 1 2, commit 3, members a b c
    b: leader in term 2, log 1 1 2, commit 3, members a b c
    c: follower in term 2, log 1 1 2, commit 3, members a b c
  `));

Deno.test("a member that has elected itself tells nobody before its term is on its disk", () =>
  converse(`
    > voters a
    > campaign a
    a is leader in term 1
    > joins b
    > add b at a
    a → b: append in term 1 after 1/1: 2/1 members a + b; commit 1
    > settle
    b is follower of a in term 1
    > crash a
    > start a
    > slow a
    > campaign a
    a is leader in term 2
    # Were it to crash now, it would lead term 2 once more, and put another entry there.
    > saved a
    a → b: append in term 2 after 2/1: 3/2 noop; commit 2
    > settle
    b is follower of a in term 2
    > show
    a: leader in term 2, log 1 1 2, commit 3, members a + b
    b: follower in term 2, log 1 1 2, commit 3, members a + b
  `));

Deno.test("a follower acknowledges what is on its disk", () =>
  converse(`
    > voters a b
    > elect a
    a is leader in term 1
    > slow b
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    > deliver
    > show
    a: leader in term 1, log 1 1, commit 1, members a b
    b: follower in term 1, log 1, commit 1, members a b
    > saved b
    b → a: accepted in term 1 up to 2
    > settle
    a applies x
    b applies x
    > show
    a: leader in term 1, log 1 1, commit 2, members a b
    b: follower in term 1, log 1 1, commit 2, members a b
  `));

Deno.test("an entry counts by other disks even if the leader's is slow to finish", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > slow a
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > deliver
    b → a: accepted in term 1 up to 2
    c → a: accepted in term 1 up to 2
    > deliver
    # x is committed: b and c have it.
    > show
    a: leader in term 1, log 1, commit 2, members a b c
    b: follower in term 1, log 1 1, commit 1, members a b c
    c: follower in term 1, log 1 1, commit 1, members a b c
    > saved a
    a → b: append in term 1 after 2/1: nothing; commit 2
    a → c: append in term 1 after 2/1: nothing; commit 2
    a applies x
    > settle
    b applies x
    c applies x
    > show
    a: leader in term 1, log 1 1, commit 2, members a b c
    b: follower in term 1, log 1 1, commit 2, members a b c
    c: follower in term 1, log 1 1, commit 2, members a b c
  `));

Deno.test("a member whose disk has lost what it promised takes no part", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > settle
    a applies x
    b applies x
    c applies x
    > crash b
    > disk b term 1 vote a log 1
    b is damaged
    > tick a 2
    a → b: heartbeat in term 1, commit 2, match 2, round 0
    a → c: heartbeat in term 1, commit 2, match 2, round 0
    > settle
    > campaign b
    > show
    a: leader in term 1, log 1 1, commit 2, members a b c
    b: follower in term 1, log 1, commit 0, members a b c
    c: follower in term 1, log 1 1, commit 2, members a b c
  `));

Deno.test("a member that knows its floor notices by itself", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > propose a x
    a → b: append in term 1 after 1/1: 2/1 x; commit 1
    a → c: append in term 1 after 1/1: 2/1 x; commit 1
    > settle
    a applies x
    b applies x
    c applies x
    > crash c
    # What c recorded last says: entry 2 of term 1. Its log has lost it.
    > disk c term 1 vote a log 1
    c is damaged
    > campaign c
  `));

Deno.test("a vote that the disk has lost is missed too", () =>
  converse(`
    > voters a b c
    > elect a
    a is leader in term 1
    > crash c
    > disk c term 1 log 1
    c is damaged
  `));
