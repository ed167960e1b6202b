import type { AllowedNodes, Network } from "../state/mod.ts";
import { valueOf } from "../state/mod.ts";
import { asJson, type ClusterContext, clusterRoute, Found, idFromPath, submit } from "./context.ts";
import { checkBody } from "./input.ts";
import { mergePatch } from "./merge_patch.ts";
import { pageOf } from "./page.ts";
import type { Answer, Route } from "./route.ts";
import { networkPatch, networkRequest, networkView, patchedNetwork } from "./schema/network.ts";
import { noQuery, nothing, pageOf as pageSchema, pageQuery } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { AllowedNodesRequest, NetworkView } from "./types.ts";

const IN_PATH = { in: "path", field: "network" } as const;

const createNetwork = clusterRoute({
  method: "POST",
  path: "/v1/networks",
  operationId: "createNetwork",
  summary: "Make a network",
  access: "operator",
  status: 201,
  problems: [
    "name-taken",
    "subnet-taken",
    "subnet-in-use-on-host",
    "pool-exhausted",
    "vnis-exhausted",
    "encryption-unavailable",
    "not-found",
  ],
  body: networkRequest,
  query: noQuery,
  reply: networkView,
  handle: async (call) => {
    const { name, subnet, labels, mtuBytes, allowedNodes, encrypted } = call.body;
    const value = await submit(call, {
      kind: "network.create",
      body: {
        id: call.context.control.newId(),
        name,
        ...(subnet === undefined ? {} : { subnet }),
        labels: labels ?? {},
        ...(mtuBytes === undefined ? {} : { mtuBytes }),
        allowedNodes: allowedNodesOf(allowedNodes),
        encrypted: encrypted ?? false,
      },
    });
    const network = valueOf("network.create", value);
    return { ...answerOf(network), location: `/v1/networks/${network.id}` };
  },
});

const listNetworks = clusterRoute({
  method: "GET",
  path: "/v1/networks",
  operationId: "listNetworks",
  summary: "Networks, ordered by id",
  access: "operator",
  status: 200,
  problems: [],
  body: nothing,
  query: pageQuery,
  reply: pageSchema(networkView),
  handle: async ({ context, query }) => {
    const { state } = await context.control.read();
    return { body: pageOf(state.networks.values(), query, viewOf) };
  },
});

const getNetwork = clusterRoute({
  method: "GET",
  path: "/v1/networks/{network}",
  operationId: "getNetwork",
  summary: "One network, by id or name",
  access: "operator",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: networkView,
  handle: async (call) => {
    const found = new Found(await call.context.control.read(), call);
    return answerOf(found.must(found.network(call.param, IN_PATH).object));
  },
});

const updateNetwork = clusterRoute({
  method: "PATCH",
  path: "/v1/networks/{network}",
  operationId: "updateNetwork",
  summary: "Change labels, MTU or who may attach",
  access: "operator",
  status: 200,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch", "in-use"],
  body: networkPatch,
  query: noQuery,
  reply: networkView,
  handle: async (call) => {
    const found = new Found(await call.context.control.read(), call);
    const { id, object } = found.network(call.param, IN_PATH);
    const { body } = call;
    const before = object === undefined ? {} : {
      labels: object.labels,
      allowedNodes: object.allowedNodes,
    };
    const after = checkBody(patchedNetwork, mergePatch(asJson(before), asJson(body)));
    const value = await submit(call, {
      kind: "network.update",
      body: {
        id,
        ...(body.labels === undefined ? {} : { labels: after.labels ?? {} }),
        ...(body.mtuBytes === undefined ? {} : { mtuBytes: after.mtuBytes ?? null }),
        ...(body.allowedNodes === undefined
          ? {}
          : { allowedNodes: allowedNodesOf(after.allowedNodes) }),
        ...found.revisionFor(object),
      },
    }, { found, fieldOf: idFromPath });
    return answerOf(valueOf("network.update", value));
  },
});

const deleteNetwork = clusterRoute({
  method: "DELETE",
  path: "/v1/networks/{network}",
  operationId: "deleteNetwork",
  summary: "Delete a network that has no endpoints",
  access: "operator",
  status: 204,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch", "in-use"],
  body: nothing,
  query: noQuery,
  reply: nothing,
  handle: async (call) => {
    const found = new Found(await call.context.control.read(), call);
    const { id } = found.network(call.param, IN_PATH);
    await submit(call, {
      kind: "network.delete",
      body: { id, ...found.revisionAsked() },
    }, { found, fieldOf: idFromPath });
    return { body: undefined };
  },
});

/** `/v1/networks`. */
export const networkRoutes: readonly Route<ClusterContext>[] = [
  createNetwork,
  listNetworks,
  getNetwork,
  updateNetwork,
  deleteNetwork,
];

function answerOf(network: Network): Answer<NetworkView> {
  return { body: viewOf(network), revision: network.revision };
}

function viewOf(network: Network): NetworkView {
  const { id, name, vni, subnet, labels, mtuBytes, allowedNodes, encrypted } = network;
  const { createdAtMs, revision } = network;
  return {
    id,
    name,
    vni,
    subnet,
    labels,
    mtuBytes,
    allowedNodes: allowedNodesOf(allowedNodes),
    encrypted,
    createdAt: formatTime(createdAtMs),
    revision,
  };
}

function allowedNodesOf(asked: AllowedNodesRequest | undefined): AllowedNodes {
  if (asked === undefined || asked === "any") return "any";
  return { ids: asked.ids ?? [], labels: asked.labels ?? {} };
}
