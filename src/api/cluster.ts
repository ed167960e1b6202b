import { encodeBase64url } from "../base/mod.ts";
import type { Settings } from "../state/mod.ts";
import { valueOf } from "../state/mod.ts";
import { type ClusterContext, clusterRoute, submit } from "./context.ts";
import type { StateView } from "./ports.ts";
import type { Answer, Route } from "./route.ts";
import { backupView, caReply, clusterPatch, clusterView, healthView } from "./schema/cluster.ts";
import { joinReply, joinRequest } from "./schema/node.ts";
import { noQuery, nothing } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { ClusterPatch, ClusterView } from "./types.ts";

const getCluster = clusterRoute({
  method: "GET",
  path: "/v1/cluster",
  operationId: "getCluster",
  summary: "The cluster and its settings",
  access: "operator",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: clusterView,
  handle: async ({ context }) => {
    const { state } = await context.control.read();
    return answerOf(state, state.settings, state.settingsRevision);
  },
});

const updateCluster = clusterRoute({
  method: "PATCH",
  path: "/v1/cluster",
  operationId: "updateCluster",
  summary: "Change settings of the cluster",
  access: "operator",
  status: 200,
  conditional: "if-match",
  problems: ["revision-mismatch"],
  body: clusterPatch,
  query: noQuery,
  reply: clusterView,
  handle: async (call) => {
    const { state } = await call.context.control.read();
    const value = await submit(call, {
      kind: "cluster.update",
      body: {
        settings: changedSettings(call.body),
        ...(call.ifRevision === null ? {} : { ifRevision: call.ifRevision }),
      },
    });
    const { settings, settingsRevision } = valueOf("cluster.update", value);
    return answerOf(state, settings, settingsRevision);
  },
});

const backup = clusterRoute({
  method: "POST",
  path: "/v1/cluster/backup",
  operationId: "backup",
  // Each answer is a backup of its own, under a key of its own.
  repeats: "by-content",
  summary: "All of the cluster's state, sealed; the key that opens it is shown in this answer only",
  access: "manager",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: backupView,
  handle: async ({ context }) => {
    const { key, bytes, clusterId, revision, writtenAtMs } = await context.control.backup();
    const file = encodeBase64url(bytes);
    return { body: { key, clusterId, revision, writtenAt: formatTime(writtenAtMs), file } };
  },
});

const getCa = clusterRoute({
  method: "GET",
  path: "/v1/ca",
  operationId: "getCa",
  summary: "The certificates that this cluster trusts; every manager answers",
  access: "anyone",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: caReply,
  handle: ({ context }) => ({ body: context.control.ca() }),
});

const join = clusterRoute({
  method: "POST",
  path: "/v1/join",
  operationId: "join",
  repeats: "by-content",
  summary: "Become a member; the same token and key a second time get the same answer",
  access: "anyone",
  status: 200,
  problems: [
    "token-unknown",
    "token-expired",
    "token-used-up",
    "node-exists",
    "csr-rejected",
    "address-unreachable",
    "indexes-exhausted",
  ],
  body: joinRequest,
  query: noQuery,
  reply: joinReply,
  handle: async ({ context, body }) => ({
    body: await context.control.join(body, context.peerAddress),
  }),
});

const getHealth = clusterRoute({
  method: "GET",
  path: "/healthz",
  operationId: "getHealth",
  summary: "This manager's process answers",
  access: "anyone",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: healthView,
  handle: () => ({ body: { status: "ok" } }),
});

const getReadiness = clusterRoute({
  method: "GET",
  path: "/readyz",
  operationId: "getReadiness",
  summary: "This manager leads and can read the state; another answers 421",
  access: "member",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: healthView,
  handle: async ({ context }) => {
    await context.control.read();
    return { body: { status: "ok" } };
  },
});

/** `/v1/cluster`, and what those may ask who are no members yet. */
export const clusterRoutes: readonly Route<ClusterContext>[] = [
  getCluster,
  updateCluster,
  backup,
  getCa,
  join,
  getHealth,
  getReadiness,
];

function answerOf(state: StateView, settings: Settings, revision: number): Answer<ClusterView> {
  const { clusterId, incarnation } = state;
  return { body: { id: clusterId, incarnation, settings, revision }, revision };
}

/** Only what is there: to the command an absent setting is not the same as an undefined one. */
function changedSettings({ settings = {} }: ClusterPatch): Partial<Settings> {
  const { addressPool, subnetPrefixLength, controlPort } = settings;
  const { certificateValidityMs, keyRotationIntervalMs, epochLimitMs } = settings;
  const { managerTiming, plainVxlanPort, encryptedVxlanPortBase } = settings;
  return {
    ...(certificateValidityMs === undefined ? {} : { certificateValidityMs }),
    ...(keyRotationIntervalMs === undefined ? {} : { keyRotationIntervalMs }),
    ...(epochLimitMs === undefined ? {} : { epochLimitMs }),
    ...(managerTiming === undefined ? {} : { managerTiming }),
    ...(addressPool === undefined ? {} : { addressPool }),
    ...(subnetPrefixLength === undefined ? {} : { subnetPrefixLength }),
    ...(controlPort === undefined ? {} : { controlPort }),
    ...(plainVxlanPort === undefined ? {} : { plainVxlanPort }),
    ...(encryptedVxlanPortBase === undefined ? {} : { encryptedVxlanPortBase }),
  };
}
