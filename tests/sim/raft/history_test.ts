import assert from "node:assert/strict";
import { type Call, isLinearizable, type Operation } from "./history.ts";

/**
 * `c1 2..5 write x 7`: client, when it began and ended (nothing: no answer), what, and with what
 * answer. Reads see value and revision; a swap names the revision it expects, the value and the
 * answer.
 */
function parse(line: string): Call {
  const [client = "", span = "", kind, first = "", second = "", third = ""] = line.trim().split(
    " ",
  );
  const [began = "", ended = ""] = span.split("..");
  const numberOf = (text: string) => text === "" ? null : Number(text);
  const operations: Record<string, () => Operation> = {
    read: () => ({ kind: "read", seen: { value: first, revision: Number(second) } }),
    write: () => ({ kind: "write", value: first, revision: numberOf(second) }),
    swap: () => ({
      kind: "swap",
      expected: Number(first),
      value: second,
      result: third === "mismatch" ? third : numberOf(third),
    }),
  };
  const operation = operations[kind ?? ""]?.();
  assert.ok(operation, line);
  return {
    client,
    operation,
    began: Number(began),
    ended: ended === "" ? Infinity : Number(ended),
  };
}

const table: [what: string, verdict: boolean, history: string][] = [
  ["a read sees the last write", true, "a 1..2 write x 7; b 3..4 read x 7"],
  [
    "a read sees what was there before",
    false,
    "a 1..2 write x 7; a 3..4 write y 8; b 5..6 read x 7",
  ],
  [
    "at the same time either may be seen",
    true,
    "a 1..9 write x 7; b 2..3 write y 8; c 4..5 read y 8",
  ],
  [
    "reads may not go back",
    false,
    "a 1..2 write x 7; a 3..9 write y 8; b 4..5 read y 8; b 6..7 read x 7",
  ],
  ["a lost write may have been done", true, "a 1..2 write x 7; a 3.. write y; b 8..9 read y 8"],
  ["… or not", true, "a 1..2 write x 7; a 3.. write y; b 8..9 read x 7"],
  [
    "… but only once",
    false,
    "a 1.. write x; b 3..4 read x 7; b 5..6 write y 8; b 7..8 read y 8; b 9..10 read x 7",
  ],
  ["nothing is seen before it is asked for", false, "b 1..2 read x 7; a 3..4 write x 7"],
  ["a swap succeeds where it fits", true, "a 1..2 write x 7; b 3..4 swap 7 y 8; c 5..6 read y 8"],
  ["a swap cannot fail where it fits", false, "a 1..2 write x 7; b 3..4 swap 7 y mismatch"],
  [
    "… unless something lost came between",
    true,
    "a 1..2 write x 7; c 3.. write z; b 4..5 swap 7 y mismatch",
  ],
  [
    "two swaps cannot both succeed",
    false,
    "a 1..2 write x 7; b 3..9 swap 7 y 8; c 4..8 swap 7 z 9",
  ],
];

for (const [what, verdict, history] of table) {
  Deno.test(`linearizable? ${what}`, () => {
    assert.equal(isLinearizable(history.split(";").map(parse)), verdict);
  });
}

Deno.test("a long history with many lost writes is decided quickly", () => {
  const calls: Call[] = [];
  for (let at = 0; at < 300; at++) {
    const value = `v${at}`;
    const lost = at % 15 === 0;
    calls.push({
      client: `c${at % 4}`,
      operation: { kind: "write", value, revision: lost ? null : at },
      began: at * 10,
      ended: lost ? Infinity : at * 10 + 25,
    });
  }
  const began = performance.now();
  assert.equal(isLinearizable(calls), true);
  const late: Operation = { kind: "read", seen: { value: "v1", revision: 1 } };
  assert.equal(
    isLinearizable([...calls, { client: "z", operation: late, began: 9000, ended: 9001 }]),
    false,
  );
  assert.ok(performance.now() - began < 5000);
});
