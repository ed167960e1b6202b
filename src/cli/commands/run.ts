import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, optional } from "@optique/core/modifiers";
import { command, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { type Action, examples, logLevel, runDir, stateDir } from "../options.ts";

/** `agent run` */
export const run = command(
  "run",
  map(
    object({
      stateDir,
      runDir,
      logLevel,
      // Who starts the agent in the background waits there for one line: `ready`, or why not.
      readyFd: optional(option("--ready-fd", integer({ min: 3 }), { hidden: true })),
    }),
    ({ readyFd, ...options }): Action => async (ports) => {
      const say = async (line: string) => {
        if (readyFd !== undefined) await ports.process.writeLast(readyFd, `${line}\n`);
      };
      let isReady = false;
      try {
        const lifecycle = await ports.lifecycle();
        return await lifecycle.run({
          ...options,
          onReady: () => {
            isReady = true;
            void say("ready");
          },
        });
      } catch (error) {
        if (!isReady) await say(error instanceof Error ? error.message : String(error));
        throw error;
      }
    },
  ),
  {
    brief: message`Run the agent of a host that is a member.`,
    description:
      message`Runs the agent of a host that is a member, until it is told to stop. What it has made in the kernel stays and goes on forwarding. Logs JSON lines to stderr.`,
    ...examples("agent run", "agent run --log-level debug"),
  },
);
