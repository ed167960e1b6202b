import assert from "node:assert/strict";
import { IpAddress } from "../../base/mod.ts";
import { Journal } from "../../esp/mod.ts";
import type { Desired } from "../desired.ts";
import { blockKey, peerKey, type PictureSa, saKey } from "./picture.ts";
import {
  bootKeyOf,
  HOST,
  idOf,
  networkOf,
  NOTHING,
  peerOf,
  retainedOf,
  SimulatedIpsec,
} from "./testing_ipsec.ts";

const ONE = IpAddress.parse("192.0.2.1");
const TWO = IpAddress.parse("192.0.2.2");
const PAIR = { source: ONE, destination: TWO, port: 20_001 };

/** Host 1 of a network of two, as it should be. */
function shop(epochs: readonly number[] = [1]): SimulatedIpsec {
  const kernel = new SimulatedIpsec();
  kernel.reconcile(networkOf(epochs, [peerOf(2, { receives: epochs })]));
  return kernel;
}

const SHOP = networkOf([1], [peerOf(2)]);

function outboundSa(changes: Partial<PictureSa> = {}): PictureSa {
  const place = { source: ONE, destination: TWO, spi: 0x20010001, slot: 1, port: 20_001 };
  return { ...place, larval: false, nearEnd: false, ...changes };
}

interface Case {
  readonly name: string;
  readonly before?: SimulatedIpsec;
  /** What somebody did. */
  readonly broken?: (kernel: SimulatedIpsec) => void;
  readonly desired: Desired;
  readonly portsInUse?: readonly number[];
  readonly plan: string;
  readonly status?: string;
}

const CASES: readonly Case[] = [
  {
    name: "up: blocks, then SAs, then peers' policies",
    before: new SimulatedIpsec(),
    desired: SHOP,
    plan: `xfrm policy update dir out proto udp dport 20001 action block
xfrm policy update dir in proto udp dport 20001 action block
xfrm policy update dir out proto udp sport 20001 action block
xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x20010002 epoch 1
xfrm policy update dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001 tmpl proto esp reqid 0x41470001
xfrm policy update dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001 tmpl proto esp spi 0x20010001 reqid 0x41470001
`,
    status: "installed 1 up to 2, sending 1, wants after null",
  },
  {
    name: "nobody else is on the network yet",
    before: new SimulatedIpsec(),
    desired: networkOf([1], []),
    plan: `xfrm policy update dir out proto udp dport 20001 action block
xfrm policy update dir in proto udp dport 20001 action block
xfrm policy update dir out proto udp sport 20001 action block
`,
    status: "installed 1 up to 0, sending null, wants after null",
  },
  {
    name: "as it should be",
    desired: SHOP,
    plan: "",
    status: "installed 1 up to 2, sending 1, wants after null",
  },
  {
    name: "a peer more: nothing of the others is touched",
    desired: networkOf([1], [peerOf(2), peerOf(3)]),
    plan: `xfrm state add src 192.0.2.1 dst 192.0.2.3 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.3 dst 192.0.2.1 spi 0x20010003 epoch 1
xfrm policy update dir in src 192.0.2.3 dst 192.0.2.1 proto udp port 20001 tmpl proto esp reqid 0x41470001
xfrm policy update dir out src 192.0.2.1 dst 192.0.2.3 proto udp port 20001 tmpl proto esp spi 0x20010001 reqid 0x41470001
`,
  },
  {
    name: "a peer that has not told yet that it receives is not sent to",
    desired: networkOf([1], [peerOf(2), peerOf(3, { receives: [] })]),
    plan: `xfrm state add src 192.0.2.1 dst 192.0.2.3 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.3 dst 192.0.2.1 spi 0x20010003 epoch 1
xfrm policy update dir in src 192.0.2.3 dst 192.0.2.1 proto udp port 20001 tmpl proto esp reqid 0x41470001
`,
    status: "installed 1 up to 3, sending 1, wants after null",
  },
  {
    name: "a peer without a boot key has no SAs, and holds nothing up",
    desired: networkOf([1], [peerOf(2), peerOf(3, { bootKey: null })]),
    plan: "",
    status: "installed 1 up to 3, sending 1, wants after null",
  },
  {
    name: "a new epoch: both SAs, and no move before the peer has told",
    desired: networkOf([2, 1], [peerOf(2, { receives: [1] })]),
    plan: `xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x40010001 epoch 2
xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x40010002 epoch 2
`,
    status: "installed 1,2 up to 2, sending 1, wants after null",
  },
  {
    name: "the peer has told: one policy moves",
    before: shop([2, 1]),
    broken: (kernel) => void kernel.reconcile(networkOf([2, 1], [peerOf(2, { receives: [1] })])),
    desired: networkOf([2, 1], [peerOf(2, { receives: [1, 2] })]),
    plan:
      `xfrm policy update dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001 tmpl proto esp spi 0x40010001 reqid 0x41470001
`,
    status: "installed 1,2 up to 2, sending 2, wants after null",
  },
  {
    name: "nobody can say what the peer receives: it goes on as before",
    before: shop([2, 1]),
    desired: networkOf([3, 2, 1], [peerOf(2, { receives: null })]),
    plan: `xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x60010001 epoch 3
xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x60010002 epoch 3
`,
    status: "installed 1,2,3 up to 2, sending 2, wants after null",
  },
  {
    name: "nobody can say what a new peer receives: it is not sent to",
    desired: networkOf([1], [peerOf(2), peerOf(3, { receives: null })]),
    plan: `xfrm state add src 192.0.2.1 dst 192.0.2.3 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.3 dst 192.0.2.1 spi 0x20010003 epoch 1
xfrm policy update dir in src 192.0.2.3 dst 192.0.2.1 proto udp port 20001 tmpl proto esp reqid 0x41470001
`,
  },
  {
    name: "an epoch has retired: the policy has moved before, its SAs go",
    before: shop([2, 1]),
    desired: networkOf([2], [peerOf(2, { receives: [2] })]),
    plan: `xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
`,
  },
  {
    name: "a peer has left: its policies go, its SAs stay",
    desired: networkOf([1], [peerOf(2, { state: "left" })]),
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
`,
    status: "installed 1 up to 2, sending null, wants after null",
  },
  {
    name: "a peer is gone: its policies go, then its SAs",
    desired: networkOf([1], []),
    plan: `xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
`,
  },
  {
    name: "a peer that left is not given new SAs",
    desired: networkOf([2, 1], [peerOf(2, { state: "left" })]),
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
`,
  },
  {
    name: "this host has left: SAs and blocks stay",
    desired: retainedOf([1], [peerOf(2)]),
    plan: `xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
`,
    status: "installed 1 up to 0, sending null, wants after null",
  },
  {
    name: "and comes back: the very same SAs",
    broken: (kernel) => void kernel.reconcile(retainedOf([1], [peerOf(2)])),
    desired: SHOP,
    plan:
      `xfrm policy update dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001 tmpl proto esp reqid 0x41470001
xfrm policy update dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001 tmpl proto esp spi 0x20010001 reqid 0x41470001
`,
  },
  {
    name: "what was left has retired: SAs, then the blocks",
    broken: (kernel) => void kernel.reconcile(retainedOf([1], [peerOf(2)])),
    desired: retainedOf([2], [peerOf(2)]),
    plan: `xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
xfrm policy delete dir out proto udp dport 20001
xfrm policy delete dir in proto udp dport 20001
xfrm policy delete dir out proto udp sport 20001
`,
  },
  {
    name: "nobody lists it any more",
    desired: NOTHING,
    plan: `xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
xfrm policy delete dir out proto udp dport 20001
xfrm policy delete dir in proto udp dport 20001
xfrm policy delete dir out proto udp sport 20001
`,
  },
  {
    name: "the blocks stay while the VXLAN device is there",
    desired: NOTHING,
    portsInUse: [20_001],
    plan: `xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
`,
  },
  {
    name: "an SA is gone: its key was used, so the pair is closed",
    broken: ({ picture }) => picture.removeSa(1, outboundSa()),
    desired: SHOP,
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
`,
    status: "installed 1 up to 2, sending null, wants after 1",
  },
  {
    name: "a larval SA stands where one is gone: no difference",
    broken: ({ picture }) => picture.setSa(outboundSa({ larval: true, port: null })),
    desired: SHOP,
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
`,
    status: "installed 1 up to 2, sending null, wants after 1",
  },
  {
    name: "a larval SA is in the way of a new one: it is filled",
    before: new SimulatedIpsec(),
    broken: ({ picture }) => picture.setSa(outboundSa({ larval: true, port: null })),
    desired: SHOP,
    plan: `xfrm policy update dir out proto udp dport 20001 action block
xfrm policy update dir in proto udp dport 20001 action block
xfrm policy update dir out proto udp sport 20001 action block
xfrm state update src 192.0.2.1 dst 192.0.2.2 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x20010002 epoch 1
xfrm policy update dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001 tmpl proto esp reqid 0x41470001
xfrm policy update dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001 tmpl proto esp spi 0x20010001 reqid 0x41470001
`,
  },
  {
    name: "another SA in the place of ours: it goes, and the pair is closed",
    broken: ({ picture }) => picture.setSa(outboundSa({ port: null })),
    desired: SHOP,
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
`,
    status: "installed 1 up to 2, sending null, wants after 1",
  },
  {
    name: "the peer has another boot key: closed first, then its SAs are replaced",
    desired: networkOf([1], [
      peerOf(2, { bootKey: bootKeyOf(99), receives: [] }),
    ]),
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x20010002 epoch 1
`,
  },
  {
    name: "the peer has another address: no SA of the old one is of use",
    desired: networkOf([1], [peerOf(2, { vtepAddress: "192.0.2.77" })]),
    plan: `xfrm state delete src 192.0.2.2 dst 192.0.2.1 spi 0x20010002
xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
`,
    status: "installed 1 up to 2, sending null, wants after 1",
  },
  {
    name: "the journal is gone: nothing that is there is trusted, nor made",
    broken: (kernel) => {
      kernel.journal = new Journal();
      kernel.mayInstall = false;
    },
    desired: SHOP,
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm policy delete dir in src 192.0.2.2 dst 192.0.2.1 proto udp port 20001
`,
    status: "installed 1 up to 1, sending null, wants after null",
  },
  {
    name: "the boot key is not committed yet: what is there goes on, what is not has to wait",
    broken: (kernel) => void (kernel.mayInstall = false),
    desired: networkOf([1], [peerOf(2), peerOf(3)]),
    plan: "",
    status: "installed 1 up to 2, sending 1, wants after null",
  },
  {
    name: "a new epoch that cannot be installed yet does not take the old one away",
    broken: (kernel) => void (kernel.mayInstall = false),
    desired: networkOf([2, 1], [peerOf(2)]),
    plan: "",
    status: "installed 1 up to 2, sending 1, wants after null",
  },
  {
    name: "an SA near its end: a newer epoch is asked for, and it goes on meanwhile",
    broken: ({ picture }) => picture.setSa(outboundSa({ nearEnd: true })),
    desired: SHOP,
    plan: "",
    status: "installed 1 up to 2, sending 1, wants after 1",
  },
  {
    name: "a block that was changed",
    broken: ({ picture }) =>
      picture.setPolicy({
        kind: "block",
        slot: 1,
        right: false,
        place: { family: 4, port: 20_001, direction: "out", end: "to" },
      }),
    desired: SHOP,
    plan: `xfrm policy update dir out proto udp dport 20001 action block
`,
  },
  {
    name: "a peer's policy that was changed is closed, and made anew",
    broken: ({ picture }) =>
      picture.setPolicy({
        kind: "peer",
        slot: null,
        right: false,
        place: { ...PAIR, direction: "out", spi: null },
      }),
    desired: SHOP,
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm policy update dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001 tmpl proto esp spi 0x20010001 reqid 0x41470001
`,
  },
  {
    name: "policies of others at the port stay, and a stray one of ours goes",
    broken: ({ picture }) => {
      const foreign = { kind: "peer", slot: null, right: false } as const;
      const elsewhere = { ...PAIR, destination: IpAddress.parse("192.0.2.9") };
      picture.setPolicy({ ...foreign, place: { ...elsewhere, direction: "out", spi: null } });
      picture.setPolicy({
        kind: "stray",
        slot: 1,
        right: false,
        place: { direction: "fwd", index: 1234 },
      });
    },
    desired: SHOP,
    plan: `xfrm policy delete dir fwd index 1234
`,
  },
  {
    name: "an SA with our reqid that is nobody's",
    broken: ({ picture }) => picture.setSa(outboundSa({ spi: 0x123 })),
    desired: SHOP,
    plan: `xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x00000123
`,
  },
  {
    name: "a host that has joined anew at the same address takes its place",
    desired: networkOf([1], [
      peerOf(2, { state: "left" }),
      peerOf(5, { vtepAddress: "192.0.2.2", receives: [] }),
    ]),
    plan: `xfrm policy delete dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001
xfrm state delete src 192.0.2.1 dst 192.0.2.2 spi 0x20010001
xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x20010001 epoch 1
xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x20010005 epoch 1
`,
  },
];

for (const { name, before = shop(), broken, desired, portsInUse, plan, status } of CASES) {
  Deno.test(`IPsec plan: ${name}`, () => {
    broken?.(before);
    assert.equal(before.reconcile(desired, portsInUse), plan);
    if (status !== undefined) assert.equal(before.status(), status);
    assert.equal(before.reconcile(desired, portsInUse), "", "and then nothing");
  });
}

Deno.test("IPsec plan: what the kernel has refused is tried again, and not recorded as lost", () => {
  const kernel = new SimulatedIpsec();
  const refused = "xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x20010001 epoch 1";
  kernel.refuses.add(refused);
  assert.match(kernel.reconcile(SHOP), new RegExp(refused));
  assert.equal(kernel.status(), "installed 1 up to 2, sending null, wants after null");
  kernel.refuses.clear();
  assert.equal(
    kernel.reconcile(SHOP),
    `${refused}
xfrm policy update dir out src 192.0.2.1 dst 192.0.2.2 proto udp port 20001 tmpl proto esp spi 0x20010001 reqid 0x41470001
`,
  );
});

Deno.test("IPsec plan: at no step does a policy lead to an SA that is not there", () => {
  const kernel = new SimulatedIpsec();
  const steps = [
    SHOP,
    networkOf([2, 1], [peerOf(2)]),
    networkOf([2, 1], [peerOf(2, { receives: [1, 2] })]),
    networkOf([2], [peerOf(2, { receives: [2] })]),
    networkOf([8, 2], [peerOf(2, { receives: [2, 8] })]),
    networkOf([9, 8], [peerOf(2, { receives: [8, 9] }), peerOf(3, { receives: [9] })]),
    networkOf([9], [peerOf(3, { receives: [9] })]),
    retainedOf([9], [peerOf(3)]),
    NOTHING,
  ];
  for (const desired of steps) {
    kernel.reconcile(desired);
    const { picture } = kernel;
    const policy = picture.policies(20_001).get(peerKey({ ...PAIR, direction: "out" }));
    if (policy?.kind !== "peer") continue;
    const spi = policy.place.spi ?? 0;
    assert.ok(picture.sas(1).has(saKey({ destination: TWO, spi })));
    assert.ok(
      picture.policies(20_001).has(
        blockKey({ family: 4, port: 20_001, direction: "out", end: "to" }),
      ),
    );
  }
  assert.ok(kernel.picture.isEmpty);
});

Deno.test("IPsec plan: another boot key of this host replaces every SA", () => {
  const kernel = shop();
  kernel.journal = new Journal();
  const host = { ...HOST, bootPublicKey: new Uint8Array(32).fill(77) };
  const plan = kernel.reconcile({ ...networkOf([1], [peerOf(2, { receives: [] })]), host });
  assert.equal(plan.match(/state delete/g)?.length, 2);
  assert.equal(plan.match(/state add/g)?.length, 2);
  assert.match(plan, /^xfrm policy delete dir out/);
  assert.equal(idOf(1), host.nodeId);
});
