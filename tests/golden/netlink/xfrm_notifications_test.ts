import assert from "node:assert/strict";
import {
  decodeXfrmNotifications,
  formatSpi,
  type XfrmNotification,
} from "../../../src/netlink/mod.ts";
import { readRecording } from "./replay.ts";

/** The story of one notification. */
function line(notification: XfrmNotification): string {
  switch (notification.kind) {
    case "sa":
    case "sa-expired": {
      const { sa } = notification;
      const what = notification.kind === "sa"
        ? `sa ${notification.change}`
        : `sa expired ${notification.limit} after ${notification.sa.use.packets}`;
      const limits = `${sa.lifetimes.softPackets}/${sa.lifetimes.hardPackets}`;
      const key = notification.kind === "sa" && notification.sa.larval ? " larval" : "";
      return `${what} ${sa.source} > ${sa.destination} ${formatSpi(sa.spi)} limits ${limits}${key}`;
    }
    case "sas-flushed":
      return `sas flushed, protocol ${notification.protocol}`;
    case "policy":
    case "policy-expired": {
      const { direction, action, selector } = notification.policy;
      const what = notification.kind === "policy" ? notification.change : notification.limit;
      return `${notification.kind} ${what} ${direction} ${action} ${selector.source} > ` +
        `${selector.destination}:${selector.destinationPort}` +
        notification.policy.templates.map(({ reqid }) => ` reqid ${reqid.toString(16)}`).join("");
    }
    case "policies-flushed":
      return "policies flushed";
    case "acquire": {
      const { source, destination, spi, selector, policy } = notification.acquire;
      return `acquire ${source} > ${destination} ${formatSpi(spi ?? 0)} for ` +
        `${selector.destination}:${selector.destinationPort} dev ${selector.index}, ` +
        `policy ${policy?.priority} of ${policy?.templates.length}`;
    }
    case "replay-state": {
      const { destination, spi, reqid, replay } = notification.state;
      return `replay state ${destination} ${formatSpi(spi)} reqid ${reqid.toString(16)} ` +
        `${replay?.inbound}/${replay?.outbound}/${replay?.windowPackets}`;
    }
  }
}

const SA4 = "192.0.2.1 > 192.0.2.2 0x20010001";
const SA6 = "2001:db8::1 > 2001:db8::2 0x20010001";
const PAIR = "out allow 192.0.2.1/32 > 192.0.2.2/32:20001 reqid 41470001";

Deno.test("golden: ip xfrm monitor", () => {
  const heard = readRecording("xfrm_notifications").get("ip xfrm monitor")?.datagrams ?? [];
  const story = heard.flatMap(({ bytes }) => decodeXfrmNotifications(bytes).map(line));
  let position = -1;
  for (
    const expected of [
      `sa set ${SA4} limits 1/2`,
      `sa set ${SA4} limits 2/3`,
      `policy set ${PAIR}`,
      `policy set ${PAIR}`,
      `sa expired soft after 2 ${SA4} limits 2/3`,
      `sa expired hard after 3 ${SA4} limits 2/3`,
      "acquire 192.0.2.1 > 192.0.2.2 0x20010001 for 192.0.2.2/32:20001 dev 50, policy 100 of 1",
      `sa set ${SA6} limits null/null`,
      "replay state 2001:db8::2 0x20010001 reqid 41470001 4294967301/8589934598/1024",
      `sa removed ${SA6} limits null/null`,
      `policy removed ${PAIR}`,
      "policy set in block ::/0 > ::/0:20001",
      "policy-expired hard in block ::/0 > ::/0:20001",
      "sas flushed, protocol 50",
      "policies flushed",
      "policy set in block 0.0.0.0/0 > 0.0.0.0/0:20099",
    ]
  ) {
    const next = story.indexOf(expected, position + 1);
    assert.ok(next > position, `${expected} after line ${position} of\n${story.join("\n")}`);
    position = next;
  }
  // An SA that reached its hard limit is gone without a further word, as are those that were flushed.
  assert.equal(story.filter((text) => text.startsWith("sa removed")).length, 1);
});

Deno.test("no key comes out of what the kernel says, though it says them all", () => {
  const key = "0405060708090a0b0c0d0e0f";
  const heard = readRecording("xfrm_notifications").get("ip xfrm monitor")?.datagrams ?? [];
  const bytes = heard.map((datagram) => hex(datagram.bytes)).join("\n");
  assert.ok(bytes.includes(key));
  const decoded = heard.flatMap((datagram) => decodeXfrmNotifications(datagram.bytes));
  const shown = Deno.inspect(decoded, { depth: 9, iterableLimit: 9999, showHidden: true });
  assert.ok(!shown.includes("4, 5, 6, 7, 8") && !shown.includes(key));
});

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
