import assert from "node:assert/strict";
import { XfrmCounters } from "./xfrm_counters.ts";

Deno.test("refusals of IPsec are counted from the start on, and said in words", () => {
  let text: string | null = "XfrmInTmplMismatch\t3\nXfrmOutPolBlock\t0\nXfrmNew\t0\n";
  const counters = new XfrmCounters(() => text);
  assert.deepEqual(counters.refusals(), []);
  text = "XfrmInTmplMismatch\t3\nXfrmOutPolBlock\t12\nXfrmNew\t1\n";
  const [block, unknown, ...others] = counters.refusals();
  assert.deepEqual(others, []);
  assert.deepEqual([block?.name, block?.packets], ["XfrmOutPolBlock", 12]);
  assert.match(
    String(block?.meaning),
    /cleartext was offered for an encrypted network and dropped/,
  );
  assert.match(String(unknown?.meaning), /xfrm_proc/);
  text = null;
  assert.deepEqual(counters.refusals(), []);
});

Deno.test("every counter of this kernel has a meaning", () => {
  const text = Deno.readTextFileSync("/proc/net/xfrm_stat");
  const zeros = text.replace(/\d+$/gm, "0");
  let shown = zeros;
  const counters = new XfrmCounters(() => shown);
  shown = zeros.replace(/0$/gm, "1");
  const refusals = counters.refusals();
  assert(refusals.length > 25);
  for (const { name, meaning } of refusals) {
    assert(!/xfrm_proc/.test(String(meaning)), String(name));
  }
});
