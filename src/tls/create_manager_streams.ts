import type { ManagerStreams, ManagerStreamsOptions } from "./manager_streams.ts";

/** Makes a manager's streams, which connect to nobody yet. Loaded when called: workers have none. */
export async function createManagerStreams(
  options: ManagerStreamsOptions,
): Promise<ManagerStreams> {
  const { ManagerStreams } = await import("./manager_streams.ts");
  return new ManagerStreams(options);
}
