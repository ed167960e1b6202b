import assert from "node:assert/strict";
import fc from "fast-check";
import { Cidr, formatMac, IpAddress, isUnicastMac, parseMac } from "./mod.ts";

Deno.test("an address is read in its one form and written in the canonical one", () => {
  const texts: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["::", "::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ];
  for (const [text, canonical] of texts) assert.equal(String(IpAddress.parse(text)), canonical);
  for (
    const text of [
      "",
      "1.2.3",
      "01.2.3.4",
      "0x1.2.3.4",
      "1.2.3.4.5",
      "256.0.0.1",
      "fe80::1%eth0",
      " 1.2.3.4",
      "1",
      "::g",
    ]
  ) {
    assert.throws(() => IpAddress.parse(text), TypeError, text);
  }
});

Deno.test("bytes and text of any address lead back to it", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
      ),
      (bytes) => {
        const address = IpAddress.fromBytes(bytes);
        assert.deepEqual([...address.toBytes()], [...bytes]);
        assert.ok(IpAddress.parse(String(address)).equals(address));
      },
    ),
  );
});

Deno.test("a prefix knows its addresses", () => {
  const subnet = Cidr.parse("10.64.0.0/24");
  assert.equal(subnet.size, 256n);
  assert.equal(String(subnet.last), "10.64.0.255");
  assert.equal(String(subnet.at(2n)), "10.64.0.2");
  assert.throws(() => subnet.at(256n), RangeError);
  assert.ok(subnet.contains(IpAddress.parse("10.64.0.255")));
  assert.ok(!subnet.contains(IpAddress.parse("10.64.1.0")));
  assert.ok(!subnet.contains(IpAddress.parse("::10.64.0.1")));
  assert.ok(subnet.overlaps(Cidr.parse("10.0.0.0/8")));
  assert.ok(subnet.overlaps(Cidr.parse("10.64.0.128/25")));
  assert.ok(!subnet.overlaps(Cidr.parse("10.64.1.0/24")));
  assert.equal(Cidr.parse("::/0").size, 1n << 128n);
  assert.ok(Cidr.containing(IpAddress.parse("10.64.0.77"), 24).equals(subnet));
});

Deno.test("a prefix that is not one is refused, and the mistake named", () => {
  assert.throws(() => Cidr.parse("10.64.0.1/24"), /the network is 10\.64\.0\.0\/24/);
  for (
    const text of [
      "10.64.0.0",
      "10.64.0.0/",
      "10.64.0.0/024",
      "10.64.0.0/33",
      "/24",
      "10.64.0.0/-1",
    ]
  ) {
    assert.throws(() => Cidr.parse(text), Error, text);
  }
});

Deno.test("addresses are ordered by family, then by value", () => {
  const texts = ["::1", "10.0.0.2", "9.255.0.1", "::"];
  const sorted = texts.map(IpAddress.parse).sort((a, b) => a.compare(b)).map(String);
  assert.deepEqual(sorted, ["9.255.0.1", "10.0.0.2", "::", "::1"]);
});

Deno.test("a MAC address is read and written; group addresses are told apart", () => {
  assert.equal(formatMac(parseMac("02:00:0A:40:00:02")), "02:00:0a:40:00:02");
  for (const text of ["02:00:0a:40:00", "02-00-0a-40-00-02", "2:0:a:40:0:2", "02:00:0a:40:00:0g"]) {
    assert.throws(() => parseMac(text), TypeError, text);
  }
  assert.throws(() => formatMac(new Uint8Array(5)), RangeError);
  assert.ok(isUnicastMac(parseMac("02:00:0a:40:00:02")));
  assert.ok(!isUnicastMac(parseMac("01:00:5e:00:00:01")));
  assert.ok(!isUnicastMac(new Uint8Array(6)));
});
