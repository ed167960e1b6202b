import assert from "node:assert/strict";
import type { ClusterHost } from "./cluster.ts";
import { pause, waitFor } from "./wait.ts";

/**
 * Lets an agent do something, and stops it after each message that it sends by `send`: all of its netlink
 * goes that way, and some of its talk with others. Each time `decide` is asked, with the number of the
 * message from 1 on, whether it goes on or is killed as it stands. Gives how many messages there were.
 */
export async function step(
  host: ClusterHost,
  action: () => Promise<unknown>,
  decide: (message: number) => "go on" | "kill",
): Promise<number> {
  const pid = host.agentPid();
  const machinePid = machinePidOf(host, pid);
  const tracer = host.lab.spawn([
    ...["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto"],
    ...["-e", "inject=sendto:signal=STOP:when=1+", "-p", `${pid}`],
  ]);
  let said = "";
  const reading = Promise.all([
    tracer.stdout.cancel(),
    (async () => {
      for await (const text of tracer.stderr.pipeThrough(new TextDecoderStream())) said += text;
    })(),
  ]);
  await waitFor("every thread of the agent to be traced", () => {
    if (threads(machinePid, /^TracerPid:\t0$/m) > 0) throw new Error(`a thread is not: ${said}`);
    return true;
  });
  let goesOn = true;
  // Whoever is killed does not answer.
  const acting = action().catch(() => {}).finally(() => goesOn = false);
  let messages = 0;
  while (goesOn) {
    if (threads(machinePid, /^State:\t[^tTZ]/m) > 0) await pause(2);
    else if (decide(++messages) === "kill") {
      Deno.kill(machinePid, "SIGKILL");
      await waitFor("the agent to end", () => !host.processRuns(pid));
      break;
    } else {
      Deno.kill(machinePid, "SIGCONT");
      await pause(2);
    }
  }
  await acting;
  if (host.processRuns(pid)) {
    await tracer.kill("SIGINT").catch(() => {});
    await tracer.status;
    // A message of its own accord may have stopped it once more.
    Deno.kill(machinePid, "SIGCONT");
  }
  await tracer.status;
  await reading;
  return messages;
}

/** How many threads of a process there are of whose status this is so. */
function threads(machinePid: number, status: RegExp): number {
  const task = `/proc/${machinePid}/task`;
  let count = 0;
  try {
    for (const { name } of Deno.readDirSync(task)) {
      if (status.test(Deno.readTextFileSync(`${task}/${name}/status`))) count++;
    }
  } catch {
    // One ends as it is looked at: it is looked at again.
    return Infinity;
  }
  return count;
}

/** The number that a process of a host has on the machine. */
function machinePidOf(host: ClusterHost, pid: number): number {
  const netns = Deno.readLinkSync(host.lab.netns);
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    try {
      const status = Deno.readTextFileSync(`/proc/${name}/status`);
      const isIt = new RegExp(`^NSpid:.*\\t${pid}$`, "m").test(status) &&
        Deno.readLinkSync(`/proc/${name}/ns/net`) === netns;
      if (isIt) return Number(name);
    } catch {
      // It has ended.
    }
  }
  return assert.fail(`process ${pid} of ${host.name} runs`);
}
