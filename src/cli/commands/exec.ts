import { object } from "@optique/core/constructs";
import { type Message, message } from "@optique/core/message";
import { map, multiple } from "@optique/core/modifiers";
import { argument, command, option } from "@optique/core/primitives";
import { string, type ValueParser } from "@optique/core/valueparser";
import type { AttachmentNetworkRequest } from "../../api/mod.ts";
import { becomeWorkload } from "../become.ts";
import {
  type Action,
  examples,
  reference,
  referenceArgument,
  runDir,
  textOption,
} from "../options.ts";

/** `agent exec` */
export const exec = command(
  "exec",
  map(
    object({
      runDir,
      network: referenceArgument("NETWORK", message`Id or name.`),
      more: multiple(option("--network", furtherNetwork(), {
        description: message`Another network to be on; can be given several times.`,
      })),
      name: textOption("--name", "NAME", message`Its name on each network.`),
      ip: textOption("--ip", "ADDRESS", message`Its address on NETWORK; by default a free one.`),
      interface: textOption(
        "--interface",
        "NAME",
        message`The interface to NETWORK; by default the first free ethN.`,
      ),
      argv: multiple(
        argument(string({ metavar: "CMD" }), {
          description: message`What to run, with its arguments; put -- before it.`,
        }),
        { min: 1, errors: { tooFew: message`Say what to run: agent exec NETWORK -- CMD.` } },
      ),
    }),
    ({ runDir, network, more, name, ip, interface: interfaceName, argv }): Action => (ports) =>
      becomeWorkload(ports, {
        runDir,
        argv,
        name,
        networks: [{ network, ip, interface: interfaceName }, ...more],
      }),
  ),
  {
    brief: message`Run a command on a network.`,
    description:
      message`Runs a command in a network namespace of its own that is attached to the networks. The agent becomes the command: its signals, terminal and exit code are its own, and its endpoint goes when its last process ends.`,
    ...examples(
      "agent exec shop --name web -- python3 -m http.server 80",
      "agent exec shop --network bank,ip=10.64.1.9 -- sh",
    ),
  },
);

/** `NETWORK[,ip=ADDRESS][,interface=NAME]` */
function furtherNetwork(): ValueParser<"sync", AttachmentNetworkRequest> {
  const network = reference("NETWORK");
  return {
    mode: "sync",
    metavar: "NETWORK[,ip=…][,interface=…]",
    placeholder: { network: "" },
    parse: (input) => {
      const [first = "", ...rest] = input.split(",");
      const parsed = network.parse(first);
      if (!parsed.success) return parsed;
      const chosen: { ip?: string; interface?: string } = {};
      for (const part of rest) {
        const [, key, value] = /^(ip|interface)=(.+)$/.exec(part) ?? [];
        if (value === undefined) return { success: false, error: notAChoice(part) };
        if (key === "ip") chosen.ip = value;
        else chosen.interface = value;
      }
      return { success: true, value: { network: first, ...chosen } };
    },
    format: ({ network, ip, interface: name }) =>
      [
        network,
        ...(ip === undefined ? [] : [`ip=${ip}`]),
        ...(name === undefined ? [] : [`interface=${name}`]),
      ].join(","),
  };
}

function notAChoice(part: string): Message {
  return message`${part} is neither ip=ADDRESS nor interface=NAME.`;
}
