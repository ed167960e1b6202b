import assert from "node:assert/strict";
import { SyscallError } from "./errors.ts";
import {
  inNamespace,
  inNewNamespace,
  openCurrentNamespace,
  openNamespace,
  openNamespaceOfPid,
  readSysctl,
  sameNamespace,
  writeSysctl,
} from "./namespace.ts";
import { runScript } from "./test_script.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function here() {
  using current = openCurrentNamespace();
  return current.identity;
}

/** A namespace without a name: it goes when it is closed. */
function makeNamespace() {
  return inNewNamespace(openCurrentNamespace);
}

Deno.test("a namespace is entered and left", sanitized, () => {
  const home = here();
  using other = makeNamespace();
  assert(!sameNamespace(home, other.identity));
  assert.deepEqual(inNamespace(other, here), other.identity);
  assert.deepEqual(here(), home);
});

Deno.test("a namespace is left when the action throws", sanitized, () => {
  const home = here();
  using other = makeNamespace();
  assert.throws(
    () =>
      inNamespace(other, () => {
        throw new RangeError("inside");
      }),
    new RangeError("inside"),
  );
  assert.deepEqual(here(), home);
});

Deno.test("entering may be nested", sanitized, () => {
  const home = here();
  using first = makeNamespace();
  using second = makeNamespace();
  inNamespace(first, () => {
    assert.deepEqual(inNamespace(second, here), second.identity);
    assert.deepEqual(here(), first.identity);
  });
  assert.deepEqual(here(), home);
});

Deno.test("an asynchronous action is refused, and the namespace left", sanitized, () => {
  const home = here();
  using other = makeNamespace();
  assert.throws(() => inNamespace(other, () => Promise.resolve()), /asynchronous/);
  assert.deepEqual(here(), home);
});

Deno.test("the process ends when there is no way back", async () => {
  const { code, stdout, stderr } = await runScript(`
    const home = sys.openCurrentNamespace();
    sys.inNamespace(home, () => {
      // Puts a file in place of every descriptor of a namespace, and so of the one to return by.
      for (const { name } of Deno.readDirSync("/proc/self/fd")) {
        let link = "";
        try { link = Deno.readLinkSync("/proc/self/fd/" + name); } catch { continue; }
        if (link.startsWith("net:")) libc.close(Number(name));
      }
    });
    console.log("still here");
  `);
  assert.equal(code, 70);
  assert.equal(stdout, "");
  assert.match(stderr, /Cannot return to the host's network namespace: .*setns .*EBADF/);
});

Deno.test("a process's namespace is opened by its pid", sanitized, () => {
  using namespace = openNamespaceOfPid(Deno.pid);
  assert.deepEqual(namespace.identity, here());
});

Deno.test("a pid that is nobody's is named", () => {
  assert.throws(
    () => openNamespaceOfPid(2 ** 22 + 1),
    (error) =>
      error instanceof SyscallError && error.errnoName === "ESRCH" &&
      error.path === "/proc/4194305/ns/net",
  );
});

Deno.test(
  "what is not a network namespace is refused without being opened",
  sanitized,
  async (t) => {
    const directory = Deno.makeTempDirSync({ prefix: "sys-test-" });
    try {
      const file = `${directory}/file`;
      Deno.writeTextFileSync(file, "");
      // Opening a pipe to read would wait for a writer, for ever.
      const pipe = `${directory}/pipe`;
      await new Deno.Command("mkfifo", { args: [pipe] }).output();
      // Opening a socket is an error of another kind.
      const socket = `${directory}/socket`;
      using _listener = Deno.listen({ transport: "unix", path: socket });
      for (const path of [file, pipe, socket, directory, "/dev/null", "/proc/self/ns/mnt"]) {
        await t.step(path.startsWith(directory) ? path.slice(directory.length) : path, () => {
          assert.throws(
            () => openNamespace(path),
            (error) => error instanceof SyscallError && error.errnoName === "EINVAL",
          );
        });
      }
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
);

Deno.test("a sysctl is the namespace's own, not the host's", sanitized, () => {
  const name = "net/ipv4/conf/lo/rp_filter";
  using host = openCurrentNamespace();
  using one = makeNamespace();
  using two = makeNamespace();
  const before = readSysctl(host, name);
  writeSysctl(one, name, "1");
  writeSysctl(two, name, "2");
  assert.equal(readSysctl(one, name), "1");
  assert.equal(readSysctl(two, name), "2");
  assert.equal(readSysctl(host, name), before);
});

Deno.test("a sysctl that cannot be is refused", sanitized, () => {
  using host = openCurrentNamespace();
  assert.throws(() => readSysctl(host, "net/ipv4/no_such"), /open .*no_such failed: .*\(ENOENT\)/);
  for (const name of ["kernel/hostname", "net/../kernel/hostname", "net.ipv4.ip_forward"]) {
    assert.throws(() => readSysctl(host, name), TypeError);
  }
});
