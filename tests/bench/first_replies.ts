import { type ClusterHost, RUN_DIR } from "../e2e/cluster.ts";
import type { FirstReply, FirstReplyPlan, FirstReplySide } from "./first_reply.ts";
import { percentile, spread } from "./statistics.ts";

/** Median, least and greatest, in words. */
export function range(values: readonly number[], digits: number): string {
  const { median, min, max } = spread(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

/**
 * Makes networks and measures how long it takes until the first reply across hosts.
 *
 * @returns the median, in ms
 */
export async function measureFirstReply(
  manager: ClusterHost,
  [asking, answering]: readonly [ClusterHost, ClusterHost],
  { count, encrypted = false }: { readonly count: number; readonly encrypted?: boolean },
): Promise<number> {
  const plan: FirstReplyPlan = {
    encrypted,
    manager: socketOf(manager),
    asking: await readySide(asking, count),
    answering: await readySide(answering, count),
  };
  const program = new URL("first_reply.ts", import.meta.url).pathname;
  const flags = ["run", "--allow-all", "--no-check", "--quiet", "--unstable-net"];
  const output = await new Deno.Command(Deno.execPath(), {
    args: [...flags, program, JSON.stringify(plan)],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!output.success) throw new Error("Measuring the first reply failed");
  const lines = new TextDecoder().decode(output.stdout).trim().split("\n");
  const replies = lines.map((line): FirstReply => JSON.parse(line));
  const reply = replies.map(({ replyMs }) => replyMs);
  console.log(
    `${
      encrypted ? "an encrypted network" : "a network"
    } and its two workloads, ${count} times, until`,
  );
  console.log(`  the network is made: ${range(replies.map(({ networkMs }) => networkMs), 1)} ms`);
  console.log(`  both are attached: ${range(replies.map(({ attachedMs }) => attachedMs), 1)} ms`);
  console.log(
    `  the first reply across: ${range(reply, 1)} ms, p95 ${percentile(reply, 95).toFixed(1)} ms`,
  );
  return percentile(reply, 50);
}

async function readySide(host: ClusterHost, count: number): Promise<FirstReplySide> {
  const names = Array.from({ length: count }, (_, index) => `first-${index}`);
  await host.sh(names.map((name) => `ip netns add ${name}`).join("\n"));
  return {
    socket: socketOf(host),
    netns: names.map((name) => `/run/netns/${name}`),
    root: host.lab.path(""),
  };
}

/** On the machine. */
export function socketOf(host: ClusterHost): string {
  return host.lab.path(`${RUN_DIR}/agent.sock`);
}
