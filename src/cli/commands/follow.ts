import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { argument, command } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { AgentClient } from "../client.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples } from "../options.ts";
import { print } from "../print.ts";

/** `agent follow` */
export const follow = command(
  "follow",
  map(
    object({
      ...client,
      address: argument(string({ metavar: "ADDRESS" }), {
        description: message`Of a manager, with or without a port.`,
      }),
    }),
    ({ runDir, format, address }): Action => async (ports) => {
      const manager = await new AgentClient(runDir).follow(address);
      print(
        ports,
        format,
        manager,
        () =>
          `${manager.id} at ${manager.address} is a manager of this host's cluster: it is asked from now on.\n`,
      );
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Tell this host where a manager of its cluster is now.`,
    description:
      message`For a host that knows no manager any more: the cluster was restored from a backup at another address, or all managers have moved. Whether there is one of this very cluster is checked first. Otherwise a host hears of new managers by itself.`,
    ...examples("agent follow 192.0.2.9"),
  },
);
