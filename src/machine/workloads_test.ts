// needs: root
import assert from "node:assert/strict";
import { HostError } from "../node/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  namespaceCookie,
  Watcher,
} from "../sys/mod.ts";
import { MachineWorkloads } from "./mod.ts";
import { NamedNamespace, Sleeper } from "./testing_namespaces.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

function refusal(code: string, field: string): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof HostError, String(error));
    assert.deepEqual([error.code, error.field], [code, field]);
    return true;
  };
}

/** Resolves when the callback is called. */
function emptied(workloads: MachineWorkloads, workload: ReturnType<MachineWorkloads["locate"]>) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isEmpty = false;
  const cancel = workloads.onEmpty(workload, () => {
    isEmpty = true;
    resolve();
  });
  return {
    promise,
    cancel,
    get isEmpty() {
      return isEmpty;
    },
  };
}

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test(
  "a process stands for its namespace, also when another in it goes on",
  sanitized,
  async () => {
    await using watcher = new Watcher();
    const workloads = new MachineWorkloads(watcher);
    await using first = await Sleeper.start();
    await using second = await Sleeper.start(`/proc/${first.pid}/ns/net`);
    const workload = workloads.locate({ pid: first.pid });
    assert.equal(workload.target.kind === "pid" && workload.target.pid, first.pid);
    assert.deepEqual(workloads.interfaceNames(workload), ["lo"]);
    const end = emptied(workloads, workload);
    await first.end();
    // The process that was named is gone; its namespace is not.
    const namespace = workloads.open(workload.target);
    assert(namespace !== null);
    assert(workload.namespace.endsWith(`/${namespaceCookie(namespace)}`));
    namespace.close();
    assert(!end.isEmpty);
    await second.end();
    await end.promise;
    workloads.release(workload);
    assert.equal(workloads.open(workload.target), null);
  },
);

Deno.test("what was located twice is held until it is released twice", sanitized, async () => {
  await using watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  const before = descriptors();
  await using sleeper = await Sleeper.start();
  const one = workloads.locate({ pid: sleeper.pid });
  const two = workloads.locate({ pid: sleeper.pid });
  assert.deepEqual(two, one);
  workloads.release(two);
  await sleeper.end();
  const namespace = workloads.open(one.target);
  assert(namespace !== null);
  namespace.close();
  workloads.release(one);
  workloads.release(one);
  assert.equal(workloads.open(one.target), null);
  assert.equal(descriptors(), before);
});

Deno.test("a namespace at a path is not kept alive", sanitized, async () => {
  await using watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  using named = new NamedNamespace();
  const before = descriptors();
  const workload = workloads.locate({ netns: named.path });
  assert.deepEqual(workload.target, { kind: "path", path: named.path });
  assert.deepEqual(workloads.interfaceNames(workload), ["lo"]);
  assert.equal(descriptors(), before);
  named.delete();
  assert.equal(workloads.open(workload.target), null);
  assert.deepEqual(workloads.interfaceNames(workload), []);
  workloads.release(workload);
});

Deno.test(
  "a namespace at a path is empty when its last process ends, or it is gone",
  sanitized,
  async () => {
    await using watcher = new Watcher();
    const workloads = new MachineWorkloads(watcher);
    using named = new NamedNamespace();
    const workload = workloads.locate({ netns: named.path });
    await emptied(workloads, workload).promise;
    await using sleeper = await Sleeper.start(named.path);
    const busy = emptied(workloads, workload);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert(!busy.isEmpty);
    await sleeper.end();
    await busy.promise;
    // Another one of that name is not the same workload.
    named.delete();
    named.make();
    await using stranger = await Sleeper.start(named.path);
    await emptied(workloads, workload).promise;
    await stranger.end();
  },
);

Deno.test("a watch that was cancelled says nothing and keeps nothing open", sanitized, async () => {
  await using watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  await using sleeper = await Sleeper.start();
  const before = descriptors();
  const workload = workloads.locate({ pid: sleeper.pid });
  const early = emptied(workloads, workload);
  early.cancel();
  const late = emptied(workloads, workload);
  using other = new NamedNamespace();
  await emptied(workloads, workloads.locate({ netns: other.path })).promise;
  // It has looked by now, and waits for the process.
  late.cancel();
  late.cancel();
  const control = emptied(workloads, workload);
  workloads.release(workload);
  await sleeper.end();
  await control.promise;
  assert(!early.isEmpty && !late.isEmpty);
  assert(descriptors() < before);
});

Deno.test(
  "after a restart a workload is found again, by any process in it",
  sanitized,
  async () => {
    await using watcher = new Watcher();
    await using first = await Sleeper.start();
    await using second = await Sleeper.start(`/proc/${first.pid}/ns/net`);
    const workload = new MachineWorkloads(watcher).locate({ pid: first.pid });
    const fresh = () => new MachineWorkloads(watcher);
    const one = fresh();
    assert.deepEqual(one.adopt(workload), workload);
    one.release(workload);
    await first.end();
    const two = fresh();
    assert.deepEqual(two.adopt(workload), workload);
    two.open(workload.target)?.close();
    two.release(workload);
    await second.end();
    // The first `MachineWorkloads` was never told to let go, so the namespace is still there.
    assert.equal(fresh().adopt(workload), null);
  },
);

Deno.test("of another boot only a path can be waited for", sanitized, async () => {
  await using watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  using named = new NamedNamespace();
  const now = workloads.locate({ netns: named.path });
  const then = { ...now, namespace: `${crypto.randomUUID()}/17` };
  assert.deepEqual(workloads.adopt(then), now);
  named.delete();
  assert.deepEqual(workloads.adopt(then), then);
  assert.equal(workloads.adopt(now), null);
  named.make();
  // In one boot another namespace at the path is another workload.
  assert.equal(workloads.adopt(now), null);
  const process = { kind: "pid", pid: 1, startTicks: 1 } as const;
  assert.equal(workloads.adopt({ ...then, target: process }), null);
});

Deno.test("what is no workload is refused, and the field named", sanitized, async () => {
  await using watcher = new Watcher();
  const workloads = new MachineWorkloads(watcher);
  const before = descriptors();
  const paths = ["/nonsense", "/etc/hostname", "/proc/self/ns/uts", "/dev/null", "/etc/hostname/x"];
  for (const netns of paths) {
    assert.throws(() => workloads.locate({ netns }), refusal("netns-not-found", "/netns"), netns);
  }
  await using sleeper = await Sleeper.start();
  await sleeper.end();
  for (const pid of [sleeper.pid, 2 ** 22, 0]) {
    assert.throws(() => workloads.locate({ pid }), refusal("process-not-found", "/pid"));
  }
  // The host's own namespace, by pid and by path.
  assert.throws(() => workloads.locate({ pid: Deno.pid }), refusal("invalid-value", "/pid"));
  const netns = "/proc/self/ns/net";
  assert.throws(() => workloads.locate({ netns }), refusal("invalid-value", "/netns"));
  const sandbox = `agent-nt-${Deno.pid}`;
  createNamedNamespace(sandbox).close();
  try {
    const netns = `/run/netns/${sandbox}`;
    assert.throws(() => workloads.locate({ netns }), refusal("invalid-value", "/netns"));
  } finally {
    deleteNamedNamespace(sandbox);
  }
  assert.equal(descriptors(), before);
});
