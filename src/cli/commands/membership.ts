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
import {
  type Action,
  examples,
  type Format,
  format,
  logLevel,
  runDir,
  stateDir,
  textOption,
} from "../options.ts";
import type { BeginOptions, Lifecycle, LogLevel, Membership, Ports, Say } from "../ports.ts";
import { note, print } from "../print.ts";

/** A person has one day for the other hosts, and another token is one command away. */
const FIRST_TOKEN = { role: "worker", uses: 100 } as const;

const begin = {
  stateDir,
  runDir,
  format,
  logLevel,
  advertise: textOption(
    "--advertise",
    "ADDRESS",
    message`Where the others reach this host, with or without a port; by default the source address of its route to them.`,
  ),
  vtep: textOption(
    "--vtep",
    "ADDRESS",
    message`Its address for the overlay's packets; by default the same.`,
  ),
  foreground: option("--foreground", {
    description: message`Stay and run the agent, for containers and supervisors.`,
  }),
  noService: option("--no-service", {
    description: message`Start a process even where a service manager could keep it over a reboot.`,
  }),
};

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
    }),
    ({ pool, ...options }): Action => async (ports) => {
      const lifecycle = await ports.lifecycle();
      const membership = await lifecycle.init({ ...beginOptions(options), pool }, sayTo(ports));
      const announce = () => announceCluster(ports, options, membership);
      if (options.foreground) return await stay(ports, lifecycle, options, announce);
      await announce();
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Found a cluster with this host as its first manager.`,
    description:
      message`Founds a cluster with this host as its first manager, starts the agent, and prints the command that the other hosts join with.`,
    ...examples("agent init", "agent init --advertise 192.0.2.1 --vtep 198.51.100.1"),
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

interface Begin {
  readonly stateDir: string;
  readonly runDir: string;
  readonly format: Format;
  readonly logLevel: LogLevel;
  readonly advertise: string | undefined;
  readonly vtep: string | undefined;
  readonly foreground: boolean;
  readonly noService: boolean;
}

function beginOptions(options: Begin): BeginOptions {
  const { stateDir, runDir, advertise, vtep, foreground, noService } = options;
  return {
    stateDir,
    runDir,
    advertise,
    vtep,
    start: foreground ? "none" : "background",
    service: noService ? "never" : "if-available",
  };
}

function sayTo(ports: Ports): Say {
  return (step) => note(ports, step);
}

/** Runs the agent in this process; `announce` once it is ready. */
async function stay(
  ports: Ports,
  lifecycle: Lifecycle,
  { stateDir, runDir, logLevel }: Begin,
  announce: () => Promise<void>,
): Promise<number> {
  let announced = Promise.resolve();
  const code = await lifecycle.run({
    stateDir,
    runDir,
    logLevel,
    mayBegin: () => Promise.resolve("now"),
    onReady: () => {
      // The agent goes on without it: `agent token create` is there for the same.
      announced = announce().catch((error) => note(ports, `agent: ${error.message}`));
    },
  });
  await announced;
  return code;
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

function noteHowItRuns(ports: Ports, { runs, logPath }: Membership): void {
  if (runs === "as-service") {
    note(
      ports,
      "The agent runs as agent.service, also after a reboot; `journalctl -u agent` shows its log.",
    );
  }
  if (runs === "as-process") {
    note(ports, `The agent runs in the background and logs to ${logPath}.`);
    note(ports, "After a reboot, start it with `agent run`.");
  }
}

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
