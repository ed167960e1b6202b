import type { Id, JsonObject } from "../base/mod.ts";
import type { CommandKind } from "./command.ts";
import type { Endpoint, Network, Node, Settings, Token } from "./types.ts";

/** What an accepted command answers: the object itself, as it was right after the command. */
export interface CommandValues {
  /** Id of the first node. */
  readonly "cluster.create": { readonly id: Id };
  /** All settings, with those that were changed. */
  readonly "cluster.update": { readonly settings: Settings; readonly settingsRevision: number };
  /** With the hash of the secret, which is for no client. */
  readonly "token.create": Token;
  /** What is gone. */
  readonly "token.delete": { readonly id: Id };
  /** The node and the certificate on record: when repeated, not those of the command. */
  readonly "node.join": { readonly id: Id; readonly certificate: string };
  /** The certificate on record for that key: when repeated, not the one of the command. */
  readonly "node.certify": { readonly id: Id; readonly certificate: string };
  /** Which node it was. */
  readonly "node.describe": { readonly id: Id };
  /** The node with its new labels. */
  readonly "node.update": Node;
  /** What is gone, and how many endpoints went with it. */
  readonly "node.remove": { readonly id: Id; readonly endpoints: number };
  /** With all that `apply` has chosen. */
  readonly "network.create": Network;
  /** The network as changed. */
  readonly "network.update": Network;
  /** With its new epoch. */
  readonly "network.rotate": Network;
  /** Without those epochs. */
  readonly "network.retire": Network;
  /** Which node it was. */
  readonly "node.publish-key": { readonly id: Id };
  /** Those that were waiting, and now are free. */
  readonly "numbers.free": {
    readonly slots: readonly number[];
    readonly indexes: readonly number[];
  };
  /** What the cluster is now, and what is gone. */
  readonly "cluster.recover": {
    readonly generation: number;
    /** Managers. */
    readonly removed: readonly Id[];
    /** How many were on them. */
    readonly removedEndpoints: number;
    readonly removedTokens: number;
    /** How many encrypted networks have another key. */
    readonly rekeyed: number;
  };
  /** What is gone. */
  readonly "network.delete": { readonly id: Id };
  /** In the order of the command. */
  readonly "endpoints.create": { readonly endpoints: readonly Endpoint[] };
  /** Those that were there. */
  readonly "endpoints.delete": { readonly ids: readonly Id[] };
}

/** Gives the value of an accepted command of this kind its type; `apply` has made it so. */
export function valueOf<Kind extends CommandKind>(
  _kind: Kind,
  value: JsonObject,
): CommandValues[Kind] {
  return value as unknown as CommandValues[Kind];
}

/** The value as JSON, which the interfaces are but cannot say. */
export function jsonOf<Kind extends CommandKind>(
  _kind: Kind,
  value: CommandValues[Kind],
): JsonObject {
  return value as unknown as JsonObject;
}
