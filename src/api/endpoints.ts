import type { Id } from "../base/mod.ts";
import type { Endpoint, NewEndpoint } from "../state/mod.ts";
import { valueOf } from "../state/mod.ts";
import { assertOwn } from "./access.ts";
import {
  type ClusterCall,
  type ClusterContext,
  clusterRoute,
  type FieldNames,
  Found,
  notFound,
  submit,
} from "./context.ts";
import { pageOf } from "./page.ts";
import { ApiProblem } from "./problem.ts";
import type { Answer, Route } from "./route.ts";
import type { View } from "./ports.ts";
import {
  endpointRequest,
  endpointsReply,
  endpointsRequest,
  endpointView,
} from "./schema/endpoint.ts";
import { noQuery, nothing, pageOf as pageSchema, pageQuery } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { EndpointRequest, EndpointView } from "./types.ts";

const NETWORK_IN_PATH = { in: "path", field: "network" } as const;
const ENDPOINT_IN_PATH = { in: "path", field: "endpoint" } as const;
const PROBLEMS_OF_CREATION = [
  "not-found",
  "node-not-allowed",
  "encryption-unavailable",
  "name-taken",
  "address-taken",
  "address-outside-subnet",
  "mac-taken",
  "subnet-exhausted",
] as const;

const createEndpoint = clusterRoute({
  method: "POST",
  path: "/v1/networks/{network}/endpoints",
  operationId: "createEndpoint",
  summary: "Reserve an endpoint on a network; a worker for itself only",
  access: "operatorOrOwn",
  status: 201,
  problems: PROBLEMS_OF_CREATION,
  body: endpointRequest,
  query: noQuery,
  reply: endpointView,
  handle: async (call) => {
    const found = new Found(await call.context.control.read(), call);
    const networkId = found.network(call.param, NETWORK_IN_PATH).id;
    const endpoint = newEndpoint({ call, found, asked: call.body, networkId, field: "" });
    const value = await submit(call, {
      kind: "endpoints.create",
      body: { endpoints: [endpoint] },
    }, { found, fieldOf: fieldOfOne });
    const [created] = valueOf("endpoints.create", value).endpoints.map(newViewOf);
    if (created === undefined) throw new TypeError("The state made no endpoint");
    return {
      body: created,
      revision: created.revision,
      location: `/v1/endpoints/${created.id}`,
    };
  },
});

const createEndpoints = clusterRoute({
  method: "POST",
  path: "/v1/endpoints",
  operationId: "createEndpoints",
  summary: "Reserve endpoints on several networks, all or none; a worker for itself only",
  access: "operatorOrOwn",
  status: 201,
  problems: PROBLEMS_OF_CREATION,
  body: endpointsRequest,
  query: noQuery,
  reply: endpointsReply,
  handle: async (call) => {
    const found = new Found(await call.context.control.read(), call);
    const endpoints = call.body.endpoints.map((asked, index) => {
      const field = `/endpoints/${index}`;
      const networkId = found.network(asked.network, { field: `${field}/network` }).id;
      const endpoint = newEndpoint({ call, found, asked, networkId, field });
      return { ...endpoint, id: asked.id ?? endpoint.id };
    });
    const value = await submit(call, {
      kind: "endpoints.create",
      body: { endpoints },
    }, { found, fieldOf: fieldOfSeveral });
    return { body: { endpoints: valueOf("endpoints.create", value).endpoints.map(newViewOf) } };
  },
});

const listEndpoints = clusterRoute({
  method: "GET",
  path: "/v1/networks/{network}/endpoints",
  operationId: "listEndpoints",
  summary: "Endpoints of a network, ordered by id",
  access: "operator",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: pageQuery,
  reply: pageSchema(endpointView),
  handle: async (call) => {
    const view = await call.context.control.read();
    const found = new Found(view, call);
    const { id } = found.must(found.network(call.param, NETWORK_IN_PATH).object);
    return { body: pageOf(view.state.endpointsOf(id), call.query, viewOfIn(view)) };
  },
});

const getEndpoint = clusterRoute({
  method: "GET",
  path: "/v1/endpoints/{endpoint}",
  operationId: "getEndpoint",
  summary: "One endpoint",
  access: "operator",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: endpointView,
  handle: async (call): Promise<Answer<EndpointView>> => {
    const view = await call.context.control.read();
    const endpoint = view.state.endpoints.get(call.param);
    if (endpoint === undefined) throw notFound("endpoint", call.param, ENDPOINT_IN_PATH);
    return { body: viewOfIn(view)(endpoint), revision: endpoint.revision };
  },
});

const deleteEndpoint = clusterRoute({
  method: "DELETE",
  path: "/v1/endpoints/{endpoint}",
  operationId: "deleteEndpoint",
  summary: "Delete an endpoint; a worker its own only",
  access: "operatorOrOwn",
  status: 204,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch"],
  body: nothing,
  query: noQuery,
  reply: nothing,
  handle: async (call) => {
    const view = await call.context.control.read();
    const found = new Found(view, call);
    const { id, object } = found.byId("endpoint", view.state.endpoints, call.param);
    if (object !== undefined) {
      assertOwn(call.context.principal, object.nodeId, "delete an endpoint");
    }
    const value = await submit(call, {
      kind: "endpoints.delete",
      body: { ids: [id], ...found.revisionAsked() },
    }, { found, fieldOf: () => null });
    if (valueOf("endpoints.delete", value).ids.length === 0) {
      // To the state it is no error that an endpoint is gone; to one who asks for it by name it is.
      throw notFound("endpoint", call.param, ENDPOINT_IN_PATH);
    }
    return { body: undefined };
  },
});

/** `/v1/endpoints` and `/v1/networks/{network}/endpoints`. */
export const endpointRoutes: readonly Route<ClusterContext>[] = [
  createEndpoint,
  createEndpoints,
  listEndpoints,
  getEndpoint,
  deleteEndpoint,
];

function newEndpoint(
  { call, found, asked, networkId, field }: {
    readonly call: Pick<ClusterCall<unknown, unknown>, "context">;
    readonly found: Found;
    readonly asked: EndpointRequest;
    readonly networkId: Id;
    /** JSON pointer to `asked`. */
    readonly field: string;
  },
): NewEndpoint {
  const { control, principal } = call.context;
  const { node, name, ip, mac } = asked;
  if (node === undefined && principal.kind !== "node") {
    throw new ApiProblem("invalid-value", "Say on which node: the call does not come from one", {
      field: `${field}/node`,
    });
  }
  const nodeId = node === undefined && principal.kind === "node"
    ? principal.id
    : found.node(node ?? "", { field: `${field}/node` }).id;
  assertOwn(principal, nodeId, "create an endpoint");
  return {
    id: control.newId(),
    networkId,
    nodeId,
    ...(name === undefined ? {} : { name }),
    ...(ip === undefined ? {} : { ip }),
    ...(mac === undefined ? {} : { mac }),
  };
}

/** The client of many endpoints names networks and nodes by id or name, the command by id. */
function fieldOfSeveral(field: string): string {
  return field.replace(/\/(network|node)Id$/, "/$1");
}

/** The client of one endpoint knows nothing of a list; its network is in the path. */
const fieldOfOne: FieldNames = (field) => {
  const own = fieldOfSeveral(field).replace(/^\/endpoints\/0/, "");
  return own === "" || own === "/network" ? null : own;
};

function viewOfIn(view: View): (endpoint: Endpoint) => EndpointView {
  return (endpoint) => ({
    ...newViewOf(endpoint),
    attachment: view.liveness(endpoint.nodeId).attached.has(endpoint.id)
      ? "attached"
      : "unattached",
  });
}

/** As it was when it was made, so that a repeated request has the same answer. */
function newViewOf(endpoint: Endpoint): EndpointView {
  const { id, networkId, nodeId, name, ip, mac, createdAtMs, revision } = endpoint;
  return {
    id,
    networkId,
    nodeId,
    name,
    ip,
    mac,
    attachment: "unattached",
    createdAt: formatTime(createdAtMs),
    revision,
  };
}
