import type { Id } from "../base/mod.ts";
import type { CommandBodies } from "./command.ts";
import type { Decide } from "./decision.ts";
import { newestEpoch, retire } from "./holders.ts";
import { dropMember, newMember } from "./nodes.ts";
import { reject, rejectValue } from "./rejected.ts";
import type { Tables } from "./tables.ts";
import type { NetworkKeys, Node } from "./types.ts";

/**
 * A new incarnation. The state may have been rolled back, by a backup or by a manager that had not heard
 * of all: so nothing may depend on what was given out since. Numbers of epochs, slots and indexes may
 * come a second time, and secrets that are in the state may be in other hands. What keeps them apart are
 * the incarnation, which goes into every key, and new secrets and boot keys.
 */
export const recoverCluster: Decide<"cluster.recover"> = (tables, body) => {
  const cluster = tables.requireCluster();
  const { incarnation, node, secrets } = body;
  if (incarnation === cluster.incarnation) {
    rejectValue("/incarnation", "The cluster has this incarnation already: draw another one");
  }
  const leaving = leavingManagers(tables, body);
  const addMember = node === undefined ? () => {} : newMember(tables, node, null, leaving);
  const encrypted = [...tables.networks.values()]
    .filter(({ keys }) => keys !== null)
    .map(({ id }) => id).sort();
  if (secrets.length !== encrypted.length) {
    rejectValue(
      "/secrets",
      `There are ${secrets.length} secrets for ${encrypted.length} encrypted networks`,
    );
  }
  return {
    commit: (revision) => {
      let removedEndpoints = 0;
      for (const manager of leaving) {
        removedEndpoints += dropMember(tables, manager, revision).endpoints;
      }
      addMember(revision);
      const tokens = [...tables.tokens.values()];
      for (const token of tokens) tables.deleteToken(token);
      for (const [place, networkId] of encrypted.entries()) {
        beginAnew(tables, networkId, secrets[place] ?? "");
      }
      const generation = cluster.generation + 1;
      tables.setCluster({ ...cluster, incarnation, generation });
      const removed = leaving.map(({ id }) => id);
      return {
        value: {
          generation,
          removed,
          removedEndpoints,
          removedTokens: tokens.length,
          rekeyed: encrypted.length,
        },
        touched: { nodes: tables.nodes.keys(), removedNodes: removed, managers: true },
      };
    },
  };
};

/** Every manager but the one that stays. */
function leavingManagers(
  tables: Tables,
  { keep, node }: CommandBodies["cluster.recover"],
): readonly Node[] {
  if ((keep === undefined) === (node === undefined)) {
    rejectValue("", "Either a manager stays, or a new one takes the place of all");
  }
  if (node !== undefined && node.role !== "manager") {
    rejectValue("/node/role", "Who takes the place of all managers must be one");
  }
  if (keep !== undefined && tables.nodes.get(keep)?.role !== "manager") {
    reject("not-found", `There is no manager ${keep} in this state of the cluster`, {
      field: "/keep",
    });
  }
  return [...tables.nodes.values()].filter(({ id, role }) => role === "manager" && id !== keep);
}

/** All epochs end at once. Who has left the network has none of the secrets any more. */
function beginAnew(tables: Tables, networkId: Id, secret: string): void {
  const network = tables.networks.get(networkId);
  const keys = network?.keys ?? null;
  if (network === undefined || keys === null) return;
  const epoch = newestEpoch(keys) + 1;
  const begun: NetworkKeys = {
    ...keys,
    epochs: [{ epoch, sinceMs: tables.timeMs }, ...keys.epochs],
    rotation: "by-interval",
  };
  const retired = new Set(keys.epochs.map((one) => one.epoch));
  tables.putNetwork({ ...network, keys: retire(begun, retired) });
  tables.keys.setSecrets(networkId, new Map([[epoch, secret]]));
}
