import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { argument, command } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { AgentClient } from "../client.ts";
import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples } from "../options.ts";
import { note, print } from "../print.ts";

/** `agent backup` */
export const backup = command(
  "backup",
  map(
    object({
      ...client,
      path: argument(string({ metavar: "FILE" }), {
        description: message`Where the backup is written; nothing may be there yet.`,
      }),
    }),
    ({ runDir, format, path }): Action => async (ports) => {
      const { file, key, ...about } = await new AgentClient(runDir).backup();
      try {
        ports.process.writeNewFile(path, Uint8Array.fromBase64(file, { alphabet: "base64url" }));
      } catch (error) {
        throw new CommandError(
          EXIT_CODES.failed,
          `The backup cannot be written to ${path}: ${
            error instanceof Error ? error.message : error
          }`,
          { cause: error },
        );
      }
      // Only now: a key for a file that is not there would be kept for nothing.
      print(ports, format, { file: path, ...about, recoveryKey: key }, () => `${key}\n`);
      note(
        ports,
        `The state of cluster ${about.clusterId} as of revision ${about.revision} is in ${path}. Above is the ` +
          "only key that opens it, shown this once: keep the two apart. " +
          "`agent init --restore` on a fresh host reads both.",
      );
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Write all of the cluster's state to a file, sealed.`,
    description:
      message`Writes all of the cluster's state to a file, sealed under a key that is printed once and kept nowhere. Only on a manager. What a backup does not have: what is written after it.`,
    ...examples("agent backup /root/cluster.backup"),
  },
);
