import assert from "node:assert/strict";
import { dumpNamespaceIds, getNamespaceId, setNamespaceId } from "../../../src/netlink/mod.ts";
import { replayDump, replayQuery, testRequests } from "./golden.ts";

// The descriptors are those that iproute2 happened to get.
testRequests("namespaces", [
  { command: "ip netns set golden-three 70", request: setNamespaceId({ fd: 6 }, 70) },
  {
    command: "ip netns set golden-two 71",
    request: setNamespaceId({ fd: 6 }, 71),
    // It got an id of itself when a link was made in it.
    refused: {
      code: "EEXIST",
      message: /kernel: Peer netns already has a nsid assigned, attribute 3 at byte 20/,
    },
  },
]);

Deno.test("golden: ip netns list", () => {
  const id = replayQuery("namespaces", "ip netns list", getNamespaceId({ fd: 6 }));
  assert.ok(id === null || id >= 0);
});

Deno.test("golden: ip netns list-id", () => {
  const ids = replayDump("namespaces", "ip netns list-id", dumpNamespaceIds());
  assert.deepEqual(ids.toSorted((left, right) => left - right), [0, 70]);
});
