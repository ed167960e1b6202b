import assert from "node:assert/strict";
import { IpAddress } from "../../base/mod.ts";
import { createLink, deleteLink, deleteLinkGroup, getLink, renameLink, setLink } from "./link.ts";
import type { Vxlan } from "./vxlan.ts";

function vxlan(options: Partial<Vxlan>): () => unknown {
  return () => createLink({ name: "vxlan0", kind: { kind: "vxlan", vni: 1, ...options } });
}

Deno.test("what the kernel could not take is refused by name", () => {
  const bridge = { kind: "bridge" } as const;
  const v4 = IpAddress.parse("192.0.2.1");
  const v6 = IpAddress.parse("2001:db8::1");
  const cases: readonly [() => unknown, RegExp][] = [
    [() => createLink({ name: "", kind: bridge }), /link name: "" is not 1\.\.15 bytes/],
    [() => createLink({ name: "sixteen-letters!", kind: bridge }), /link name/],
    [() => createLink({ name: "ÄÖÜÄÖÜÄÖ", kind: bridge }), /link name/],
    [() => createLink({ name: "a/b", kind: bridge }), /link name/],
    [() => createLink({ name: "a b", kind: bridge }), /link name/],
    [() => createLink({ name: "a:b", kind: bridge }), /link name/],
    [() => createLink({ name: "..", kind: bridge }), /link name/],
    [() => createLink({ name: "a", index: 0, kind: bridge }), /ifindex: 0 is not in/],
    [() => createLink({ name: "a", kind: { ...bridge, vlanDefaultPvid: 4095 } }), /VLAN id: 4095/],
    [() => createLink({ name: "a", kind: { kind: "veth", peer: { name: "" } } }), /link name/],
    [vxlan({ vni: 0 }), /VNI: 0 is not in 1\.\.16777215/],
    [vxlan({ vni: 0x1000000 }), /VNI: 16777216 is not in 1\.\.16777215/],
    [vxlan({ port: 0 }), /UDP port: 0/],
    [vxlan({ port: 65536 }), /UDP port: 65536/],
    // The kernel takes equal ends for "the default range": any port at all.
    [vxlan({ sourcePorts: { low: 20001, high: 20001 } }), /end of source ports: 20001/],
    [vxlan({ local: v4, remote: v6 }), /different families/],
    [() => setLink(1, { alias: "a".repeat(256) }), /length of alias: 256/],
    [() => setLink("", { up: true }), /link name/],
    [() => renameLink(0, "a"), /ifindex/],
    [() => renameLink(1, "a/b"), /link name/],
    [() => deleteLinkGroup(0), /link group: 0 is not in 1/],
    [() => deleteLink(-1), /ifindex/],
    [() => getLink("\0"), /link name/],
  ];
  for (const [make, reason] of cases) {
    assert.throws(make, (error) => error instanceof RangeError && reason.test(error.message));
  }
});

Deno.test("errors will name what was asked", () => {
  const kind = { kind: "vxlan", vni: 1 } as const;
  assert.equal(createLink({ name: "v0", kind }).describe(), "create vxlan link v0");
  assert.equal(setLink(7, { up: true }).describe(), "change link with ifindex 7");
  assert.equal(renameLink(7, "eth0").describe(), "rename link with ifindex 7 to eth0");
  assert.equal(deleteLink("v0").describe(), "delete link v0");
});
