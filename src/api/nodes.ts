import type { Node } from "../state/mod.ts";
import { valueOf } from "../state/mod.ts";
import { assertOwn } from "./access.ts";
import { asJson, type ClusterContext, clusterRoute, Found, idFromPath, submit } from "./context.ts";
import { checkBody } from "./input.ts";
import { mergePatch } from "./merge_patch.ts";
import { pageOf } from "./page.ts";
import type { Quorum, View } from "./ports.ts";
import type { Answer, Route } from "./route.ts";
import { managersView } from "./schema/cluster.ts";
import { nodePatch, nodeView, patchedNode } from "./schema/node.ts";
import { noQuery, nothing, pageOf as pageSchema, pageQuery } from "./schema/parts.ts";
import { formatTime } from "./time.ts";
import type { ManagerView, NodeView } from "./types.ts";

const IN_PATH = { in: "path", field: "node" } as const;

const listNodes = clusterRoute({
  method: "GET",
  path: "/v1/nodes",
  operationId: "listNodes",
  summary: "Nodes, ordered by id, and whether they are alive",
  access: "operator",
  status: 200,
  problems: [],
  body: nothing,
  query: pageQuery,
  reply: pageSchema(nodeView),
  handle: async ({ context, query }) => {
    const view = await context.control.read();
    return { body: pageOf(view.state.nodes.values(), query, (node) => viewOf(node, view)) };
  },
});

const getNode = clusterRoute({
  method: "GET",
  path: "/v1/nodes/{node}",
  operationId: "getNode",
  summary: "One node, by id or hostname",
  access: "operator",
  status: 200,
  problems: ["not-found"],
  body: nothing,
  query: noQuery,
  reply: nodeView,
  handle: async (call) => {
    const view = await call.context.control.read();
    const found = new Found(view, call);
    return answerOf(found.must(found.node(call.param, IN_PATH).object), view);
  },
});

const updateNode = clusterRoute({
  method: "PATCH",
  path: "/v1/nodes/{node}",
  operationId: "updateNode",
  summary: "Change a node's labels, or its role",
  access: "operator",
  status: 200,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch", "in-use", "last-manager", "quorum-at-risk"],
  body: nodePatch,
  query: noQuery,
  reply: nodeView,
  handle: async (call) => {
    const view = await call.context.control.read();
    const found = new Found(view, call);
    const { id, object } = found.node(call.param, IN_PATH);
    const before = { labels: object?.labels ?? {}, role: object?.role ?? "worker" };
    const after = checkBody(patchedNode, mergePatch(asJson(before), asJson(call.body)));
    const value = await submit(call, {
      kind: "node.update",
      body: { id, labels: after.labels ?? {}, role: after.role, ...found.revisionFor(object) },
    }, { found, fieldOf: idFromPath });
    return answerOf(valueOf("node.update", value), view);
  },
});

const removeNode = clusterRoute({
  method: "DELETE",
  path: "/v1/nodes/{node}",
  operationId: "removeNode",
  summary: "Remove a node and its endpoints; a worker itself only",
  access: "operatorOrOwn",
  status: 204,
  conditional: "if-match",
  problems: ["not-found", "revision-mismatch", "last-manager", "quorum-at-risk"],
  body: nothing,
  query: noQuery,
  reply: nothing,
  handle: async (call) => {
    const found = new Found(await call.context.control.read(), call);
    const { id, object } = found.node(call.param, IN_PATH);
    if (object !== undefined) assertOwn(call.context.principal, id, "remove the membership");
    await submit(call, {
      kind: "node.remove",
      body: { id, ...found.revisionAsked() },
    }, { found, fieldOf: idFromPath });
    return { body: undefined };
  },
});

const listManagers = clusterRoute({
  method: "GET",
  path: "/v1/managers",
  operationId: "listManagers",
  summary: "The managers as the leader knows them, and how many of them may fail",
  access: "operator",
  status: 200,
  problems: [],
  body: nothing,
  query: noQuery,
  reply: managersView,
  handle: async ({ context }) => {
    const view = await context.control.read();
    const { members, ...quorum } = view.quorum();
    const items = [...view.state.nodes.values()]
      .filter(({ role }) => role === "manager")
      .map((node) => managerOf(node, quorum.leaderId, members))
      .sort((left, right) => left.id < right.id ? -1 : 1);
    return { body: { ...quorum, items } };
  },
});

/** `/v1/nodes` and `/v1/managers`. */
export const nodeRoutes: readonly Route<ClusterContext>[] = [
  listManagers,
  listNodes,
  getNode,
  updateNode,
  removeNode,
];

function managerOf({ id, facts }: Node, leaderId: string, members: Quorum["members"]): ManagerView {
  const { hostname, controlAddress } = facts;
  const known = { id, hostname, controlAddress };
  if (id === leaderId) return { ...known, standing: "leader", heard: true, silentMs: 0, lag: 0 };
  const member = members.find((one) => one.id === id);
  if (member === undefined) {
    return { ...known, standing: "joining", heard: false, silentMs: null, lag: null };
  }
  const { voter, isHeard, silentMs, lag } = member;
  return { ...known, standing: voter ? "voter" : "learner", heard: isHeard, silentMs, lag };
}

function answerOf(node: Node, view: View): Answer<NodeView> {
  return { body: viewOf(node, view), revision: node.revision };
}

function viewOf(node: Node, view: View): NodeView {
  const { id, index, role, labels, facts, certificates, joinedAtMs, revision } = node;
  const { alive, lastSeenAtMs, lastError, ipsec } = view.liveness(id);
  return {
    id,
    index,
    role,
    labels,
    hostname: facts.hostname,
    controlAddress: facts.controlAddress,
    vtepAddress: facts.vtepAddress,
    underlayMtuBytes: facts.underlayMtuBytes,
    hostRoutes: facts.hostRoutes,
    encryption: facts.encryption,
    agentVersion: facts.agentVersion,
    featureLevel: facts.featureLevel,
    certificates: certificates.map(({ serial, notAfterMs }) => ({
      serial,
      notAfter: formatTime(notAfterMs),
    })),
    joinedAt: formatTime(joinedAtMs),
    revision,
    alive,
    lastSeenAt: lastSeenAtMs === null ? null : formatTime(lastSeenAtMs),
    lastError,
    ipsec,
  };
}
