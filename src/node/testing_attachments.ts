// What the tests of attachments stand on.
import assert from "node:assert/strict";
import { eventually } from "../cluster/testing_clock.ts";
import { NamedNamespace } from "../machine/testing_namespaces.ts";
import { HostError } from "./mod.ts";
import { type Meddle, type TestHost, TestManager } from "./testing_cluster.ts";

export const sanitized = { sanitizeOps: true, sanitizeResources: true };

export async function setUp(): Promise<{ manager: TestManager; host: TestHost }> {
  const manager = await TestManager.start();
  // The last projection that comes by itself (it has the boot key in it) is acknowledged: the next one
  // comes at once.
  const acknowledged = new Set<unknown>();
  manager.meddle = async (request, _principal, next) => {
    const { received } = request.method === "POST" ? await request.clone().json() : {};
    const answer = await next();
    acknowledged.add(received);
    return answer;
  };
  const host = await manager.join("one");
  await manager.cluster.network("shop");
  await host.agent.ready;
  await eventually(() => {
    const projection = host.agent.projection();
    return projection !== null && projection.node.bootKey !== null &&
      host.bootKeys.pair !== null && acknowledged.has(projection.digest);
  });
  manager.meddle = (_request, _principal, next) => next();
  return { manager, host };
}

export function refusal(code: string, field?: string): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof HostError, String(error));
    assert.deepEqual([error.code, error.field], [code, field], error.message);
    return true;
  };
}

/** Holds requests to a path back until the test lets them go on. */
export function hold(
  path: string,
): { readonly meddle: Meddle; readonly held: () => number; release(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let held = 0;
  return {
    meddle: async (request, _principal, next) => {
      if (new URL(request.url).pathname !== path) return await next();
      held++;
      await promise;
      return await next();
    },
    held: () => held,
    release: resolve,
  };
}

/** As {@linkcode hold}; `told` settles when the leader has heard that something is gone. */
export function holdUntilTold(path: string) {
  const held = hold(path);
  const { promise: told, resolve } = Promise.withResolvers<void>();
  const meddle: Meddle = async (request, principal, next) => {
    if (new URL(request.url).pathname !== "/v1/self/report") {
      return await held.meddle(request, principal, next);
    }
    const { gone } = await request.clone().json();
    const answer = await next();
    if (gone.length > 0) resolve();
    return answer;
  };
  return { ...held, meddle, told };
}

/** Waits until whatever was to be looked at before now has been looked at. */
export async function looked(host: TestHost): Promise<void> {
  using named = new NamedNamespace();
  const control = { netns: named.path, networks: [{ network: "shop" }], lease: true };
  const lease = host.agent.openLease((await host.attach(control)).id);
  lease.close();
  await lease.ended;
}

/** Answers that never arrive: the request was done, and the connection ends. */
export function lose(path: string): Meddle {
  return async (request, _principal, next) => {
    const answer = await next();
    if (new URL(request.url).pathname !== path) return answer;
    const body = new ReadableStream<Uint8Array>({ pull: (control) => control.error(new Error()) });
    return new Response(body, { status: answer.status });
  };
}

/** Nothing is left of any attachment, on either side. */
export async function nothingIsLeft({ manager, host }: { manager: TestManager; host: TestHost }) {
  await eventually(() => manager.plane.state.endpoints.size === 0);
  await eventually(() => host.overlay.interfaces.size === 0);
  assert.deepEqual(host.agent.attachments(), []);
}
