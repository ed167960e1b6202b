// needs: root vxlan
import assert from "node:assert/strict";
import type { EndpointView, Page } from "../../src/api/mod.ts";
import { AGENT, type ClusterHost, withCluster, type Workload } from "./cluster.ts";
import { waitFor } from "./wait.ts";

/** The endpoint goes so soon after its last process has ended. */
const GONE_MS = 1000;
/** What ends only by a signal. */
const WAITING = ["sleep", "1000"];

Deno.test(
  "agent exec",
  { sanitizeOps: true, sanitizeResources: true },
  (t) =>
    withCluster(2, async ({ hosts: [one, two] }) => {
      assert(one !== undefined && two !== undefined);
      await one.createNetwork("red");
      await one.createNetwork("blue");
      const far = await one.addWorkload("far", ["red", "blue"]);
      const step = (name: string, test: () => Promise<void>) =>
        t.step(name, async () => {
          await test();
          await gone(two, far);
        });

      await step("output and exit code are the command's own", () => ownExitCode(two));
      await step("it is on every network that was asked for", () => onNetworks(two, far));
      await step("a signal reaches the command", () => getsSignal(two));
      await step("the terminal is the command's own", () => hasTerminal(two));
      await step(
        "a command that is not there is 127, one that cannot be run 126",
        () => cannotRun(two),
      );
      await step(
        "a network that is not there is one line, and the command is not run",
        () => refused(two),
      );
      await step("the endpoint goes with a command that is killed", () => killed(two, far));
      await step(
        "the endpoint stays when the command closes every descriptor",
        () => closesAll(two, far),
      );
      await step("the endpoint stays as long as a child does", () => leavesChild(two, far));
      await step("a restarted agent knows which processes are left", () => restarted(two, far));
      await step(
        "what ended while no agent ran is found when it starts",
        () => endedMeanwhile(two, far),
      );
    }),
);

async function ownExitCode(host: ClusterHost): Promise<void> {
  const script = "echo out; echo err >&2; exit 42";
  const { status, stdout, stderr } = await host.agent("exec", "red", "--", "sh", "-c", script);
  assert.deepEqual({ status, stdout, stderr }, { status: 42, stdout: "out\n", stderr: "err\n" });
  const ended = await host.agent("exec", "red", "--", "sh", "-c", "kill -KILL $$");
  assert.equal(ended.status, 128 + 9);
}

async function onNetworks(host: ClusterHost, far: Workload): Promise<void> {
  const [red, blue] = far.attachment.interfaces;
  assert(red !== undefined && blue !== undefined);
  const script = `ip -o -4 address; ping -c 1 -W 5 ${red.ip} && ping -c 1 -W 5 ${blue.ip}`;
  const { status, stdout } = await host.agent(
    ...["exec", "red", "--network", "blue,ip=10.64.1.77,interface=blue0", "--ip", "10.64.0.99"],
    ...["--name", "web", "--", "sh", "-c", script],
  );
  assert.equal(status, 0);
  assert.match(stdout, /eth0 +inet 10\.64\.0\.99\/24/);
  assert.match(stdout, /blue0 +inet 10\.64\.1\.77\/24/);
}

async function getsSignal(host: ClusterHost): Promise<void> {
  const script = 'trap "exit 7" TERM; echo ready; while :; do sleep 0.02; done';
  const process = host.start([AGENT, "exec", "red", "--", "sh", "-c", script]);
  const reader = process.stdout.getReader();
  await reader.read();
  await process.kill("SIGTERM");
  assert.equal(await process.status, 7);
  await reader.cancel();
  await process.stderr.cancel();
}

async function hasTerminal(host: ClusterHost): Promise<void> {
  const command = `${AGENT} exec red -- sh -c 'tty; test -t 0 && test -t 1 && test -t 2'`;
  const { status, stdout } = await host.lab.output(["script", "-qec", command, "/dev/null"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\/dev\/pts\/\d+\r?$/m);
}

async function cannotRun(host: ClusterHost): Promise<void> {
  const missing = await host.agent("exec", "red", "--", "no-such-command");
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /^agent.*no-such-command.*\n$/);
  await host.sh("echo text >/run/text; chmod 644 /run/text");
  const text = await host.agent("exec", "red", "--", "/run/text");
  assert.equal(text.status, 126);
  assert.match(text.stderr, /^agent.*\/run\/text.*\n$/);
}

async function refused(host: ClusterHost): Promise<void> {
  const { status, stdout, stderr } = await host.agent("exec", "green", "--", "echo", "run");
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^agent.*green.*\n$/);
}

async function killed(host: ClusterHost, far: Workload): Promise<void> {
  const { process, endpoint } = await execWaiting(host, far);
  assert(await far.reaches(endpoint.ip));
  await process.kill("SIGKILL");
  await process.status;
  await gone(host, far);
}

async function closesAll(host: ClusterHost, far: Workload): Promise<void> {
  const closing = 'for fd in /proc/self/fd/*; do eval "exec ${fd##*/}>&-"; done; exec sleep 1000';
  const { process, endpoint } = await execWaiting(host, far, ["bash", "-c", closing]);
  const pid = await process.pid();
  await waitFor(
    "all descriptors to be closed",
    () => [...Deno.readDirSync(`/proc/${pid}/fd`)].length === 0,
  );
  // The agent has dealt with the closed connection when it has dealt with what came after it.
  assert.equal((await host.agent("exec", "red", "--", "true")).status, 0);
  await waitFor("only the other to go", async () => (await endpointsOf(host, far)).length === 1);
  assert(await far.reaches(endpoint.ip));
  await process.kill("SIGKILL");
  await process.status;
  await gone(host, far);
}

async function leavesChild(host: ClusterHost, far: Workload): Promise<void> {
  const script = "setsid sleep 1000 >/dev/null 2>&1 & echo $!";
  const { status, stdout } = await host.agent("exec", "red", "--", "sh", "-c", script);
  assert.equal(status, 0);
  assert.equal((await host.agent("exec", "red", "--", "true")).status, 0);
  await waitFor("only the other to go", async () => (await endpointsOf(host, far)).length === 1);
  const [endpoint] = await endpointsOf(host, far);
  assert(endpoint !== undefined && await far.reaches(endpoint.ip));
  await host.lab.exec("kill", "-KILL", stdout.trim());
  await gone(host, far);
}

async function restarted(host: ClusterHost, far: Workload): Promise<void> {
  const { process, endpoint } = await execWaiting(host, far);
  await host.killAgent();
  assert(await far.reaches(endpoint.ip));
  await host.restartAgent();
  assert(await far.reaches(endpoint.ip));
  assert.deepEqual((await endpointsOf(host, far)).map(({ id }) => id), [endpoint.id]);
  await process.kill("SIGKILL");
  await process.status;
  await gone(host, far);
}

async function endedMeanwhile(host: ClusterHost, far: Workload): Promise<void> {
  const { process, endpoint } = await execWaiting(host, far);
  assert(await far.reaches(endpoint.ip));
  await host.killAgent();
  await process.kill("SIGKILL");
  await process.status;
  await host.restartAgent();
  await gone(host, far);
}

/** Runs a command that waits, until its endpoint is attached. */
async function execWaiting(host: ClusterHost, far: Workload, command: readonly string[] = WAITING) {
  const argv = [AGENT, "exec", "red", "--", ...command];
  const process = host.start(argv, { output: "null" });
  const endpoint = await waitFor("the endpoint to be attached", async () => {
    return (await endpointsOf(host, far)).find(({ attachment }) => attachment === "attached");
  });
  return { process, endpoint };
}

/** Endpoints of a host on either network, as the manager, where `far` is, has them. */
async function endpointsOf(host: ClusterHost, far: Workload): Promise<readonly EndpointView[]> {
  const { nodeId } = await host.ready();
  const lists = await Promise.all(
    ["red", "blue"].map((network) =>
      far.host.socket.get<Page<EndpointView>>(`/v1/networks/${network}/endpoints?limit=1000`)
    ),
  );
  return lists.flatMap(({ items }) => items).filter((endpoint) => endpoint.nodeId === nodeId);
}

/** Nothing is left of any command: at the leader, at the agent, in the kernel. */
async function gone(host: ClusterHost, far: Workload): Promise<void> {
  await waitFor(
    "the endpoint to go",
    async () => (await endpointsOf(host, far)).length === 0,
    GONE_MS,
  );
  assert.deepEqual(await host.socket.get("/v1/attachments"), { items: [] });
  await waitFor("its network to go", async () => await host.sh("ip netns") === "", GONE_MS);
}
