import { type Id, isId, type Json, type JsonObject, type Principal } from "../base/mod.ts";
import type { Command, Network, Node, Outcome } from "../state/mod.ts";
import { ApiProblem, problemOfRejection } from "./problem.ts";
import type { Control, Incarnation, Origin, View } from "./ports.ts";
import { type Call, defineRoute, type Route, type RouteSpec } from "./route.ts";

/** What the cluster's routes stand on, and who calls. */
export interface ClusterContext {
  readonly control: Control;
  readonly principal: Principal;
  /** IP address of the peer. */
  readonly peerAddress: string;
  /** What the caller says of the cluster's incarnation that it lives in; null: nothing. */
  readonly incarnation: Incarnation | null;
}

/** A request on the control port. */
export type ClusterCall<Body, Query> = Call<ClusterContext, Body, Query>;

type AnyClusterCall = Pick<ClusterCall<unknown, unknown>, "context" | "mark" | "ifRevision">;

/** {@linkcode defineRoute} for the cluster's routes. */
export function clusterRoute<Body, Query, Reply>(
  spec: RouteSpec<ClusterContext, Body, Query, Reply>,
): Route<ClusterContext> {
  return defineRoute(spec);
}

/** Who wants a change, and by which id. */
export function originOf({ context, mark }: AnyClusterCall): Origin {
  const { control, principal } = context;
  const { bodyHash } = mark;
  if (mark.requestId !== null) {
    return { principal, requestId: mark.requestId, from: mark.from, bodyHash };
  }
  return { principal, requestId: control.newId(), from: control.stateTimeMs(), bodyHash };
}

/** The client's name of a command's field; null when the fault is not in its body. */
export type FieldNames = (field: string) => string | null;

/** For commands whose fields are called as the client's. */
export const sameFields: FieldNames = (field) => field;

/** For commands whose `id` came from the path. */
export const idFromPath: FieldNames = (field) => field === "/id" ? null : field;

/**
 * Proposes a command.
 *
 * @returns what it has made, as JSON
 * @throws {ApiProblem} when it is rejected
 */
export async function submit(
  call: AnyClusterCall,
  command: Command,
  options: { readonly found?: Found; readonly fieldOf?: FieldNames } = {},
): Promise<JsonObject> {
  return doneOf(await call.context.control.write({ ...originOf(call), command }), options);
}

/**
 * What an outcome has made, as JSON.
 *
 * @throws {ApiProblem} when it is a rejection
 */
export function doneOf(
  outcome: Outcome,
  options: { readonly found?: Found; readonly fieldOf?: FieldNames } = {},
): JsonObject {
  if (outcome.ok) return outcome.value;
  const { rejection } = outcome;
  const missing = options.found?.missing ?? null;
  if (missing !== null && rejection.code === "not-found") throw missing;
  throw problemOfRejection(rejection, options.fieldOf ?? sameFields);
}

/** Where a name or id in a request stands. */
export interface Place {
  readonly field: string;
  readonly in?: "path";
}

/**
 * Finds what a request names.
 *
 * A request that may be a repeated one is sent on also when something it names is not there: the
 * first try may have deleted it, and the state still has the answer of that try. It gets an id that
 * nothing has, so that otherwise it is rejected.
 */
export class Found {
  readonly view: View;
  readonly #call: AnyClusterCall;
  #missing: ApiProblem | null = null;

  constructor(view: View, call: AnyClusterCall) {
    this.view = view;
    this.#call = call;
  }

  /** The first thing that was not found. */
  get missing(): ApiProblem | null {
    return this.#missing;
  }

  /**
   * For routes that only read, where nothing may be missing.
   *
   * @throws {ApiProblem} 404
   */
  must<Item>(object: Item | undefined): Item {
    if (object !== undefined) return object;
    throw this.#missing ?? new TypeError("What is absent was not said to be missing");
  }

  /** The revision that the client demands. */
  revisionAsked(): { readonly ifRevision?: number } {
    const { ifRevision } = this.#call;
    return ifRevision === null ? {} : { ifRevision };
  }

  /**
   * The revision that the client demands, or else the one that a patch was merged with: of two
   * patches at the same time, the second is told, and nothing of the first is lost.
   */
  revisionFor(
    object: { readonly revision: number } | undefined,
  ): { readonly ifRevision?: number } {
    const ifRevision = this.#call.ifRevision ?? object?.revision;
    return ifRevision === undefined ? {} : { ifRevision };
  }

  /** The id of the network, and the network if there is one. */
  network(text: string, place: Place): { readonly id: Id; readonly object: Network | undefined } {
    const { state } = this.view;
    const object = isId(text) ? state.networks.get(text) : state.networkByName(text);
    return { id: object?.id ?? this.#absent("network", text, place), object };
  }

  /** The id of the node, and the node if there is one. */
  node(text: string, place: Place): { readonly id: Id; readonly object: Node | undefined } {
    const { state } = this.view;
    const object = state.nodes.get(text) ?? state.nodeByName(text);
    return { id: object?.id ?? this.#absent("node", text, place), object };
  }

  /** An object that only its id names. */
  byId<Item>(
    what: "endpoint" | "token",
    objects: ReadonlyMap<Id, Item>,
    text: string,
  ): { readonly id: Id; readonly object: Item | undefined } {
    const object = objects.get(text);
    if (object !== undefined) return { id: text, object };
    return { id: this.#absent(what, text, { in: "path", field: what }), object };
  }

  /** @throws {ApiProblem} 404, unless this may be a repeated request */
  #absent(what: string, text: string, place: Place): Id {
    const problem = notFound(what, text, place);
    if (this.#call.mark.by === "nobody") throw problem;
    this.#missing ??= problem;
    return this.#call.context.control.newId();
  }
}

/** Says that what a request names is not there. */
export function notFound(what: string, text: string, place: Place): ApiProblem {
  const shown = text.length <= 64 ? text : `${text.slice(0, 64)}…`;
  return new ApiProblem("not-found", `There is no ${what} ${JSON.stringify(shown)}`, place);
}

/** What a view would be as JSON: interfaces cannot say that they are. */
export function asJson(value: object): Json {
  return JSON.parse(JSON.stringify(value));
}
