// needs: root
import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import { RunDirectory } from "./mod.ts";

function withDirectory(test: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "agent-run-files-" });
  try {
    test(`${directory}/agent`);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("files of the run directory are replaced whole, also when it is gone, and are root's", () =>
  withDirectory((directory) => {
    const files = new RunDirectory(directory);
    assert.deepEqual([files.read("journal"), files.size("journal")], [null, null]);
    files.remove("journal");
    files.replace("journal", encodeUtf8("one"));
    Deno.removeSync(directory, { recursive: true });
    files.replace("journal", encodeUtf8("another"));
    assert.equal(decodeUtf8(files.read("journal") ?? new Uint8Array()), "another");
    assert.equal(files.size("journal"), 7);
    const mode = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o777;
    assert.deepEqual([mode(directory), mode(`${directory}/journal`)], [0o700, 0o600]);
  }));

Deno.test("only the very file is appended to", () =>
  withDirectory((directory) => {
    const files = new RunDirectory(directory);
    assert.equal(files.append("journal", encodeUtf8("1"), 0), "other-file");
    assert.equal(files.size("journal"), null);
    files.replace("journal", encodeUtf8("head "));
    assert.equal(files.append("journal", encodeUtf8("one "), 5), "appended");
    assert.equal(files.append("journal", encodeUtf8("two "), 5), "other-file");
    assert.equal(files.append("journal", encodeUtf8("two"), 9), "appended");
    assert.equal(decodeUtf8(files.read("journal") ?? new Uint8Array()), "head one two");
  }));

Deno.test("what a killed replacement has left goes with the file", () =>
  withDirectory((directory) => {
    const files = new RunDirectory(directory);
    files.replace("boot.key", encodeUtf8("secret"));
    Deno.writeTextFileSync(`${directory}/boot.key.new`, "secr");
    files.remove("boot.key");
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  }));

Deno.test("a full disk makes an append fail, never half of one pass for a whole", async () => {
  const mount = Deno.makeTempDirSync({ prefix: "agent-run-full-" });
  const run = (...args: string[]) => new Deno.Command("mount", { args }).output();
  assert((await run("-t", "tmpfs", "-o", "size=16k", "tmpfs", mount)).success);
  try {
    const files = new RunDirectory(mount);
    files.replace("journal", new Uint8Array(4096));
    assert.throws(
      () => files.append("journal", new Uint8Array(64 * 1024), 4096),
      /could be appended|[Nn]o space/,
    );
  } finally {
    await new Deno.Command("umount", { args: [mount] }).output();
    Deno.removeSync(mount);
  }
});
