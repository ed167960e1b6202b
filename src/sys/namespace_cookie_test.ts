import assert from "node:assert/strict";
import { namespaceCookie, openCurrentNamespace } from "./mod.ts";
import { inNewNamespace } from "./namespace.ts";

Deno.test("a namespace has one cookie, and no other namespace has it", () => {
  using own = openCurrentNamespace();
  using again = openCurrentNamespace();
  assert.equal(namespaceCookie(own), namespaceCookie(again));
  const seen = new Set([namespaceCookie(own)]);
  for (let count = 0; count < 3; count++) {
    using fresh = inNewNamespace(openCurrentNamespace);
    seen.add(namespaceCookie(fresh));
  }
  assert.equal(seen.size, 4);
});
