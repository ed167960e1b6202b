import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { argument, command, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import type { TokenCreated } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import { joinCommand, noteToken } from "../join_command.ts";
import { type Action, examples, textOption } from "../options.ts";
import type { Membership, Ports } from "../ports.ts";
import { print } from "../print.ts";
import { type Begin, begin, beginOptions, noteHowItRuns, sayTo, stay } from "./begin.ts";
import { recoverHere, requireNone, restoreHere } from "./recover.ts";

/** A person has one day for the other hosts, and another token is one command away. */
const FIRST_TOKEN = { role: "worker", uses: 100 } as const;

/** `agent init` */
export const init = command(
  "init",
  map(
    object({
      ...begin,
      pool: textOption(
        "--pool",
        "CIDR",
        message`Where the networks' addresses come from; 10.64.0.0/11 by default.`,
      ),
      recover: option("--recover", {
        description:
          message`Do not found a cluster: make this manager the only one of its own, of which too many managers are lost for good. It is done at once. Only with the agent stopped.`,
      }),
      restore: textOption(
        "--restore",
        "FILE",
        message`Do not found a cluster: make this host the only manager of the one in a backup. The recovery key is read from the variable AGENT_RECOVERY_KEY, or from standard input.`,
      ),
      dryRun: option("--dry-run", {
        description: message`With --recover: say what would be kept and discarded, and stop.`,
      }),
    }),
    ({ pool, recover, restore, dryRun, ...options }): Action => async (ports) => {
      if (recover) return await recoverHere(ports, { ...options, pool, restore, dryRun });
      if (restore !== undefined) {
        return await restoreHere(ports, { ...options, pool, restore, dryRun });
      }
      requireNone("a new cluster", { "--dry-run": dryRun });
      const lifecycle = await ports.lifecycle();
      const membership = await lifecycle.init({ ...beginOptions(options), pool }, sayTo(ports));
      const announce = () => announceCluster(ports, options, membership);
      if (options.foreground) return await stay(ports, lifecycle, options, announce);
      await announce();
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Found a cluster with this host as its first manager, or recover one.`,
    description:
      message`Founds a cluster with this host as its first manager, starts the agent, and prints the command that the other hosts join with. With --recover, on a manager whose cluster has lost its quorum for good: keeps all that this manager's disk has, and discards the other managers with the endpoints on them, every join token, and every write that only the other managers had. With --restore, on a fresh host: keeps all that the backup has, and discards all managers with the endpoints on them, every join token, and every write after the backup.`,
    ...examples(
      "agent init",
      "agent init --advertise 192.0.2.1 --vtep 198.51.100.1",
      "agent init --recover --dry-run",
      "agent init --recover",
      "agent init --restore /root/cluster.backup",
    ),
  },
);

/** `agent join` */
export const join = command(
  "join",
  map(
    object({
      ...begin,
      address: argument(string({ metavar: "ADDRESS" }), {
        description: message`Of a manager, with or without a port.`,
      }),
      token: textOption("--token", "TOKEN", message`What init or token create has printed.`),
      tokenFile: textOption(
        "--token-file",
        "PATH",
        message`A file that has the token, or - for standard input: so it does not show in ps.`,
      ),
    }),
    ({ address, token, tokenFile, ...options }): Action => async (ports) => {
      const secret = readToken(ports, token, tokenFile);
      const lifecycle = await ports.lifecycle();
      const membership = await lifecycle.join(
        { ...beginOptions(options), address, token: secret },
        sayTo(ports),
      );
      const announce = () => {
        print(
          ports,
          options.format,
          shown(membership),
          () => `This host is node ${membership.nodeId} of cluster ${membership.clusterId}.\n`,
        );
        noteHowItRuns(ports, membership);
        return Promise.resolve();
      };
      if (options.foreground) return await stay(ports, lifecycle, options, announce);
      await announce();
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Make this host a node of a cluster.`,
    ...examples(
      "agent join 192.0.2.1 --token AGTKN-1-...",
      "agent join 192.0.2.1:7443 --token-file /root/token",
    ),
  },
);

function readToken(
  ports: Ports,
  token: string | undefined,
  path: string | undefined,
): string {
  if ((token === undefined) === (path === undefined)) {
    throw new CommandError(EXIT_CODES.usage, "Give the token by --token or by --token-file");
  }
  if (path === undefined) return token ?? "";
  let text: string;
  try {
    text = ports.process.readText(path);
  } catch (error) {
    throw new CommandError(
      EXIT_CODES.failed,
      `Cannot read the token from ${path}: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
  return text.trim();
}

async function announceCluster(
  ports: Ports,
  { runDir, format }: Begin,
  membership: Membership,
): Promise<void> {
  let created: TokenCreated;
  try {
    created = await new AgentClient(runDir).createToken(FIRST_TOKEN);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(
      error.exitCode,
      `The cluster is founded and the agent runs, but there is no join token yet: ${error.message}. ` +
        "`agent token create` makes one",
      { cause: error },
    );
  }
  const command = joinCommand(membership.controlAddress, created.token);
  const { token } = created;
  print(
    ports,
    format,
    { ...shown(membership), token, joinCommand: command },
    () =>
      `Cluster ${membership.clusterId} is founded. On every other host run:\n\n    ${command}\n\n`,
  );
  noteToken(ports, created);
  noteHowItRuns(ports, membership);
}

/** What others may build on, whatever else the composition knows of a membership. */
function shown(
  { clusterId, nodeId, controlAddress, runs, logPath }: Membership,
): Membership {
  return { clusterId, nodeId, controlAddress, runs, logPath };
}
