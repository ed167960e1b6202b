import { AGENT, type ClusterHost } from "../e2e/cluster.ts";

/** Memory of an agent's process. */
export interface Memory {
  /** Resident, in MB of 10⁶ bytes. */
  readonly rssMb: number;
  /** The same, but what it shares with others counted in parts. */
  readonly pssMb: number;
}

/** How long memory has to stand still before it is taken for that of an idle agent. */
const STILL_MS = 3_000;
const STILL_MB = 0.5;
const PATIENCE_MS = 30_000;

/** Memory of an idle agent: once it has stopped to change, or as it is after 30 s. */
export async function idleMemory(host: ClusterHost): Promise<Memory> {
  const giveUpMs = performance.now() + PATIENCE_MS;
  let before = memory(host);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, STILL_MS));
    const now = memory(host);
    const isStill = Math.abs(now.rssMb - before.rssMb) < STILL_MB;
    if (isStill || performance.now() > giveUpMs) return now;
    before = now;
  }
}

function memory(host: ClusterHost): Memory {
  const text = Deno.readTextFileSync(host.lab.path(`/proc/${host.agentPid()}/smaps_rollup`));
  const megabytes = (name: string) => {
    const kib = text.match(new RegExp(`^${name}: *(\\d+) kB$`, "m"))?.[1];
    if (kib === undefined) throw new Error(`The kernel does not tell ${name}`);
    return Number(kib) * 1024 / 1e6;
  };
  return { rssMb: megabytes("Rss"), pssMb: megabytes("Pss") };
}

/** A join, from the start of the command to its end. */
export interface Join {
  readonly ms: number;
  /** What it said, each with its time. */
  readonly steps: readonly { readonly atMs: number; readonly step: string }[];
}

/** Lets a fresh host join, until its agent is ready. */
export async function timedJoin(
  host: ClusterHost,
  manager: string,
  token: string,
): Promise<Join> {
  const steps: { atMs: number; step: string }[] = [];
  const startMs = performance.now();
  const command = host.lab.spawn([AGENT, "join", manager, "--token", token]);
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const atMs = performance.now() - startMs;
      for (const step of text.split("\n")) if (step !== "") steps.push({ atMs, step });
    }
  };
  const output = [follow(command.stdout), follow(command.stderr)];
  const status = await command.status;
  const ms = performance.now() - startMs;
  await Promise.all(output);
  if (status !== 0) {
    throw new Error(`Joining ended with ${status}: ${steps.map(({ step }) => step).join("; ")}`);
  }
  return { ms, steps };
}
