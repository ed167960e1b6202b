import { array, type Check, flag, integer, nullable, object } from "./check.ts";
import type { CommandBodies, CommandKind, NewEndpoint, NewNode } from "./command.ts";
import { partialSettings, settings } from "./settings.ts";
import { subnet } from "./subnet.ts";
import {
  allowedNodes,
  authority,
  certificateRecord,
  id,
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
  "node.update": object({ id }, { labels, ifRevision: revision }),
  "node.remove": identified,
  "network.create": object(
    { id, name, labels, allowedNodes, encrypted: flag },
    { subnet: subnet(8, 29), mtuBytes },
  ),
  "network.update": object(
    { id },
    { labels, mtuBytes: nullable(mtuBytes), allowedNodes, ifRevision: revision },
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
