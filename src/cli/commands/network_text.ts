import type { EncryptionView, NetworkView } from "../../api/mod.ts";
import { formatDurationMs } from "../duration.ts";
import { formatFacts, formatLabels, formatTable } from "../table.ts";
import type { Names } from "./endpoint_rows.ts";

/** A network for a person; hosts by name where `names` has them. */
export function formatNetwork(network: NetworkView, names: Names): string {
  const { id, name, subnet, vni, mtuBytes, encryption, allowedNodes, labels, createdAt } = network;
  const facts = formatFacts([
    ["Network", name],
    ["Id", id],
    ["Subnet", subnet],
    ["VNI", String(vni)],
    ["MTU", mtuBytes === null ? "what the hosts' network carries" : String(mtuBytes)],
    ["Encrypted", encryption === null ? "no" : `yes, ESP around UDP port ${encryption.port}`],
    ...(encryption === null ? [] : [["New key", formatInterval(encryption)] as const]),
    ...(encryption === null || encryption.silent.length === 0
      ? []
      : [["Not heard of", formatNames(encryption.silent, names)] as const]),
    ["Allowed nodes", allowedNodes === "any" ? "any" : formatAllowed(allowedNodes)],
    ["Labels", formatLabels(labels)],
    ["Created", createdAt],
  ]);
  return encryption === null ? facts : `${facts}\n${formatEpochs(encryption, names)}`;
}

/** Hosts by name, or a dash. */
export function formatNames(ids: readonly string[], names: Names): string {
  return ids.length === 0 ? "-" : ids.map((id) => names.get(id) ?? id).sort().join(", ");
}

function formatEpochs({ epochs }: EncryptionView, names: Names): string {
  return formatTable(
    ["EPOCH", "SINCE", "INSTALLED", "NOT INSTALLED", "OLDEST THAT IS SENT WITH BY"],
    epochs.map(({ epoch, since, installed, missing, sending }) => [
      String(epoch),
      since,
      formatNames(installed, names),
      formatNames(missing, names),
      formatNames(sending, names),
    ]),
  );
}

function formatInterval({ rotationIntervalMs, rotation }: EncryptionView): string {
  const every = rotationIntervalMs === null
    ? "as often as the cluster's setting says"
    : `every ${formatDurationMs(rotationIntervalMs)}`;
  return rotation === "due" ? `${every}, and now, for a node was removed` : every;
}

function formatAllowed(
  { ids, labels }: Exclude<NetworkView["allowedNodes"], "any">,
): string {
  const parts = [...ids];
  if (Object.keys(labels).length > 0) parts.push(`those with ${formatLabels(labels)}`);
  return parts.join(", ");
}
