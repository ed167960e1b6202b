import assert from "node:assert/strict";
import { visible } from "./visible.ts";

Deno.test("no control character reaches a terminal, but line ends and tabs", () => {
  assert.equal(
    visible("host2\u001b[2J\u009b31m\r\u007f ok\n\tünd 世界\n"),
    "host2\\u001b[2J\\u009b31m\\u000d\\u007f ok\n\tünd 世界\n",
  );
});

Deno.test("JSON stays JSON, and says the same", () => {
  const value = { error: "a\u009b\u007f\u001b\nb" };
  assert.deepEqual(JSON.parse(visible(JSON.stringify(value, null, 2))), value);
});
