import type { HostControl } from "./ports.ts";
import { defineRoute, type Route, type RouteSpec } from "./route.ts";

/** What a host's own routes stand on. Whoever can open its socket is its root. */
export interface HostContext {
  readonly host: HostControl;
}

/** {@linkcode defineRoute} for a host's own routes. */
export function hostRoute<Body, Query, Reply>(
  spec: RouteSpec<HostContext, Body, Query, Reply>,
): Route<HostContext> {
  return defineRoute(spec);
}
