import type { AllowedNodes, Network, Settings } from "../state/mod.ts";
import { valueOf } from "../state/mod.ts";
import {
  asJson,
  type ClusterContext,
  clusterRoute,
  doneOf,
  type FieldNames,
  Found,
  idFromPath,
  originOf,
  submit,
} from "./context.ts";
import { encryptionView } from "./encryption_view.ts";
import { checkBody } from "./input.ts";
import { mergePatch } from "./merge_patch.ts";
import { pageOf } from "./page.ts";
import type { MemberReport } from "./ports.ts";
import { ApiProblem } from "./problem.ts";
import type { Answer, Route } from "./route.ts";
import { networkPatch, networkRequest, networkView, patchedNetwork } from "./schema/network.ts";
import { noQuery, nothing, pageOf as pageSchema, pageQuery } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { AllowedNodesRequest, NetworkRequest, NetworkView } from "./types.ts";

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
    "slots-exhausted",
    "not-found",
  ],
  body: networkRequest,
  query: noQuery,
  reply: networkView,
  handle: async (call) => {
    const { name, subnet, labels, mtuBytes, allowedNodes } = call.body;
    const { control } = call.context;
    const { settings } = (await control.read()).state;
    const outcome = await control.createNetwork({
      ...originOf(call),
      network: {
        id: control.newId(),
        name,
        ...(subnet === undefined ? {} : { subnet }),
        labels: labels ?? {},
        ...(mtuBytes === undefined ? {} : { mtuBytes }),
        allowedNodes: allowedNodesOf(allowedNodes),
        ...encryptionOf(call.body),
      },
    });
    const network = valueOf("network.create", doneOf(outcome, { fieldOf: fieldOfCreation }));
    return { ...answerOf(network, settings, []), location: `/v1/networks/${network.id}` };
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
    const view = await context.control.read();
    const shown = (network: Network) =>
      viewOf(network, view.state.settings, view.members(network.id));
    return { body: pageOf(view.state.networks.values(), query, shown) };
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
    const view = await call.context.control.read();
    const found = new Found(view, call);
    const network = found.must(found.network(call.param, IN_PATH).object);
    return answerOf(network, view.state.settings, view.members(network.id));
  },
});

const updateNetwork = clusterRoute({
  method: "PATCH",
  path: "/v1/networks/{network}",
  operationId: "updateNetwork",
  summary: "Change labels, MTU, who may attach, or how often keys change",
  access: "operator",
  status: 200,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch", "in-use", "not-encrypted"],
  body: networkPatch,
  query: noQuery,
  reply: networkView,
  handle: async (call) => {
    const view = await call.context.control.read();
    const { settings } = view.state;
    const found = new Found(view, call);
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
        ...(body.rotationIntervalMs === undefined
          ? {}
          : { rotationIntervalMs: after.rotationIntervalMs ?? null }),
        ...found.revisionFor(object),
      },
    }, { found, fieldOf: idFromPath });
    return answerOf(valueOf("network.update", value), settings, view.members(id));
  },
});

const rotateNetwork = clusterRoute({
  method: "POST",
  path: "/v1/networks/{network}/rotate",
  operationId: "rotateNetwork",
  summary:
    "Give an encrypted network a new key now; hosts move to it one by one, and lose no packet",
  access: "operator",
  status: 200,
  problems: ["not-found", "not-encrypted", "rotation-waiting", "epoch-conflict"],
  body: nothing,
  query: noQuery,
  reply: networkView,
  handle: async (call) => {
    const { control } = call.context;
    const view = await control.read();
    const { settings } = view.state;
    const found = new Found(view, call);
    const { id } = found.network(call.param, IN_PATH);
    const outcome = await control.rotateNetwork({ ...originOf(call), networkId: id });
    const network = valueOf("network.rotate", doneOf(outcome, { found, fieldOf: () => null }));
    return answerOf(network, settings, []);
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
  rotateNetwork,
  deleteNetwork,
];

/** `members`: none in answers that have to be the same when the request is made again. */
function answerOf(
  network: Network,
  settings: Settings,
  members: readonly MemberReport[],
): Answer<NetworkView> {
  return { body: viewOf(network, settings, members), revision: network.revision };
}

function viewOf(
  network: Network,
  settings: Settings,
  members: readonly MemberReport[],
): NetworkView {
  const { id, name, vni, subnet, labels, mtuBytes, allowedNodes, keys } = network;
  const { createdAtMs, revision } = network;
  return {
    id,
    name,
    vni,
    subnet,
    labels,
    mtuBytes,
    allowedNodes: allowedNodesOf(allowedNodes),
    encrypted: keys !== null,
    encryption: keys === null ? null : encryptionView(keys, settings, members),
    createdAt: formatTime(createdAtMs),
    revision,
  };
}

function encryptionOf({ encrypted, rotationIntervalMs }: NetworkRequest) {
  if (encrypted !== true) {
    if (rotationIntervalMs === undefined) return {};
    throw new ApiProblem(
      "invalid-value",
      '"rotationIntervalMs" is of encrypted networks only: add "encrypted": true, or leave it out',
      { field: "/rotationIntervalMs" },
    );
  }
  return { encryption: rotationIntervalMs === undefined ? {} : { rotationIntervalMs } };
}

/** The client knows nothing of secrets. */
const fieldOfCreation: FieldNames = (field) =>
  field.startsWith("/encryption") ? "/encrypted" : field;

function allowedNodesOf(asked: AllowedNodesRequest | undefined): AllowedNodes {
  if (asked === undefined || asked === "any") return "any";
  return { ids: asked.ids ?? [], labels: asked.labels ?? {} };
}
