/**
 * Composes the program of its parts. What is heavy (certificates, TLS, the API, the data plane) is
 * loaded only for the commands that need it: `agent exec` and `agent --version` do not.
 *
 * @module
 */
import { AGENT_VERSION } from "./agent/version.ts";
import { endProcess, type ExecHost, main, systemProcess } from "./cli/mod.ts";

/** Does what the arguments say, and ends the process with the exit code that belongs to it. */
export async function runAgent(args: readonly string[]): Promise<never> {
  const code = await main(args, {
    process: systemProcess,
    version: AGENT_VERSION,
    lifecycle: async () => (await import("./agent/lifecycle_port.ts")).lifecycle,
    execHost: loadExecHost,
  });
  return endProcess(code);
}

/** What the single file tells the program that it starts is no business of a workload's. */
const OWN_VARIABLES = new Set([
  "AGENT_EXECUTABLE",
  "DENO_DIR",
  "DENO_NO_UPDATE_CHECK",
  "DENO_DISABLE_NODE_SHIM",
]);

function withoutOwnVariables(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OWN_VARIABLES.has(name)));
}

async function loadExecHost(): Promise<ExecHost> {
  const { becomeCommand, BlockingUnixStream, openNetlinkSocket } = await import("./sys/mod.ts");
  const { Connection, setLink } = await import("./netlink/mod.ts");
  // A new namespace has its loopback down, and few programs expect that.
  const setLoopbackUp = () => {
    const connection = new Connection(openNetlinkSocket({ family: "route" }));
    connection.request(setLink("lo", { up: true }));
    connection.close();
  };
  return {
    becomeCommand: (options) =>
      becomeCommand({
        ...options,
        env: withoutOwnVariables(options.env),
        prepare: () => {
          setLoopbackUp();
          options.prepare();
        },
      }),
    connectUnix: (path) => BlockingUnixStream.connect(path),
  };
}
