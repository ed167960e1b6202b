import { array, type Check, integer, nullable, object, text } from "./check.ts";
import type { CommandBodies, CommandKind, NewEndpoint, NewNode } from "./command.ts";
import { partialSettings, rotationIntervalMs, settings, SLOTS } from "./settings.ts";
import { subnet } from "./subnet.ts";
import {
  allowedNodes,
  authority,
  certificateRecord,
  id,
  key32,
  labels,
  mac,
  mtuBytes,
  name,
  nodeFacts,
  overlayAddress,
  revision,
  role,
  sha256Text,
} from "./validate.ts";

const SECOND_MS = 1000;
const TEN_YEARS_MS = 3650 * 24 * 60 * 60 * SECOND_MS;
/** Bounds the work of one command. */
const MAX_CREATED = 64;
const MAX_DELETED = 1024;
const MAX_FREED = 1024;
const MAX_RETIRED = 6;

const epoch = integer(1, Number.MAX_SAFE_INTEGER);

const newNode: Check<NewNode> = object(
  { id, role, labels, facts: nodeFacts, certificate: certificateRecord },
  {},
);

const newEndpoint: Check<NewEndpoint> = object(
  { id, networkId: id, nodeId: id },
  { name, ip: overlayAddress, mac },
);

const identified = object({ id }, { ifRevision: revision });

/** Reads the body of each command: every field by itself, whatever the state is. */
const bodies: { readonly [Kind in CommandKind]: Check<CommandBodies[Kind]> } = {
  "cluster.create": object(
    { clusterId: id, incarnation: id, authority, settings, node: newNode },
    {},
  ),
  "cluster.update": object({ settings: partialSettings }, { ifRevision: revision }),
  "token.create": object({
    id,
    secretHash: sha256Text,
    role,
    lifetimeMs: integer(SECOND_MS, TEN_YEARS_MS),
    uses: integer(1, 100_000),
  }, {}),
  "token.delete": identified,
  "node.join": object({ secretHash: sha256Text, node: newNode }, {}),
  "node.certify": object({ id, certificate: certificateRecord }, {}),
  "node.describe": object({ id, facts: nodeFacts }, {}),
  "node.update": object({ id }, { labels, role, ifRevision: revision }),
  "node.remove": identified,
  "network.create": object(
    { id, name, labels, allowedNodes },
    {
      subnet: subnet(8, 29),
      mtuBytes,
      encryption: object({ secret: key32 }, { rotationIntervalMs }),
    },
  ),
  "network.update": object(
    { id },
    {
      labels,
      mtuBytes: nullable(mtuBytes),
      allowedNodes,
      rotationIntervalMs: nullable(rotationIntervalMs),
      ifRevision: revision,
    },
  ),
  "network.rotate": object({ id, epoch, secret: key32 }, {}),
  "network.retire": object({ id, epochs: array(epoch, 1, MAX_RETIRED) }, {}),
  "node.publish-key": object({
    id,
    incarnation: id,
    bootKey: object({ publicKey: key32, bootId: text(1, 64), reportNumber: revision }, {}),
  }, {}),
  "numbers.free": object({
    slots: array(integer(0, SLOTS - 1), 0, MAX_FREED),
    indexes: array(integer(1, 65535), 0, MAX_FREED),
    upTo: revision,
  }, {}),
  "cluster.recover": object(
    { incarnation: id, secrets: array(key32, 0, SLOTS) },
    { keep: id, node: newNode },
  ),
  "network.delete": identified,
  "endpoints.create": object({ endpoints: array(newEndpoint, 1, MAX_CREATED) }, {}),
  "endpoints.delete": object({ ids: array(id, 1, MAX_DELETED) }, { ifRevision: revision }),
};

/** Whether this program knows a command of that name. */
export function isCommandKind(kind: string): kind is CommandKind {
  return Object.hasOwn(bodies, kind);
}

/**
 * Reads a command's body.
 *
 * @throws {Rejected} `invalid-value`, naming the field
 */
export function checkBody<Kind extends CommandKind>(
  kind: Kind,
  body: unknown,
): CommandBodies[Kind] {
  const check: Check<CommandBodies[Kind]> = bodies[kind];
  return check(body, "");
}
