import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, optional } from "@optique/core/modifiers";
import { command, option } from "@optique/core/primitives";
import { choice, integer } from "@optique/core/valueparser";
import { type Action, examples, logLevel, runDir, stateDir } from "../options.ts";
import { runAgent } from "../run_agent.ts";

/** `agent run` */
export const run = command(
  "run",
  map(
    object({
      stateDir,
      runDir,
      logLevel,
      readyFd: optional(option("--ready-fd", integer({ min: 3 }), { hidden: true })),
      beginOn: optional(option("--begin-on", choice(["stdin"]), { hidden: true })),
    }),
    (chosen): Action => (ports) => runAgent(ports, chosen),
  ),
  {
    brief: message`Run the agent of a host that is a member.`,
    description:
      message`Runs the agent of a host that is a member, until it is told to stop. What it has made in the kernel stays and goes on forwarding. Logs JSON lines to stderr.`,
    ...examples("agent run", "agent run --log-level debug"),
  },
);
