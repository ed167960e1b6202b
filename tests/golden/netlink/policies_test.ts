import assert from "node:assert/strict";
import { Cidr, IpAddress } from "../../../src/base/mod.ts";
import {
  addPolicy,
  countPolicies,
  deletePolicy,
  dumpPolicies,
  flushPolicies,
  formatSpi,
  getPolicy,
  NetlinkError,
  type NewPolicy,
  type Policy,
  type PolicyId,
  replacePolicy,
  type Selector,
} from "../../../src/netlink/mod.ts";
import { type Edit, replayDump, replayQuery, testRequests } from "./golden.ts";

const PORT = 20001;
const REQID = 0x41470001;
const MARK = { value: 7, mask: 255 };

function udp(source: string, destination: string, ports: Partial<Selector>): Selector {
  return {
    source: Cidr.parse(source),
    destination: Cidr.parse(destination),
    protocol: 17,
    sourcePort: null,
    destinationPort: null,
    index: null,
    ...ports,
  };
}

const both = { sourcePort: PORT, destinationPort: PORT };
const pair4 = udp("192.0.2.1/32", "192.0.2.2/32", both);
const pair6 = udp("2001:db8::1/128", "2001:db8::2/128", both);

function block(direction: "in" | "out", selector: Selector): NewPolicy {
  const icmp = direction === "out";
  return { direction, selector, priority: 1000, action: "block", icmp };
}

function outbound(selector: Selector, spi: number): NewPolicy {
  return {
    direction: "out",
    selector,
    priority: 100,
    action: "allow",
    icmp: true,
    templates: [{
      source: selector.source.address,
      destination: selector.destination.address,
      spi,
      reqid: REQID,
      mode: "transport",
    }],
  };
}

const any4 = "src 0.0.0.0/0 dst 0.0.0.0/0 proto udp";
const any6 = "src ::/0 dst ::/0 proto udp";
const sel4 = "src 192.0.2.1/32 dst 192.0.2.2/32 proto udp sport 20001 dport 20001";
const sel6 = "src 2001:db8::1/128 dst 2001:db8::2/128 proto udp sport 20001 dport 20001";
const template = (spi: string, addresses = "src 192.0.2.1 dst 192.0.2.2") =>
  `tmpl ${addresses} proto esp ${spi}mode transport reqid 1095172097 level required`;

/** The kernel looks at no selector where there is an index; iproute2 says AF_INET in it. */
const withoutFamily: Edit = (recorded) => recorded.setUint16(16 + 40, 0, true);

testRequests("policies", [
  {
    command: `ip xfrm policy add ${any4} dport 20001 dir out action block priority 1000 flag icmp`,
    request: addPolicy(block("out", udp("0.0.0.0/0", "0.0.0.0/0", { destinationPort: PORT }))),
  },
  {
    command: `ip xfrm policy add ${any4} sport 20001 dir out action block priority 1000 flag icmp`,
    request: addPolicy(block("out", udp("0.0.0.0/0", "0.0.0.0/0", { sourcePort: PORT }))),
  },
  {
    command: `ip xfrm policy add ${any4} dport 20001 dir in action block priority 1000`,
    request: addPolicy(block("in", udp("0.0.0.0/0", "0.0.0.0/0", { destinationPort: PORT }))),
  },
  {
    command: `ip xfrm policy add ${any6} dport 20001 dir in action block priority 1000`,
    request: addPolicy(block("in", udp("::/0", "::/0", { destinationPort: PORT }))),
  },
  {
    // Recorded twice, so there was one.
    command: `ip xfrm policy add ${sel4} dir out priority 100 flag icmp ` +
      template("spi 0x20010001 "),
    request: addPolicy(outbound(pair4, 0x20010001)),
    refused: {
      code: "EEXIST",
      message: /add out policy for protocol 17 from 192\.0\.2\.1\/32 port 20001 to 192\.0\.2\.2/,
    },
  },
  {
    command: "ip xfrm policy add src 192.0.2.2/32 dst 192.0.2.1/32 proto udp sport 20001 " +
      `dport 20001 dir in priority 100 ${template("", "src 192.0.2.2 dst 192.0.2.1")}`,
    request: addPolicy({
      direction: "in",
      selector: udp("192.0.2.2/32", "192.0.2.1/32", both),
      priority: 100,
      action: "allow",
      templates: [{
        source: IpAddress.parse("192.0.2.2"),
        destination: IpAddress.parse("192.0.2.1"),
        reqid: REQID,
        mode: "transport",
      }],
    }),
  },
  {
    command: `ip xfrm policy add ${sel6} dir out priority 100 flag icmp ` +
      template("spi 0x20010001 ", "src 2001:db8::1 dst 2001:db8::2"),
    request: addPolicy(outbound(pair6, 0x20010001)),
  },
  {
    command: "ip xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir fwd mark 7 mask 255 " +
      "index 4242 action allow priority 7 flag localok limit byte-soft 1000 " +
      "tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode tunnel level use " +
      "tmpl src 192.0.2.1 dst 192.0.2.2 proto esp proto ah mode transport",
    request: addPolicy({
      direction: "fwd",
      selector: udp("10.1.0.0/16", "10.2.0.0/16", { protocol: null }),
      priority: 7,
      action: "allow",
      localOk: true,
      index: 4242,
      mark: MARK,
      lifetimes: { softBytes: 1000n },
      templates: [
        {
          source: IpAddress.parse("0.0.0.0"),
          destination: IpAddress.parse("0.0.0.0"),
          mode: "tunnel",
          optional: true,
        },
        {
          source: IpAddress.parse("192.0.2.1"),
          destination: IpAddress.parse("192.0.2.2"),
          protocol: 51,
          mode: "transport",
        },
      ],
    }),
  },
  {
    command: `ip xfrm policy update ${sel4} dir out priority 100 flag icmp ` +
      template("spi 0x40010001 "),
    request: replacePolicy(outbound(pair4, 0x40010001)),
  },
  {
    // Recorded twice, so the policy was gone.
    command: `ip xfrm policy delete ${sel4} dir out`,
    request: deletePolicy({ direction: "out", selector: pair4 }),
    refused: { code: "ENOENT" },
  },
  {
    command: `ip xfrm policy delete ${any6} dport 20001 dir in`,
    request: deletePolicy({
      direction: "in",
      selector: udp("::/0", "::/0", { destinationPort: PORT }),
    }),
  },
  {
    command: "ip xfrm policy delete dir fwd index 4242 mark 7 mask 255",
    request: deletePolicy({ direction: "fwd", index: 4242, mark: MARK }),
    edit: withoutFamily,
  },
  { command: "ip xfrm policy flush", request: flushPolicies() },
]);

/** A policy as text, to read the tables below at a glance. */
function line(policy: Policy): string {
  const { direction, selector, priority, action, templates } = policy;
  const { source, sourcePort, destination, destinationPort, protocol, index } = selector;
  const parts = [
    `${direction} ${priority} ${action} ${source}:${sourcePort} > ` +
    `${destination}:${destinationPort} protocol ${protocol} dev ${index}`,
    ...templates.map(({ source, destination, protocol, spi, reqid, mode, optional }) =>
      `${optional ? "use" : "require"} ${protocol} ${source} > ${destination} ` +
      `${spi === null ? "any" : formatSpi(spi)} reqid ${reqid.toString(16)} ${mode}`
    ),
  ];
  if (policy.icmp) parts.push("icmp");
  if (policy.localOk) parts.push("localok");
  if (policy.mark !== null) parts.push(`mark ${policy.mark.value}/${policy.mark.mask}`);
  if (policy.interfaceId !== null) parts.push(`interface ${policy.interfaceId}`);
  for (const [name, limit] of Object.entries(policy.lifetimes)) {
    if (limit !== null) parts.push(`${name} ${limit}`);
  }
  return parts.join(", ");
}

const PAIR4 =
  "out 100 allow 192.0.2.1/32:20001 > 192.0.2.2/32:20001 protocol 17 dev null, " +
  "require 50 192.0.2.1 > 192.0.2.2 0x40010001 reqid 41470001 transport, icmp";
const PAIR6 =
  "out 100 allow 2001:db8::1/128:20001 > 2001:db8::2/128:20001 protocol 17 dev null, " +
  "require 50 2001:db8::1 > 2001:db8::2 0x20010001 reqid 41470001 transport, icmp";
const FORWARD =
  "fwd 7 allow 10.1.0.0/16:null > 10.2.0.0/16:null protocol null dev null, " +
  "use 50 0.0.0.0 > 0.0.0.0 any reqid 0 tunnel, " +
  "require 51 192.0.2.1 > 192.0.2.2 any reqid 0 transport, localok, mark 7/255, softBytes 1000";

Deno.test("golden: ip xfrm policy list", () => {
  const policies = replayDump("policies", "ip xfrm policy list", dumpPolicies());
  // Recorded twice: the last time there was none any more.
  assert.deepEqual(policies.map(line), []);
});

Deno.test("golden: ip -s xfrm policy list", () => {
  const policies = replayDump("policies", "ip -s xfrm policy list", dumpPolicies());
  assert.deepEqual(policies.map(line), [
    PAIR4,
    "out 8 allow 10.3.0.0/16:null > 10.4.0.0/16:null protocol null dev 50, interface 9",
    FORWARD,
    PAIR6,
    "in 100 allow 192.0.2.2/32:20001 > 192.0.2.1/32:20001 protocol 17 dev null, " +
    "require 50 192.0.2.2 > 192.0.2.1 any reqid 41470001 transport",
    "in 1000 block ::/0:null > ::/0:20001 protocol 17 dev null",
    "in 1000 block 0.0.0.0/0:null > 0.0.0.0/0:20001 protocol 17 dev null",
    "out 1000 block 0.0.0.0/0:20001 > 0.0.0.0/0:null protocol 17 dev null, icmp",
    "out 1000 block 0.0.0.0/0:null > 0.0.0.0/0:20001 protocol 17 dev null, icmp",
  ]);
  assert.equal(new Set(policies.map(({ index }) => index)).size, policies.length);
  assert.ok(policies.every(({ use }) => use.addedSeconds > 1_600_000_000n));
});

Deno.test("golden: ip xfrm policy get", () => {
  const get = (command: string, id: PolicyId, edit?: Edit) =>
    line(replayQuery("policies", `ip xfrm policy get ${command}`, getPolicy(id), edit));
  assert.equal(get(`${sel4} dir out`, { direction: "out", selector: pair4 }), PAIR4);
  assert.equal(get(`${sel6} dir out`, { direction: "out", selector: pair6 }), PAIR6);
  assert.equal(
    get(
      "dir fwd index 4242 mark 7 mask 255",
      { direction: "fwd", index: 4242, mark: MARK },
      withoutFamily,
    ),
    FORWARD,
  );
  assert.throws(
    () => get(`${sel6} dir in`, { direction: "in", selector: pair6 }),
    (error) => error instanceof NetlinkError && error.code === "ENOENT",
  );
});

Deno.test("golden: ip xfrm policy count", () => {
  const count = replayQuery("policies", "ip xfrm policy count", countPolicies());
  assert.deepEqual(count, { in: 3, out: 5, fwd: 1, ofSockets: 0 });
});
