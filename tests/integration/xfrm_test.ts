// needs: root netns esp flower
import assert from "node:assert/strict";
import { Cidr, encodeHex, IpAddress } from "../../src/base/mod.ts";
import {
  addClsact,
  addDropFilter,
  addPolicy,
  addSa,
  countPolicies,
  countSas,
  decodeXfrmNotifications,
  deleteClsact,
  deleteFilter,
  deletePolicy,
  deleteSa,
  dumpFilters,
  dumpPolicies,
  dumpQdiscs,
  dumpSas,
  type FilterId,
  flushPolicies,
  flushSas,
  formatSpi,
  getPolicy,
  getReplayState,
  getSa,
  type NewPolicy,
  type NewSa,
  parseXfrmStat,
  replaceDropFilter,
  replacePolicy,
  setReplayState,
  TableDigest,
  updateLarvalSa,
  XFRMNLGRP_ACQUIRE,
  XFRMNLGRP_EXPIRE,
  XFRMNLGRP_POLICY,
  XFRMNLGRP_SA,
  type XfrmNotification,
} from "../../src/netlink/mod.ts";
import { Watcher } from "../../src/sys/mod.ts";
import {
  address,
  assertPrinted,
  between,
  Host,
  INDEX,
  ofPort,
  Pair,
  ping,
  policy,
  PORT,
  protect,
  refusedWith,
  sa,
  secret,
  spiOf,
  whole,
} from "./xfrm_pair.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test(
  "iproute2 reads an SA as it was meant, and it comes back the same",
  sanitized,
  async () => {
    using host = new Host();
    for (const family of [4, 6] as const) {
      const selector = ofPort(family, 0);
      const made: NewSa = {
        ...sa(family, 0, spiOf(0)),
        selector,
        lifetimes: { softBytes: 2n ** 46n },
      };
      host.xfrm.request(addSa(made));
      assert.throws(() => host.xfrm.request(addSa(made)), refusedWith("EEXIST"));
      const text = await host.run("ip", "-s", "-d", "xfrm", "state", "list");
      const { source, destination } = made;
      assertPrinted(
        text,
        `src ${source} dst ${destination} proto esp spi 0x20010001(536936449) ` +
          "reqid 1095172097(0x41470001) mode transport",
        "replay-window 0 seq 0x00000000 flag esn",
        "aead rfc4106(gcm(aes)) 0x" + "01".repeat(36) + " (288 bits) 128",
        "replay_window 1024, bitmap-length 32",
        `sel src ${selector.source} dst ${selector.destination} proto udp sport ${PORT} dport ${PORT}`,
        "limit: soft 70368744177664(bytes), hard (INF)(bytes)",
        "limit: soft (INF)(packets), hard (INF)(packets)",
        "expire add: soft 0(sec), hard 0(sec)",
      );
      const [observed] = host.xfrm.dump(dumpSas());
      assert.ok(observed !== undefined);
      assert.deepEqual(host.xfrm.get(getSa(made)), observed);
      assert.deepEqual(observed.selector, selector);
      assert.deepEqual(observed.aead, { name: "rfc4106(gcm(aes))", keyBits: 288, icvBits: 128 });
      assert.equal(observed.lifetimes.softBytes, 2n ** 46n);
      assert.equal(observed.lifetimes.hardAddSeconds, null);
      assert.equal(observed.larval, false);
      assert.equal(host.xfrm.get(countSas()), 1);
      host.xfrm.request(deleteSa(observed));
      assert.throws(() => host.xfrm.get(getSa(made)), refusedWith("ESRCH"));
    }
    host.xfrm.request(flushSas());
    assert.deepEqual(host.xfrm.dump(dumpSas()), []);
  },
);

Deno.test(
  "iproute2 reads a policy as it was meant, and it comes back the same",
  sanitized,
  async () => {
    using host = new Host();
    for (const family of [4, 6] as const) {
      const selector = ofPort(family, 0);
      const out: NewPolicy = { ...policy(family, 0, 0, spiOf(0)), selector };
      const any = Cidr.containing(address(family, 0), 0);
      const block: NewPolicy = {
        direction: "in",
        selector: { ...selector, source: any, destination: any, sourcePort: null },
        priority: 1000,
        action: "block",
      };
      assert.deepEqual(host.xfrm.batch([addPolicy(out), addPolicy(block)]), [null, null]);
      assert.throws(() => host.xfrm.request(addPolicy(out)), refusedWith("EEXIST"));
      const text = await host.run("ip", "-s", "xfrm", "policy", "list");
      assertPrinted(
        text,
        `src ${selector.source} dst ${selector.destination} proto udp sport ${PORT} dport ${PORT}`,
        "dir out action allow index",
        "priority 100 ptype main share any flag icmp (",
        `tmpl src ${address(family, 0)} dst ${address(family, 1)} proto esp spi ` +
          "0x20010001(536936449) reqid 1095172097(0x41470001) mode transport level required",
        `src ${any} dst ${any} proto udp dport ${PORT} uid 0 dir in action block index`,
        "priority 1000 ptype main",
      );
      assert.deepEqual(host.xfrm.get(countPolicies()), { in: 1, out: 1, fwd: 0, ofSockets: 0 });
      const observed = host.xfrm.dump(dumpPolicies());
      const outbound = observed.find(({ direction }) => direction === "out");
      assert.ok(outbound !== undefined);
      assert.deepEqual(host.xfrm.get(getPolicy(out)), outbound);
      assert.deepEqual(outbound.selector, selector);
      assert.equal(outbound.icmp, true);
      assert.equal(outbound.templates[0]?.spi, spiOf(0));

      // Another SPI in the template: one policy, not two, with the same name.
      host.xfrm.request(replacePolicy({ ...out, ...policyTo(out, 0x40010001) }));
      const replaced = host.xfrm.get(getPolicy({ direction: "out", index: outbound.index }));
      assert.equal(replaced.templates[0]?.spi, 0x40010001);
      assert.equal(host.xfrm.dump(dumpPolicies()).length, 2);
      assert.deepEqual(host.xfrm.batch(observed.map(deletePolicy)), [null, null]);
      assert.throws(() => host.xfrm.get(getPolicy(out)), refusedWith("ENOENT"));
    }
    host.xfrm.request(flushPolicies());
    assert.deepEqual(host.xfrm.dump(dumpPolicies()), []);
  },
);

function policyTo({ templates = [] }: NewPolicy, spi: number): Pick<NewPolicy, "templates"> {
  return { templates: templates.map((template) => ({ ...template, spi })) };
}

Deno.test(
  "tables are as noted whatever passes, until something in them is another",
  sanitized,
  async () => {
    using pair = new Pair();
    protect(pair, 4);
    const noPause = () => Promise.resolve();
    const [{ xfrm }] = pair.hosts;
    const sas = new TableDigest();
    const policies = new TableDigest();
    await xfrm.dumpNoting(dumpSas(), sas, noPause);
    await xfrm.dumpNoting(dumpPolicies(), policies, noPause);
    const areAsNoted = async () => [
      await xfrm.isAsNoted(dumpSas(), sas, noPause),
      await xfrm.isAsNoted(dumpPolicies(), policies, noPause),
    ];
    await ping(pair, 4, 5);
    const outbound = sa(4, 0, spiOf(0));
    assert.equal(xfrm.get(getSa(outbound)).use.packets, 5n);
    assert.deepEqual(await areAsNoted(), [true, true]);
    const held = policy(4, 0, 0, spiOf(0));
    xfrm.request(replacePolicy({ ...held, ...policyTo(held, spiOf(1)) }));
    assert.deepEqual(await areAsNoted(), [true, false]);
    xfrm.request(deleteSa(outbound));
    xfrm.request(addSa({ ...outbound, aead: { ...outbound.aead, key: secret(7) } }));
    assert.deepEqual(await areAsNoted(), [false, false]);
  },
);

Deno.test("packets between two hosts are carried by the SAs, and counted", sanitized, async () => {
  for (const family of [4, 6] as const) {
    using pair = new Pair();
    protect(pair, family);
    await ping(pair, family, 5);
    for (const { xfrm } of pair.hosts) {
      for (const from of [0, 1] as const) {
        const { use, refused } = xfrm.get(getSa(sa(family, from, spiOf(from))));
        assert.equal(use.packets, 5n);
        assert.ok(use.bytes >= 5n * 64n);
        assert.notEqual(use.usedSeconds, null);
        assert.deepEqual(refused, { late: 0, replayed: 0, integrity: 0 });
      }
    }
  }
});

Deno.test("sequence numbers cross 2³² where both sides are set below it", sanitized, async () => {
  using pair = new Pair();
  protect(pair, 4);
  await ping(pair, 4, 1);
  const near = 2n ** 32n - 3n;
  for (const self of [0, 1] as const) {
    for (const from of [0, 1] as const) {
      const target = { destination: address(4, from === 0 ? 1 : 0), spi: spiOf(from) };
      const { replay } = pair.hosts[self].xfrm.get(getReplayState(target));
      assert.deepEqual(
        replay,
        from === self
          ? { inbound: 0n, outbound: 1n, windowPackets: 1024 }
          : { inbound: 1n, outbound: 0n, windowPackets: 1024 },
      );
      const state = from === self
        ? { inbound: 0n, outbound: near }
        : { inbound: near, outbound: 0n };
      pair.hosts[self].xfrm.request(setReplayState(target, { ...state, windowPackets: 1024 }));
    }
  }
  const printed = await pair.hosts[0].run("ip", "-d", "xfrm", "state", "list");
  assertPrinted(printed, "seq-hi 0x0, seq 0x0, oseq-hi 0x0, oseq 0xfffffffd");
  await ping(pair, 4, 8);
  const target = { destination: address(4, 1), spi: spiOf(0) };
  for (const [host, way] of [[pair.hosts[0], "outbound"], [pair.hosts[1], "inbound"]] as const) {
    assert.equal(host.xfrm.get(getReplayState(target)).replay?.[way], near + 8n);
  }
  // Below the window all counts as seen: a sender that was set back is refused as a replay.
  pair.hosts[0].xfrm.request(
    setReplayState(target, { inbound: 0n, outbound: near, windowPackets: 1024 }),
  );
  await assert.rejects(pair.hosts[0].run("ping", "-q", "-c", "1", "-W", "1", `${address(4, 1)}`));
  const { refused } = pair.hosts[1].xfrm.get(getSa({ ...target, source: address(4, 0) }));
  assert.deepEqual(refused, { late: 0, replayed: 1, integrity: 0 });
});

Deno.test("an update answers that it was done, and keeps the key", sanitized, async () => {
  using host = new Host();
  const made = sa(4, 0, spiOf(0));
  host.xfrm.request(addSa(made));
  host.xfrm.request(updateLarvalSa({ ...made, aead: { ...made.aead, key: secret(0xee) } }));
  const text = await host.run("ip", "xfrm", "state", "list");
  assertPrinted(text, `0x${encodeHex(made.aead.key.reveal())}`);
  assert.ok(!text.includes("eeee"));
});

/** What happens in a namespace, until a condition holds. */
class Ear implements AsyncDisposable {
  readonly heard: XfrmNotification[] = [];
  readonly #watcher = new Watcher();
  #wake = () => {};

  constructor({ namespace }: Host, groups: readonly number[]) {
    this.#watcher.subscribe({ family: "xfrm", namespace, groups, namespaces: "own" }, {
      onDatagram: (datagram) => {
        this.heard.push(...decodeXfrmNotifications(datagram));
        this.#wake();
      },
      onOverrun: () => assert.fail("notifications were lost"),
    });
  }

  async until(found: (notification: XfrmNotification) => boolean): Promise<void> {
    while (!this.heard.some(found)) await new Promise<void>((resolve) => this.#wake = resolve);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher.close();
  }
}

Deno.test(
  "an ACQUIRE listener makes larval SAs, which an update turns into SAs",
  sanitized,
  async () => {
    using pair = new Pair();
    const [one] = pair.hosts;
    await using ear = new Ear(one, [XFRMNLGRP_ACQUIRE]);
    one.xfrm.request(addPolicy(policy(4, 0, 0, spiOf(0))));
    await assert.rejects(one.run("ping", "-q", "-c", "1", "-W", "1", `${address(4, 1)}`));
    await ear.until(({ kind }) => kind === "acquire");
    const [heard] = ear.heard;
    assert.ok(heard?.kind === "acquire");
    const { acquire } = heard;
    assert.equal(acquire.spi, spiOf(0));
    assert.equal(String(acquire.destination), String(address(4, 1)));
    assert.equal(acquire.policy?.priority, 100);
    const made = sa(4, 0, spiOf(0));
    const [larval] = one.xfrm.dump(dumpSas());
    assert.equal(larval?.larval, true);
    assert.equal(larval?.spi, spiOf(0));
    assert.throws(() => one.xfrm.request(addSa(made)), refusedWith("EEXIST"));
    one.xfrm.request(updateLarvalSa(made));
    const [filled, ...others] = one.xfrm.dump(dumpSas());
    assert.equal(filled?.larval, false);
    assert.deepEqual(others, []);
  },
);

Deno.test(
  "what happens to SAs and policies is told, flushes by one message each",
  sanitized,
  async () => {
    using pair = new Pair();
    const [one] = pair.hosts;
    await using ear = new Ear(one, [XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_EXPIRE]);
    protect(pair, 4);
    const limited: NewSa = {
      ...sa(4, 1, 0x999),
      lifetimes: { softAddSeconds: 1n, hardAddSeconds: 2n },
    };
    one.xfrm.request(addSa(limited));
    await ear.until((told) => told.kind === "sa-expired" && told.limit === "hard");
    assert.throws(() => one.xfrm.get(getSa(limited)), refusedWith("ESRCH"));
    one.xfrm.request(deletePolicy(policy(4, 0, 0, spiOf(0))));
    one.xfrm.request(deleteSa(sa(4, 0, spiOf(0))));
    one.xfrm.request(flushPolicies());
    one.xfrm.request(flushSas());
    await ear.until(({ kind }) => kind === "sas-flushed");
    assert.deepEqual(ear.heard.map(tell), [
      `sa set ${formatSpi(spiOf(0))}`,
      "policy set out",
      `sa set ${formatSpi(spiOf(1))}`,
      "policy set in",
      "sa set 0x00000999",
      "sa-expired soft 0x00000999",
      "sa-expired hard 0x00000999",
      "policy removed out",
      `sa removed ${formatSpi(spiOf(0))}`,
      "policies-flushed",
      "sas-flushed",
    ]);
  },
);

function tell(told: XfrmNotification): string {
  switch (told.kind) {
    case "sa":
      return `sa ${told.change} ${formatSpi(told.sa.spi)}`;
    case "sa-expired":
      return `sa-expired ${told.limit} ${formatSpi(told.sa.spi)}`;
    case "policy":
      return `policy ${told.change} ${told.policy.direction}`;
    default:
      return told.kind;
  }
}

Deno.test("a blocked packet is counted under the kernel's name", sanitized, async () => {
  using pair = new Pair();
  const [one] = pair.hosts;
  const read = async () => parseXfrmStat(await one.run("cat", "/proc/net/xfrm_stat"));
  assert.equal((await read()).get("XfrmOutPolBlock"), 0);
  one.xfrm.request(addPolicy({
    direction: "out",
    selector: { ...between(4, 0), protocol: 17 },
    priority: 1000,
    action: "block",
  }));
  await one.run("bash", "-c", `echo >/dev/udp/${address(4, 1)}/${PORT} || true`);
  assert.equal((await read()).get("XfrmOutPolBlock"), 1);
});

Deno.test(
  "the guard drops a port's packets on the wire's side, and counts them",
  sanitized,
  async () => {
    for (const family of [4, 6] as const) {
      using pair = new Pair();
      const [one, two] = pair.hosts;
      const byDestination: FilterId = {
        index: INDEX,
        hook: "egress",
        preference: family,
        family,
        handle: 1,
      };
      const bySource: FilterId = { ...byDestination, hook: "ingress", handle: 2 };
      one.route.request(addClsact(INDEX));
      assert.throws(() => one.route.request(addClsact(INDEX)), refusedWith("EEXIST"));
      assert.ok(one.route.dump(dumpQdiscs({ index: INDEX })).some(({ kind }) => kind === "clsact"));
      const guard = { ...byDestination, udpDestinationPort: PORT };
      one.route.request(addDropFilter(guard));
      one.route.request(addDropFilter({ ...bySource, udpSourcePort: PORT }));
      assert.throws(() => one.route.request(addDropFilter(guard)), refusedWith("EEXIST"));
      // The same ports under another handle.
      assert.throws(
        () => one.route.request(addDropFilter({ ...guard, handle: 9 })),
        refusedWith("EEXIST"),
      );
      const target = `/dev/udp/${address(family, 1)}`;
      await one.run("bash", "-c", `for i in 1 2 3; do echo x >${target}/${PORT}; done`);
      await one.run("bash", "-c", `echo x >${target}/${PORT + 1}`);

      const [filter, ...others] = one.route.dump(dumpFilters({ index: INDEX, hook: "egress" }));
      assert.deepEqual(others, []);
      assert.deepEqual(filter?.flower, {
        protocol: 17,
        udpSourcePort: null,
        udpDestinationPort: PORT,
        complete: true,
      });
      const [action] = filter?.actions ?? [];
      assert.equal(action?.drops, true);
      assert.equal(action?.counters?.packets, 3n);
      assert.equal(action?.counters?.drops, 3);

      const printed: unknown = JSON.parse(
        await one.run("tc", "-j", "-s", "filter", "show", "dev", "under0", "egress"),
      );
      assertPrinted(
        JSON.stringify(printed),
        `"protocol":"${family === 4 ? "ip" : "ipv6"}","pref":${family},"kind":"flower"`,
        `"keys":{"eth_type":"${
          family === 4 ? "ipv4" : "ipv6"
        }","ip_proto":"udp","dst_port":${PORT}}`,
        '"control_action":{"type":"drop"}',
        '"packets":3,"drops":3',
      );

      // The last thing to stand between the other host's packets and this one.
      await two.run("bash", "-c", `echo x >/dev/udp/${address(family, 0)}/9`);
      one.route.request(replaceDropFilter({ ...guard, udpDestinationPort: PORT + 1 }));
      const [replaced] = one.route.dump(dumpFilters({ index: INDEX, hook: "egress" }));
      assert.equal(replaced?.flower?.udpDestinationPort, PORT + 1);
      assert.equal(replaced?.actions[0]?.counters?.packets, 0n);
      one.route.request(deleteFilter(byDestination));
      assert.throws(() => one.route.request(deleteFilter(byDestination)), refusedWith("ENOENT"));
      assert.equal(one.route.dump(dumpFilters({ index: INDEX, hook: "ingress" })).length, 1);
      one.route.request(deleteClsact(INDEX));
      assert.deepEqual(one.route.dump(dumpFilters({ index: INDEX, hook: "ingress" })), []);
    }
  },
);

Deno.test("thousands of SAs and policies go in, and come out, in batches", sanitized, () => {
  using host = new Host();
  const count = 2000;
  const numbers = Array.from({ length: count }, (_, number) => number);
  const destination = (number: number) => new IpAddress(4, 0x0a000000n + BigInt(number));
  const ofPeer = (number: number): NewSa => ({
    ...sa(4, 0, spiOf(0)),
    destination: destination(number),
  });
  const selector = (number: number) => ({
    ...ofPort(4, 0),
    destination: whole(destination(number)),
  });
  const requests = numbers.flatMap((number) => [
    addSa(ofPeer(number)),
    addPolicy({ direction: "out", selector: selector(number), priority: 100, action: "block" }),
  ]);
  assert.ok(host.xfrm.batch(requests).every((result) => result === null));
  const sas = host.xfrm.dump(dumpSas());
  const policies = host.xfrm.dump(dumpPolicies());
  assert.equal(new Set(sas.map(({ destination }) => `${destination}`)).size, count);
  assert.equal(new Set(policies.map(({ selector }) => `${selector.destination}`)).size, count);
  assert.equal(host.xfrm.get(countSas()), count);
  const undone = host.xfrm.batch([...sas.map(deleteSa), ...policies.map(deletePolicy)]);
  assert.ok(undone.every((result) => result === null));
  assert.equal(host.xfrm.get(countSas()), 0);
});
