import type { Endpoints } from "./endpoints.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { formatOperation } from "./operation.ts";
import { planSandbox } from "./plan.ts";
import type { Wanted } from "./wanted.ts";

/**
 * What a round would do for one sandbox and its endpoints, as text.
 *
 * @param live as it was just seen; null when there is none
 */
export function previewSandbox(
  name: string,
  wanted: Wanted,
  live: LiveSandbox | null,
  states: Endpoints,
): readonly string[] {
  const endpoints = wanted.endpoints.get(name) ?? [];
  const network = wanted.networks.get(name) ?? null;
  const plan = planSandbox(network, endpoints, live?.sandbox ?? null);
  const operations = [...plan.removals, ...plan.devices, ...plan.entries];
  const refusals = plan.refusal === null ? [] : [plan.refusal];
  const { bridge } = plan;
  for (const endpoint of endpoints) {
    if (bridge === null) break;
    const own = states.plan(endpoint, live, bridge);
    if (own.kind === "attached") operations.push(...own.operations);
    if (own.kind === "refused") refusals.push(own.reason);
  }
  return [
    ...operations.map((operation) => `${name}: ${formatOperation(operation)}`),
    ...refusals.map((refusal) => `${name}: refused: ${refusal}`),
  ];
}
