import assert from "node:assert/strict";
import { decodeNotifications, type Notification } from "../../../src/netlink/mod.ts";
import { readRecording } from "./replay.ts";

const COMMAND = "ip monitor link address route neigh nsid";

/** The story of one notification; what the kernel adds of its own (multicast, IPv6) is left out. */
function line(notification: Notification): string | null {
  const { kind, change } = notification;
  switch (kind) {
    case "link":
    case "bridge-port":
      return `${kind} ${change} ${notification.link.name} master ${notification.link.master}`;
    case "address":
      return `${kind} ${change} ${notification.address.address} dev ${notification.address.index}`;
    case "route":
      return `${kind} ${change} ${notification.route.destination} table ${notification.route.table}`;
    case "neighbour":
      return `${kind} ${change} ${notification.neighbour.address} ${notification.neighbour.mac} ` +
        notification.neighbour.state;
    case "fdb":
      return `${kind} ${change} ${notification.entry.mac} ${notification.entry.table} ` +
        `${notification.entry.state} dst ${notification.entry.destination}`;
    case "namespace-id":
      return `${kind} ${change} ${notification.id}`;
  }
}

Deno.test(`golden: ${COMMAND}`, () => {
  const heard = readRecording("notifications").get(COMMAND)?.datagrams ?? [];
  const story = heard.flatMap(({ bytes }) => decodeNotifications(bytes).map(line));
  let position = -1;
  for (
    const expected of [
      "link set bridge6 master null",
      "link set vxlan6 master null",
      "link set vxlan6 master 60",
      "neighbour set 10.64.0.6 02:00:0a:40:00:06 permanent",
      "fdb set 02:00:0a:40:00:06 self permanent dst 192.0.2.6",
      "fdb set 02:00:0a:40:00:06 master static dst null",
      "fdb removed 02:00:0a:40:00:06 master static dst null",
      "neighbour removed 10.64.0.6 null failed",
      "address set 192.0.2.66 dev 40",
      "address removed 192.0.2.66 dev 40",
      "route set 198.51.100.66/32 table 254",
      "route removed 198.51.100.66/32 table 254",
      "bridge-port removed vxlan6 master 60",
      "fdb removed 02:00:0a:40:00:06 self permanent dst 192.0.2.6",
      "link removed vxlan6 master null",
    ]
  ) {
    const next = story.indexOf(expected, position + 1);
    assert.ok(next > position, `${expected} after line ${position} of\n${story.join("\n")}`);
    position = next;
  }
});
