import type { HostStatus } from "../../api/mod.ts";
import { formatTable } from "../table.ts";

/** What IPsec has carried and refused on a host, for a person; empty where nothing is encrypted. */
export function formatIpsec(ipsec: HostStatus["ipsec"]): string {
  if (ipsec === null) return "";
  const { networks, refused, guardLack, unreadable } = ipsec;
  const parts = [
    networks.length === 0 ? "" : formatTable(
      ["ENCRYPTED NETWORK", "SENT", "RECEIVED", "REPLAYS", "NOT INTACT"],
      networks.map((one) => [
        one.networkName,
        formatAmount(one.sentPackets, one.sentBytes),
        formatAmount(one.receivedPackets, one.receivedBytes),
        String(one.replays),
        String(one.integrityFailures),
      ]),
    ),
    refused.length === 0 ? "" : formatTable(
      ["REFUSED", "NETWORK", "PACKETS", "WHICH MEANS"],
      refused.map(({ name, networkName, packets, meaning }) => [
        name,
        networkName ?? "-",
        String(packets),
        meaning,
      ]),
    ),
    guardLack === null ? "" : `Only one guard stands on this host: ${guardLack}\n`,
    unreadable === null ? "" : `IPsec's counters cannot be read: ${unreadable}\n`,
  ];
  return parts.filter((part) => part !== "").map((part) => `\n${part}`).join("");
}

function formatAmount(packets: number, bytes: number): string {
  return `${packets} packets, ${bytes} bytes`;
}
