import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { command, option } from "@optique/core/primitives";
import { AgentClient } from "../client.ts";
import { CommandError, RefusedError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, examples, format, runDir, stateDir } from "../options.ts";
import type { Say } from "../ports.ts";
import { note, print } from "../print.ts";

/** `agent leave` */
export const leave = command(
  "leave",
  map(
    object({
      stateDir,
      runDir,
      format,
      force: option("--force", {
        description:
          message`Clean up this host even when no manager can be told, or when it is the last manager: then the cluster is lost.`,
      }),
    }),
    ({ stateDir, runDir, format, force }): Action => async (ports) => {
      const say: Say = (step) => note(ports, step);
      // Loaded first: nothing is given up by a program that cannot do the rest.
      const lifecycle = await ports.lifecycle();
      const isTold = await tellCluster(new AgentClient(runDir), say).then(() => true, (error) => {
        if (!force || !(error instanceof CommandError)) throw withWayOut(error);
        note(ports, `Going on without the cluster: ${error.message}`);
        return false;
      });
      await lifecycle.leave({ stateDir, runDir }, say);
      print(ports, format, { left: true, clusterTold: isTold }, () => "This host has left.\n");
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Take this host out of the cluster, and everything of the agent off it.`,
    ...examples("agent leave", "agent leave --force"),
  },
);

async function tellCluster(agent: AgentClient, say: Say): Promise<void> {
  const { nodeId } = await agent.status();
  say("Telling the cluster that this node leaves");
  await agent.removeNode(nodeId);
}

/** The same error, with what `--force` would do about it. */
function withWayOut(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  const isLast = error instanceof RefusedError && error.problem.code === "last-manager";
  const wayOut = isLast
    ? "To give up the whole cluster: `agent leave --force`"
    : "To clean up without telling the cluster: `agent leave --force` here, and " +
      "`agent node rm` on a manager";
  return new CommandError(error.exitCode, `${error.message}. ${wayOut}`, { cause: error });
}
