import assert from "node:assert/strict";
import { parseEndpoint } from "./address.ts";

Deno.test("an address is an IP address with a port, and nothing else", () => {
  for (
    const [text, host, port] of [
      ["192.0.2.1:7443", "192.0.2.1", 7443],
      ["[2001:db8::1]:1", "2001:db8::1", 1],
      ["[::]:65535", "::", 65535],
    ] as const
  ) {
    assert.deepEqual(parseEndpoint(text), { address: text, host, port });
  }
  const wrong = [
    "",
    "192.0.2.1",
    "192.0.2.1:0",
    "192.0.2.1:65536",
    "192.0.2:1",
    "[192.0.2.1]:1",
    "2001:db8::1:1",
    "[2001:db8::1]",
    "manager:7443",
    "[fe80::1%eth0]:1",
    "192.0.2.1:7443/x",
    "192.0.2.1:07443",
  ];
  for (const text of wrong) assert.throws(() => parseEndpoint(text), TypeError, text);
});
