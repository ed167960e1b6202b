import type { ClusterApp } from "./app.ts";
import type { Control } from "./ports.ts";
import type { AppOptions } from "./serve.ts";

/**
 * Makes the app that managers serve on the control port, and that forwarded calls come to. Its routes
 * and their schemas are loaded then, for no host but a manager has a use for them.
 */
export async function loadClusterApp(control: Control, options: AppOptions): Promise<ClusterApp> {
  const { createClusterApp } = await import("./app.ts");
  return createClusterApp(control, options);
}
