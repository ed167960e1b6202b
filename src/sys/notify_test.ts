import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import { AF_UNIX, MSG_DONTWAIT, SOCK_DGRAM } from "./constants.ts";
import { closeDescriptor } from "./descriptor.ts";
import { check, SyscallError } from "./errors.ts";
import { libc } from "./libc.ts";
import { notifyServiceManager } from "./notify.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

/** A service manager's end: a datagram socket bound to a name; @ stands for the abstract namespace. */
class Manager implements Disposable {
  readonly #fd = check(libc.socket(AF_UNIX, SOCK_DGRAM, 0), "socket", "unix");

  constructor(name: string) {
    const address = encodeUtf8(
      `\x01\0${name.startsWith("@") ? `\0${name.slice(1)}` : `${name}\0`}`,
    );
    check(libc.bind(this.#fd, address, address.length), "bind", name);
  }

  read(): string {
    const bytes = new Uint8Array(512);
    const size = libc.recvfrom(this.#fd, bytes, 512n, MSG_DONTWAIT, null, null);
    return decodeUtf8(bytes.subarray(0, Number(check(Number(size), "recvfrom", "unix"))));
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.#fd);
  }
}

Deno.test("a service manager hears one datagram, by a path or an abstract name", sanitized, () => {
  const directory = Deno.makeTempDirSync();
  try {
    for (const name of [`${directory}/notify`, `@agent-test-${crypto.randomUUID()}`]) {
      using manager = new Manager(name);
      notifyServiceManager(name, "READY=1\nSTATUS=Ready – 3 networks");
      assert.equal(manager.read(), "READY=1\nSTATUS=Ready – 3 networks");
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test(
  "without a service manager nothing is told; one that does not listen is an error",
  sanitized,
  () => {
    notifyServiceManager(undefined, "READY=1");
    notifyServiceManager("", "READY=1");
    notifyServiceManager("relative/path", "READY=1");
    notifyServiceManager(`/${"x".repeat(107)}`, "READY=1");
    assert.throws(() => notifyServiceManager("/nowhere/notify", "READY=1"), (error) => {
      return error instanceof SyscallError && error.errnoName === "ENOENT";
    });
  },
);
