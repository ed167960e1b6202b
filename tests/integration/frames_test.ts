// needs: root netns
import assert from "node:assert/strict";
import { Connection, createLink, deleteLink, setLink } from "../../src/netlink/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  type FrameChannel,
  openNetlinkSocket,
  SyscallError,
  Watcher,
} from "../../src/sys/mod.ts";

const [NEAR, FAR, BRIDGE] = [10, 11, 12];
const ETHER_TYPE = 0x88b5;

/** To an address of nobody: a bridge lets it go nowhere. */
function frameOf(text: string, etherType = ETHER_TYPE): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(64);
  frame.set([6, 0x41, 0x47, 0x50, 0, 2, 6, 0x41, 0x47, 0x50, 0, 1]);
  new DataView(frame.buffer).setUint16(12, etherType);
  frame.set(new TextEncoder().encode(text), 14);
  return frame;
}

Deno.test(
  "frames of one type are heard before the bridge, and no others",
  { sanitizeOps: true, sanitizeResources: true },
  async () => {
    const name = `frames-test-${Deno.pid}`;
    using namespace = createNamedNamespace(name, () => {});
    const connection = new Connection(openNetlinkSocket({ family: "route", namespace }));
    await using watcher = new Watcher();
    try {
      connection.request(createLink({
        name: "near0",
        index: NEAR,
        kind: { kind: "veth", peer: { name: "far0", index: FAR } },
      }));
      connection.request(createLink({ name: "bridge0", index: BRIDGE, kind: { kind: "bridge" } }));
      for (const index of [NEAR, FAR, BRIDGE]) connection.request(setLink(index, { up: true }));
      connection.request(setLink(FAR, { master: BRIDGE }));
      const heard: string[] = [];
      let wake = () => {};
      const open = (interfaceIndex: number, place: string): FrameChannel =>
        watcher.openFrames({ namespace, interfaceIndex, etherType: ETHER_TYPE }, {
          onFrame: (frame) => {
            const text = new TextDecoder().decode(frame.subarray(14)).replaceAll("\0", "");
            heard.push(`${place}: ${text}`);
            wake();
          },
          onLost: () => {
            heard.push(`${place} is lost`);
            wake();
          },
        });
      const until = async (count: number) => {
        while (heard.length < count) await new Promise<void>((resolve) => wake = resolve);
      };
      const near = open(NEAR, "near");
      const far = open(FAR, "far");
      near.send(frameOf("another type", 0x88b6));
      near.send(frameOf("one"));
      near.send(frameOf("another type", 0x0800));
      near.send(frameOf("two"));
      await until(2);
      // What the bridge's port sends is heard at the other end, and not where it was sent.
      far.send(frameOf("three"));
      await until(3);
      assert.deepEqual(heard, ["far: one", "far: two", "near: three"]);
      near.close();
      near.close();
      assert.throws(() => near.send(frameOf("closed")), TypeError);
      connection.request(deleteLink(NEAR));
      await until(4);
      assert.equal(heard[3], "far is lost");
      assert.throws(() => open(NEAR, "gone"), SyscallError);
    } finally {
      connection.close();
      deleteNamedNamespace(name);
    }
  },
);
