import assert from "node:assert/strict";
import { type Bytes, encodeUtf8 } from "../base/mod.ts";
import { ENCRYPTION_FILE, EncryptionFile } from "./encryption_memory.ts";

class Files {
  readonly all = new Map<string, Bytes>();
  isFull = false;
  read(name: string): Bytes | null {
    return this.all.get(name) ?? null;
  }
  write(name: string, bytes: Uint8Array): void {
    if (this.isFull) throw new Error("No space left on device");
    this.all.set(name, new Uint8Array(bytes));
  }
  remove(name: string): void {
    this.all.delete(name);
  }
}

const TRIED = { bootId: "boot-1", agentVersion: "1.0.0" };

Deno.test("that a kernel can encrypt is kept for that kernel and that agent, and until it cannot", () => {
  const files = new Files();
  const file = new EncryptionFile(files, TRIED);
  assert(!file.read());
  file.write(true);
  assert(file.read() && new EncryptionFile(files, TRIED).read());
  assert(!new EncryptionFile(files, { ...TRIED, bootId: "boot-2" }).read());
  assert(!new EncryptionFile(files, { ...TRIED, agentVersion: "1.0.1" }).read());
  file.write(false);
  assert(!file.read() && files.all.size === 0);
});

Deno.test("a file that says anything else, or cannot be written, says nothing", () => {
  const files = new Files();
  const file = new EncryptionFile(files, TRIED);
  for (const content of [new Uint8Array(), new Uint8Array([0xff]), encodeUtf8("ok\n")]) {
    files.write(ENCRYPTION_FILE, content);
    assert(!file.read());
  }
  files.isFull = true;
  file.write(true);
  assert(!file.read());
});
