import assert from "node:assert/strict";
import { encodeUtf8 } from "../base/mod.ts";
import { StateFiles } from "./mod.ts";

Deno.test("files of the state directory are replaced whole, and are the owner's alone", () => {
  const directory = Deno.makeTempDirSync({ prefix: "agent-files-" });
  try {
    const files = new StateFiles(directory);
    assert.equal(files.read("tls/identity.pem"), null);
    files.remove("tls/identity.pem");
    files.write("tls/identity.pem", encodeUtf8("one"));
    files.write("tls/identity.pem", encodeUtf8("another"));
    assert.deepEqual(files.read("tls/identity.pem"), encodeUtf8("another"));
    const mode = (path: string) => (Deno.statSync(`${directory}/${path}`).mode ?? 0) & 0o777;
    assert.equal(mode("tls/identity.pem"), 0o600);
    assert.equal(mode("tls"), 0o700);
    assert.deepEqual([...Deno.readDirSync(`${directory}/tls`)].map(({ name }) => name), [
      "identity.pem",
    ]);
    files.remove("tls/identity.pem");
    assert.equal(files.read("tls/identity.pem"), null);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
