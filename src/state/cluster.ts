import type { Decide } from "./decision.ts";
import { newMember } from "./nodes.ts";
import { reject, requireRevision } from "./rejected.ts";
import { requireConsistent } from "./settings.ts";
import type { Tables } from "./tables.ts";
import type { Settings } from "./types.ts";

export const createCluster: Decide<"cluster.create"> = (tables, body) => {
  if (tables.cluster !== null) {
    reject("cluster-exists", `The cluster ${tables.cluster.clusterId} exists already`);
  }
  requireConsistent(body.settings, "/settings");
  if (body.node.role !== "manager") {
    reject("invalid-value", "The first node must be a manager", { field: "/node/role" });
  }
  const addMember = newMember(tables, body.node, null);
  return {
    commit: (revision) => {
      const { clusterId, incarnation, authority, settings } = body;
      tables.setCluster({
        clusterId,
        incarnation,
        generation: 0,
        authority,
        settings,
        settingsRevision: revision,
      });
      addMember(revision);
      return {
        value: { id: body.node.id },
        touched: { nodes: [body.node.id], settings: true, authority: true, managers: true },
      };
    },
  };
};

export const updateCluster: Decide<"cluster.update"> = (tables, body) => {
  const cluster = tables.requireCluster();
  requireRevision(cluster.settingsRevision, body.ifRevision);
  const settings: Settings = { ...cluster.settings, ...body.settings };
  requireConsistent(settings, "/settings");
  if (sameSettings(settings, cluster.settings)) {
    return { value: { settings, settingsRevision: cluster.settingsRevision } };
  }
  requirePortsUnused(tables, settings);
  return {
    commit: (revision) => {
      tables.setCluster({ ...cluster, settings, settingsRevision: revision });
      const projected = settings.plainVxlanPort !== cluster.settings.plainVxlanPort;
      return {
        value: { settings, settingsRevision: revision },
        touched: { nodes: projected ? tables.nodes.keys() : [], settings: true },
      };
    },
  };
};

/** Selectors of SAs and policies have the port in them: with another one none of them would fit. */
function requirePortsUnused(tables: Tables, settings: Settings): void {
  if (settings.encryptedVxlanPortBase === tables.requireCluster().settings.encryptedVxlanPortBase) {
    return;
  }
  const encrypted = [...tables.networks.values()].filter(({ keys }) => keys !== null);
  if (encrypted.length === 0) return;
  reject(
    "in-use",
    `Encrypted networks (${encrypted.length}) have ports from there on: delete them first`,
    {
      field: "/settings/encryptedVxlanPortBase",
      details: { networks: encrypted.slice(0, 100).map(({ id }) => id) },
    },
  );
}

function sameSettings(left: Settings, right: Settings): boolean {
  return left.certificateValidityMs === right.certificateValidityMs &&
    left.keyRotationIntervalMs === right.keyRotationIntervalMs &&
    left.epochLimitMs === right.epochLimitMs &&
    left.managerTiming === right.managerTiming &&
    left.addressPool === right.addressPool &&
    left.subnetPrefixLength === right.subnetPrefixLength &&
    left.controlPort === right.controlPort &&
    left.plainVxlanPort === right.plainVxlanPort &&
    left.encryptedVxlanPortBase === right.encryptedVxlanPortBase;
}
