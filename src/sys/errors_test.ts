import assert from "node:assert/strict";
import { check, SyscallError } from "./errors.ts";
import { cString, libc } from "./libc.ts";

Deno.test("a failed call names itself, its object, the errno and what it means", () => {
  assert.throws(() => check(libc.unlink(cString("/nonexistent")), "unlink", "/nonexistent"), {
    name: "SyscallError",
    message: "unlink /nonexistent failed: no such file or directory (ENOENT)",
    call: "unlink",
    errno: 2,
    errnoName: "ENOENT",
    path: "/nonexistent",
  });
});

Deno.test("an errno without a name, or a call without an object, is still told", () => {
  const error = new SyscallError("keyctl", 4711);
  assert.equal(
    error.message,
    "keyctl failed: the kernel refused with an unusual error (errno 4711)",
  );
  assert.equal(error.path, undefined);
});

Deno.test("errno is of the call just made, not of one before", () => {
  check(libc.geteuid(), "geteuid");
  assert.throws(() => check(libc.close(-1), "close"), { errnoName: "EBADF" });
  assert.throws(() => check(libc.unlink(cString("/")), "unlink"), { errnoName: "EISDIR" });
});

Deno.test("a text with a zero inside never reaches the kernel", () => {
  assert.throws(() => cString("/tmp/a\0/../etc"), TypeError);
});
