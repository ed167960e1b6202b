import type { Listener, ListenerOptions } from "./listener.ts";

/**
 * Listens; resolves when connections are taken. What serves them is loaded then, for no host but a
 * manager does.
 */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { Listener } = await import("./listener.ts");
  return await Listener.start(options);
}
