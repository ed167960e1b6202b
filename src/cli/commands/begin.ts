import { message } from "@optique/core/message";
import { option } from "@optique/core/primitives";
import { type Format, format, logLevel, runDir, stateDir, textOption } from "../options.ts";
import type { BeginOptions, Lifecycle, LogLevel, Membership, Ports, Say } from "../ports.ts";
import { note } from "../print.ts";

/** What every command that makes this host a member, or brings it back as one, can be told. */
export const begin = {
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

/** The same, as it was told. */
export interface Begin {
  readonly stateDir: string;
  readonly runDir: string;
  readonly format: Format;
  readonly logLevel: LogLevel;
  readonly advertise: string | undefined;
  readonly vtep: string | undefined;
  readonly foreground: boolean;
  readonly noService: boolean;
}

/** For the lifecycle. */
export function beginOptions(options: Begin): BeginOptions {
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

/** Steps go to who looks on. */
export function sayTo(ports: Ports): Say {
  return (step) => note(ports, step);
}

/** Runs the agent in this process; `announce` once it is ready. */
export async function stay(
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

/** How to look after the agent from now on. */
export function noteHowItRuns(ports: Ports, { runs, logPath }: Membership): void {
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
