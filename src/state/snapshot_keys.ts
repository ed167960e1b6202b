import { assert, type Id } from "../base/mod.ts";
import { array, type Check, integer, nullable, object, oneOf, text } from "./check.ts";
import type { RoundRobinState } from "./round_robin.ts";
import { rotationIntervalMs, SLOTS } from "./settings.ts";
import type { Tables } from "./tables.ts";
import type { BootKey, NetworkKeys, WaitingNumber } from "./types.ts";
import { id, key32, revision, time } from "./validate.ts";

const ANY = Number.MAX_SAFE_INTEGER;

/** Secrets of a network's epochs, newest first. */
export interface NetworkSecrets {
  readonly networkId: Id;
  readonly epochs: readonly { readonly epoch: number; readonly secret: string }[];
}

const epoch = integer(1, ANY);

export const bootKey: Check<BootKey> = object({
  publicKey: key32,
  bootId: text(1, 64),
  incarnation: id,
  reportNumber: revision,
  revision,
}, {});

export const keys: Check<NetworkKeys> = object({
  slot: integer(0, SLOTS - 1),
  rotationIntervalMs: nullable(rotationIntervalMs),
  epochs: array(object({ epoch, sinceMs: time }, {}), 1, 6),
  holders: array(object({ nodeId: id, since: revision, leftAtEpoch: nullable(epoch) }, {}), 0, ANY),
  formerHolders: array(id, 0, ANY),
  rotation: oneOf("by-interval", "due"),
}, {});

export const networkSecrets: Check<NetworkSecrets> = object({
  networkId: id,
  epochs: array(object({ epoch, secret: key32 }, {}), 1, 6),
}, {});

export const waitingNumber: Check<WaitingNumber> = object({
  kind: oneOf("slot", "index"),
  number: integer(0, 65535),
  revision,
  nodes: array(id, 1, ANY),
}, {});

/** All secrets, ordered by network. */
export function secretsOf(tables: Tables): NetworkSecrets[] {
  return [...tables.networks.values()].filter((network) => network.keys !== null)
    .map(({ id }) => id).sort().map((networkId) => ({
      networkId,
      epochs: [...tables.keys.secretsOf(networkId)].map(([epoch, secret]) => ({ epoch, secret })),
    }));
}

/**
 * Puts secrets and numbers back, after nodes, networks and endpoints.
 *
 * @throws {InvariantError} when they do not belong to them
 */
export function restoreKeys(
  tables: Tables,
  from: {
    readonly secrets: readonly NetworkSecrets[];
    readonly waiting: readonly WaitingNumber[];
    readonly nodeIndexes: RoundRobinState;
    readonly slots: RoundRobinState;
  },
): void {
  for (const { networkId, epochs } of from.secrets) {
    tables.keys.setSecrets(networkId, new Map(epochs.map(({ epoch, secret }) => [epoch, secret])));
  }
  const slots: number[] = [];
  for (const network of tables.networks.values()) {
    if (network.keys === null) continue;
    slots.push(network.keys.slot);
    const secrets = tables.keys.secretsOf(network.id);
    assert(
      network.keys.epochs.map(({ epoch }) => epoch).join() === [...secrets.keys()].join(),
      "every epoch has a secret, and every secret an epoch",
    );
    const { nodes } = tables.networkIndex(network.id);
    const attached = network.keys.holders.filter(({ leftAtEpoch }) => leftAtEpoch === null);
    assert(
      attached.length === nodes.size && attached.every(({ nodeId }) => nodes.has(nodeId)),
      "whoever has an endpoint on an encrypted network is a holder of its keys",
    );
  }
  assert(
    from.secrets.every(({ networkId }) => (tables.networks.get(networkId)?.keys ?? null) !== null),
    "no network but an encrypted one has secrets",
  );
  for (const one of from.waiting) tables.keys.wait(one);
  const waiting = (kind: WaitingNumber["kind"]) =>
    from.waiting.filter((one) => one.kind === kind).map(({ number }) => number);
  const indexes = [...tables.nodes.values()].map(({ index }) => index);
  tables.keys.indexes.restore(from.nodeIndexes, [...indexes, ...waiting("index")]);
  tables.keys.slots.restore(from.slots, [...slots, ...waiting("slot")]);
}
