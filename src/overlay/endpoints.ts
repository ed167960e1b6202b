import type { Id } from "../base/mod.ts";
import type { Connection } from "../netlink/mod.ts";
import { type ApplyContext, applyOperations } from "./apply.ts";
import type { DesiredEndpoint } from "./desired.ts";
import type { Host, Namespace } from "./host.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { EMPTY_SANDBOX, linkNamed, type Sandbox, type TargetState } from "./model.ts";
import { portName } from "./names.ts";
import type { Device, Operation } from "./operation.ts";
import { type EndpointPlan, planEndpoint } from "./plan_endpoint.ts";
import { lookAtTarget } from "./workload.ts";

/** What an endpoint is now; "refused" is told as a problem. */
export type EndpointKind = EndpointPlan["kind"];

interface EndpointState {
  readonly kind: EndpointKind;
  /** It was attached once, in this agent's life. */
  readonly seen: "seen" | "unseen";
  /** What was desired, and the port, when its workload was last seen to be right. */
  readonly verified: string | null;
  /** How often something told of a change in the workload. */
  readonly doubts: number;
}

const UNKNOWN: EndpointState = { kind: "waiting", seen: "unseen", verified: null, doubts: 0 };

/** What a step for one endpoint did. */
export interface EndpointReport {
  readonly operations: readonly Operation[];
  readonly failures: readonly string[];
  /** Whether it was attached before: then the operations put back what somebody had changed. */
  readonly wasAttached: boolean;
}

/** The endpoints of one host: what is known of them, and how they are attached. */
export class Endpoints {
  readonly #host: Host;
  readonly #hostNamespace: Namespace;
  readonly #states = new Map<Id, EndpointState>();

  constructor(host: Host, hostNamespace: Namespace) {
    this.#host = host;
    this.#hostNamespace = hostNamespace;
  }

  /** What it was when last looked at. */
  kindOf(id: Id): EndpointKind {
    return (this.#states.get(id) ?? UNKNOWN).kind;
  }

  /** Has the workloads looked at again: all, or that of one port. */
  distrust(port: string | null): void {
    for (const [id, state] of this.#states) {
      if (port === null || portName(id) === port) {
        this.#states.set(id, { ...state, verified: null, doubts: state.doubts + 1 });
      }
    }
  }

  /** Forgets those that are not among these. */
  keepOnly(endpoints: readonly DesiredEndpoint[]): void {
    const ids = new Set(endpoints.map(({ id }) => id));
    for (const id of this.#states.keys()) {
      if (!ids.has(id)) this.#states.delete(id);
    }
  }

  /** Notes what is left of one whose network cannot be had. */
  noteUnusable({ id }: DesiredEndpoint, live: LiveSandbox | null): void {
    const port = live === null ? null : linkNamed(live.sandbox.links, portName(id));
    if (port !== null) return;
    const before = this.#states.get(id) ?? UNKNOWN;
    this.#states.set(id, { ...before, kind: "refused", verified: null });
  }

  /** What is to be done for one, as it is now. */
  plan(endpoint: DesiredEndpoint, live: LiveSandbox | null, bridge: Device): EndpointPlan {
    const sandbox = live?.sandbox ?? EMPTY_SANDBOX;
    const target = this.#lookAtTarget(endpoint, sandbox, live?.connection ?? null);
    const { seen } = this.#states.get(endpoint.id) ?? UNKNOWN;
    return planEndpoint(endpoint, sandbox, bridge, target, seen);
  }

  /** Brings one in order. */
  async round(
    context: ApplyContext,
    live: LiveSandbox,
    bridge: Device,
    endpoint: DesiredEndpoint,
  ): Promise<EndpointReport> {
    const before = this.#states.get(endpoint.id) ?? UNKNOWN;
    const wasAttached = before.kind === "attached";
    const plan = this.plan(endpoint, live, bridge);
    if (plan.kind !== "attached") {
      this.#states.set(endpoint.id, { ...before, kind: plan.kind, verified: null });
      const failures = plan.kind === "refused" ? [plan.reason] : [];
      return { operations: [], failures, wasAttached };
    }
    const { operations } = plan;
    const failures = await applyOperations(context, live, operations);
    await live.look(this.#hostNamespace, () => context.slicer.pause());
    // What went wrong may have left nothing of it: the next look tells.
    const done = failures.length === 0;
    const { doubts } = this.#states.get(endpoint.id) ?? UNKNOWN;
    const undoubted = done && doubts === before.doubts;
    this.#states.set(endpoint.id, {
      kind: done ? "attached" : "refused",
      seen: done ? "seen" : before.seen,
      verified: undoubted ? signature(endpoint, live.sandbox) : null,
      doubts,
    });
    return { operations, failures, wasAttached };
  }

  /** A workload that was right is not looked into again, until something tells of a change in it. */
  #lookAtTarget(
    endpoint: DesiredEndpoint,
    sandbox: Sandbox,
    connection: Connection | null,
  ): TargetState {
    const now = signature(endpoint, sandbox);
    const verified = this.#states.get(endpoint.id)?.verified ?? null;
    if (now !== null && now === verified) return { kind: "absent" };
    return lookAtTarget(this.#host, connection, endpoint.target);
  }
}

/** Null when it has no port. */
function signature(endpoint: DesiredEndpoint, sandbox: Sandbox): string | null {
  const port = linkNamed(sandbox.links, portName(endpoint.id));
  if (port === null) return null;
  const { index, linkIndex, linkNamespaceId } = port;
  return JSON.stringify([endpoint, index, linkIndex, linkNamespaceId]);
}
