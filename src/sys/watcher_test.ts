import assert from "node:assert/strict";
import { inNewNamespace, openCurrentNamespace } from "./namespace.ts";
import { openNetlinkSocket } from "./netlink_socket.ts";
import type { NotificationListener } from "./notification_socket.ts";
import { assignNsid, readHeader, setLoopback } from "./test_messages.ts";
import { Watcher } from "./watcher.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const RTNLGRP_LINK = 1;
const RTM_NEWLINK = 16;

/** Notes what comes, and lets a test wait for it. */
class Recorder implements NotificationListener {
  readonly nsids: (number | null)[] = [];
  #waiting: (() => void)[] = [];

  onDatagram(datagram: Uint8Array, nsid: number | null): void {
    assert.equal(readHeader(datagram).type, RTM_NEWLINK);
    this.nsids.push(nsid);
    this.#wake();
  }

  onOverrun(): void {
    assert.fail("nothing was lost");
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

Deno.test("notifications of one namespace arrive, of another do not", sanitized, async () => {
  using one = inNewNamespace(openCurrentNamespace);
  using two = inNewNamespace(openCurrentNamespace);
  using inOne = openNetlinkSocket({ family: "route", namespace: one });
  using inTwo = openNetlinkSocket({ family: "route", namespace: two });
  await using watcher = new Watcher();
  const recorder = new Recorder();
  const options = { family: "route", groups: [RTNLGRP_LINK], namespaces: "own" } as const;
  watcher.subscribe({ ...options, namespace: one }, recorder);
  inTwo.send(setLoopback("up", 0));
  inOne.send(setLoopback("up", 0));
  await recorder.until(() => recorder.nsids.length === 1);
  assert.deepEqual(recorder.nsids, [null]);
});

Deno.test(
  "one socket hears all namespaces that have an nsid, and tells which",
  sanitized,
  async () => {
    using host = inNewNamespace(openCurrentNamespace);
    using known = inNewNamespace(openCurrentNamespace);
    using unknown = inNewNamespace(openCurrentNamespace);
    using inHost = openNetlinkSocket({ family: "route", namespace: host });
    using inKnown = openNetlinkSocket({ family: "route", namespace: known });
    using inUnknown = openNetlinkSocket({ family: "route", namespace: unknown });
    inHost.send(assignNsid(known.fd, 42));
    await using watcher = new Watcher();
    const recorder = new Recorder();
    watcher.subscribe(
      { family: "route", namespace: host, groups: [RTNLGRP_LINK], namespaces: "all" },
      recorder,
    );
    inUnknown.send(setLoopback("up", 0));
    inKnown.send(setLoopback("up", 0));
    inHost.send(setLoopback("up", 0));
    await recorder.until(() => recorder.nsids.length === 2);
    assert.deepEqual(recorder.nsids, [42, null]);
  },
);

Deno.test("lost notifications are reported, and those after them arrive", sanitized, async () => {
  using namespace = inNewNamespace(openCurrentNamespace);
  using socket = openNetlinkSocket({ family: "route", namespace });
  await using watcher = new Watcher();
  const floodLength = 16_000;
  let received = 0;
  let overruns = 0;
  await new Promise<void>((resolve) => {
    watcher.subscribe({ family: "route", namespace, groups: [RTNLGRP_LINK], namespaces: "own" }, {
      onOverrun: () => overruns++,
      // Each that arrives brings one more: so the flood's own cannot be all that is counted.
      onDatagram: () => {
        received++;
        if (received > floodLength) resolve();
        else socket.send(setLoopback(received % 2 === 0 ? "up" : "down", 0));
      },
    });
    // All of it in one turn of the event loop, so nothing is read meanwhile.
    const flood = new Uint8Array(32 * floodLength);
    for (let index = 0; index < floodLength; index++) {
      flood.set(setLoopback(index % 2 === 0 ? "up" : "down", 0), 32 * index);
    }
    socket.send(flood);
  });
  assert(overruns > 0);
});

Deno.test(
  "a cancelled subscription is silent, also from within its own callback",
  sanitized,
  async () => {
    using namespace = inNewNamespace(openCurrentNamespace);
    using socket = openNetlinkSocket({ family: "route", namespace });
    await using watcher = new Watcher();
    const options = {
      family: "route",
      namespace,
      groups: [RTNLGRP_LINK],
      namespaces: "own",
    } as const;
    let heard = 0;
    const cancel = watcher.subscribe(options, {
      onDatagram: () => {
        heard++;
        cancel();
      },
      onOverrun: () => assert.fail("nothing was lost"),
    });
    const recorder = new Recorder();
    watcher.subscribe(options, recorder);
    for (const state of ["up", "down", "up"] as const) socket.send(setLoopback(state, 0));
    await recorder.until(() => recorder.nsids.length >= 3);
    assert.equal(heard, 1);
  },
);

Deno.test("the end of a process is an event, once", sanitized, async () => {
  const start = () => new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  const children = [start(), start()];
  const ended: number[] = [];
  await using watcher = new Watcher();
  // It is polled with the others, and still runs.
  watcher.watchProcess(Deno.pid, () => assert.fail("this process runs"));
  const ends = children.map(({ pid }, index) =>
    new Promise<void>((resolve) =>
      watcher.watchProcess(pid, () => {
        ended.push(index);
        resolve();
      })
    )
  );
  for (const [index, child] of children.entries()) {
    child.kill("SIGKILL");
    await ends[index];
    await child.stdin.close().catch(() => {});
    await child.status;
  }
  // The second end came by another poll, which would have told the first one again.
  assert.deepEqual(ended, [0, 1]);
});

Deno.test("a process that has ended before is refused", sanitized, async () => {
  await using watcher = new Watcher();
  assert.throws(
    () => watcher.watchProcess(2 ** 22 + 1, () => {}),
    /pidfd_open process 4194305 failed: .*\((ESRCH|EINVAL)\)/,
  );
});

Deno.test("a watcher closes in any state, twice, and takes no more", sanitized, async () => {
  const idle = new Watcher();
  await idle.close();
  const busy = new Watcher();
  const cancel = busy.watchProcess(Deno.pid, () => {});
  await busy.close();
  await busy.close();
  cancel();
  assert.throws(() => busy.watchProcess(Deno.pid, () => {}), /closed/);
});

Deno.test("nothing stays open", async () => {
  const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const round = async () => {
    using namespace = inNewNamespace(openCurrentNamespace);
    await using watcher = new Watcher();
    const options = { family: "route", namespace, groups: [RTNLGRP_LINK] } as const;
    watcher.subscribe({ ...options, namespaces: "own" }, new Recorder());
    watcher.subscribe({ ...options, namespaces: "all" }, new Recorder())();
    watcher.watchProcess(Deno.pid, () => {});
    watcher.watchProcess(Deno.pid, () => {})();
  };
  await round();
  const before = count();
  for (let index = 0; index < 5; index++) await round();
  assert.equal(count(), before);
});
