import assert from "node:assert/strict";
import { SyscallError } from "./errors.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  listNamedNamespaces,
  namedNamespacePath,
} from "./named_namespace.ts";
import { openCurrentNamespace, openNamespace, sameNamespace } from "./namespace.ts";

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
