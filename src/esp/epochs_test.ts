import assert from "node:assert/strict";
import {
  type EpochState,
  type MemberEpochs,
  nextEpoch,
  outboundEpoch,
  retiringEpochs,
} from "./mod.ts";

/** `a:3,2/2 b:?`: node a has 3 and 2 installed and sends with 2 at the oldest, b has told nothing. */
function members(text: string): MemberEpochs[] {
  return text.split(" ").filter(Boolean).map((member) => {
    const [node = "", told = ""] = member.split(":");
    if (told === "?") return { node, report: null };
    const [installed = "", sending = ""] = told.split("/");
    return {
      node,
      report: {
        installed: numbers(installed),
        oldestSending: sending === "-" ? null : Number(sending),
      },
    };
  });
}

function numbers(text: string): number[] {
  return text.split(",").filter((part) => part !== "" && part !== "-").map(Number);
}

/** `3@50,2@10`: epoch 3 began at 50, epoch 2 at 10. */
function epochs(text: string): EpochState[] {
  return text.split(",").filter((part) => part !== "-").map((part) => {
    const [epoch = 0, sinceMs = 0] = part.split("@").map(Number);
    return { epoch, sinceMs };
  });
}

/** Lines of a table, its head left out, cut at two spaces or more. */
function rows(table: string): string[][] {
  return table.trim().split("\n").slice(1).map((line) => line.trim().split(/\s{2,}/));
}

Deno.test("a new epoch begins when its tag is free and fewer than six live", () => {
  const table = `
    live           last  members                next
    -              0     -                      open 1
    1              1     a:1/1 b:1/1            open 2
    5,4,3,2,1      5     a:1,2,3,4,5/1          open 6
    6,5,4,3,2,1    6     a:1,2,3,4,5,6/1 b:6/6  wait 7 for 1 at a
    7,6,5,4,3      7     a:7,6,5,4,3/3          open 8
    7,6,5          7     a:7,6,5/5 b:1,7/7      wait 8 for 1 at b
    7,6,5          7     a:7,6,5/5 b:?          open 8
    7,1            7     a:7,1/1                wait 8 for 1 at a
    14,13          14    a:14,13/13 b:8,14/14   wait 15 for 8 at b
    14,13          14    a:14,13/13 b:7,14/14   open 15
    9              9     a:9/9                  open 10
    9              12    a:9/9                  open 13
    6,5,4,3,2,1    6     a:6/6 b:?              wait 7 for 1 at b
  `;
  for (const [live = "", last = "", who = "", expected] of rows(table)) {
    const next = nextEpoch(epochs(live), members(who === "-" ? "" : who), Number(last));
    const text = next.kind === "open"
      ? `open ${next.epoch}`
      : `wait ${next.epoch} for ${next.lag.epoch} at ${next.lag.nodes.join(",")}`;
    assert.equal(text, expected, `${live} ${who}`);
  }
  assert.throws(() => nextEpoch(epochs("1,2"), [], 2), /newest first/);
  assert.throws(() => nextEpoch(epochs("3"), [], 2), /highest/);
});

Deno.test("each peer is sent the newest epoch that both have and that lives", () => {
  const table = `
    live   own    peer     out
    3,2,1  3,2,1  1        1
    3,2,1  3,2,1  1,2      2
    3,2,1  2,1    1,2,3    2
    3,2,1  3,2,1  1,2,3    3
    3      3,2    2        null
    3      3,2    2,3      3
    3,2    -      2,3      null
    3,2    3      -        null
    4      4,9    4,9      4
  `;
  for (const [live = "", own = "", peer = "", expected] of rows(table)) {
    assert.equal(
      String(outboundEpoch(numbers(live), numbers(own), numbers(peer))),
      expected,
      `${live} ${own} ${peer}`,
    );
  }
});

Deno.test("an epoch goes when all send with newer ones, or its time is up; the newest never", () => {
  const limitMs = 100;
  const table = `
    live            now  members               retiring
    1@0             999  a:1/1                 -
    2@10,1@0        20   a:1,2/1 b:1,2/2       -
    2@10,1@0        20   a:1,2/2 b:1,2/2       1
    2@10,1@0        20   a:1,2/2 b:1,2/-       1
    2@10,1@0        20   a:1,2/2 b:?           -
    2@10,1@0        109  a:1,2/2 b:?           -
    2@10,1@0        110  a:1,2/2 b:?           1
    2@10,1@0        20   -                     1
    3@50,2@10,1@0   60   a:1,2,3/2 b:1,2,3/3   1
    3@50,2@10,1@0   60   a:1,2,3/3 b:1,2,3/3   1,2
    3@50,2@10,1@0   115  a:1,2,3/1             1
    3@50,2@10,1@0   150  a:1,2,3/1             1,2
  `;
  for (const [live = "", now = "", who = "", expected] of rows(table)) {
    const retiring = retiringEpochs(epochs(live), members(who === "-" ? "" : who), {
      nowMs: Number(now),
      limitMs,
    });
    assert.equal(retiring.join(",") || "-", expected, `${live} ${now} ${who}`);
  }
});
