import assert from "node:assert/strict";
import { SyscallError } from "./errors.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  listNamedNamespaces,
  namedNamespacePath,
} from "./named_namespace.ts";
import { openCurrentNamespace, openNamespace, readSysctl, sameNamespace } from "./namespace.ts";
import { runScript, spawnScript } from "./test_script.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const NAME = `sys-test-${Deno.pid}`;

Deno.test("a named namespace is made, listed, opened and deleted", sanitized, () => {
  try {
    using made = createNamedNamespace(NAME);
    using here = openCurrentNamespace();
    assert(!sameNamespace(made.identity, here.identity));
    assert(listNamedNamespaces().includes(NAME));
    using opened = openNamespace(namedNamespacePath(NAME));
    assert.deepEqual(opened.identity, made.identity);
  } finally {
    deleteNamedNamespace(NAME);
  }
  assert(!listNamedNamespaces().includes(NAME));
  assert.throws(() => Deno.statSync(namedNamespacePath(NAME)), Deno.errors.NotFound);
});

Deno.test("ip netns knows it", async () => {
  try {
    createNamedNamespace(NAME).close();
    const { stdout } = await new Deno.Command("ip", { args: ["netns", "list"] }).output();
    const names = new TextDecoder().decode(stdout).split("\n").map((line) => line.split(" ")[0]);
    assert(names.includes(NAME));
    const deleted = await new Deno.Command("ip", { args: ["netns", "del", NAME] }).output();
    assert.equal(deleted.code, 0);
    assert(!listNamedNamespaces().includes(NAME));
  } finally {
    deleteNamedNamespace(NAME);
  }
});

Deno.test("the directory is a shared mount, so a deleted name goes everywhere", () => {
  try {
    createNamedNamespace(NAME).close();
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
    assert(mounts.some((line) => / \/run\/netns .* shared:/.test(line)));
  } finally {
    deleteNamedNamespace(NAME);
  }
});

Deno.test("a name that is taken is refused, and what has it stays", sanitized, () => {
  try {
    using made = createNamedNamespace(NAME);
    assert.throws(
      () => createNamedNamespace(NAME),
      (error) => error instanceof SyscallError && error.errnoName === "EEXIST",
    );
    using still = openNamespace(namedNamespacePath(NAME));
    assert.deepEqual(still.identity, made.identity);
  } finally {
    deleteNamedNamespace(NAME);
  }
});

Deno.test("deleting what is gone, or what is only a leftover file, is no error", sanitized, () => {
  deleteNamedNamespace(NAME);
  Deno.writeTextFileSync(namedNamespacePath(NAME), "");
  assert(!listNamedNamespaces().includes(NAME));
  deleteNamedNamespace(NAME);
  assert.throws(() => Deno.statSync(namedNamespacePath(NAME)), Deno.errors.NotFound);
});

Deno.test("a name is a file name", () => {
  for (const name of ["", ".", "..", "a/b", "a\0b"]) {
    assert.throws(() => createNamedNamespace(name), TypeError);
  }
});

Deno.test("a leftover file is taken over; a file with something in it is not", sanitized, () => {
  const path = namedNamespacePath(NAME);
  try {
    createNamedNamespace(NAME).close();
    deleteNamedNamespace(NAME);
    Deno.writeTextFileSync(path, "");
    createNamedNamespace(NAME).close();
    assert(listNamedNamespaces().includes(NAME));
    deleteNamedNamespace(NAME);
    Deno.writeTextFileSync(path, "mine");
    assert.throws(
      () => createNamedNamespace(NAME),
      (error) => error instanceof SyscallError && error.errnoName === "EEXIST",
    );
    assert.equal(Deno.readTextFileSync(path), "mine");
  } finally {
    deleteNamedNamespace(NAME);
  }
});

Deno.test("what cannot be prepared gets no name", sanitized, () => {
  const refuse = () => {
    throw new Error("not today");
  };
  assert.throws(() => createNamedNamespace(NAME, refuse), /not today/);
  assert.throws(() => Deno.lstatSync(namedNamespacePath(NAME)), Deno.errors.NotFound);
});

/** Makes the namespace, with a mark in it, and does `inside` when it is marked. */
const marking = (inside: string) => `
  sys.createNamedNamespace(${JSON.stringify(NAME)}, (namespace) => {
    sys.writeSysctl(namespace, "net/ipv4/ip_default_ttl", "77");
    ${inside}
  }).close();
`;
/** Each is killed by the kernel, on its way into that system call. */
const KILLED_AT = ["unshare:1", "setns:1", "setns:2", "setns:3", "mount:1", "mount:2"];

for (const point of [...KILLED_AT, "prepared"]) {
  Deno.test(`killed at ${point}: no namespace, or a marked one, and the name can be had`, async () => {
    const [call, when] = point.split(":");
    // The directory is a shared mount already, so that mount:1 is its check and mount:2 the name.
    createNamedNamespace(`${NAME}-before`).close();
    deleteNamedNamespace(`${NAME}-before`);
    try {
      if (when === undefined) {
        const { signal } = await runScript(marking('Deno.kill(Deno.pid, "SIGKILL");'));
        assert.equal(signal, "SIGKILL");
      } else {
        const inject = `inject=${call}:signal=SIGKILL:when=${when}`;
        const strace = ["-f", "-q", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
        const child = spawnScript(marking(""), {}, ["strace", ...strace]);
        const { signal } = await child.output();
        assert.equal(signal, "SIGKILL", "it came to that call");
      }
      assert(!listNamedNamespaces().includes(NAME));
      createNamedNamespace(NAME).close();
      assert(listNamedNamespaces().includes(NAME));
    } finally {
      deleteNamedNamespace(NAME);
    }
  });
}

Deno.test("what has a name is prepared", async () => {
  try {
    assert.equal((await runScript(marking(""))).code, 0);
    using named = openNamespace(namedNamespacePath(NAME));
    assert.equal(readSysctl(named, "net/ipv4/ip_default_ttl"), "77");
  } finally {
    deleteNamedNamespace(NAME);
  }
});
