import assert from "node:assert/strict";
import { dropTrustEnvironment } from "./environment.ts";

Deno.test("variables that change whom TLS trusts are deleted, others stay", () => {
  Deno.env.set("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  Deno.env.set("DENO_CERT", "/tmp/ca.pem");
  Deno.env.set("NODE_EXTRA_CA_CERTS", "/tmp/ca.pem");
  Deno.env.set("DENO_TLS_CA_STORE", "system");
  Deno.env.set("SYS_TEST", "1");
  try {
    assert.deepEqual(dropTrustEnvironment().sort(), [
      "DENO_CERT",
      "DENO_TLS_CA_STORE",
      "NODE_EXTRA_CA_CERTS",
      "NODE_TLS_REJECT_UNAUTHORIZED",
    ]);
    assert.deepEqual(dropTrustEnvironment(), []);
    assert.equal(Deno.env.get("NODE_TLS_REJECT_UNAUTHORIZED"), undefined);
    assert.equal(Deno.env.get("SYS_TEST"), "1");
  } finally {
    Deno.env.delete("SYS_TEST");
  }
});
