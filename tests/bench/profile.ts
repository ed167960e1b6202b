import { Session } from "node:inspector/promises";

/** Runs something with V8's sampling profiler, if there is a file to write what it has seen to. */
export async function profiled<T>(path: string | null, work: () => Promise<T>): Promise<T> {
  if (path === null) return await work();
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 500 });
  await session.post("Profiler.start");
  try {
    return await work();
  } finally {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    Deno.writeTextFileSync(path, JSON.stringify(profile));
  }
}
