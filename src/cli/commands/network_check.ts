import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { command } from "@optique/core/primitives";
import type { NetworkCheckView } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples, referenceArgument } from "../options.ts";
import { note, print } from "../print.ts";
import { formatTable } from "../table.ts";
import { type Names, namesOf } from "./endpoint_rows.ts";

const POLL_MS = 250;
/** Checks of one network come one after the other, and each takes some seconds at most. */
const PATIENCE_MS = 60_000;

/** `agent network check NETWORK` */
export const check = command(
  "check",
  map(
    object({ ...client, network: referenceArgument("NETWORK", message`Id or name.`) }),
    ({ runDir, format, network }): Action => async (ports) => {
      const agent = new AgentClient(runDir);
      const finished = await finish(agent, await agent.checkNetwork(network));
      const names = format === "json" ? new Map() : namesOf([], await agent.nodes());
      print(ports, format, finished, () => formatCheck(finished, names));
      const { directions, passed } = finished;
      if (directions === 0 && format === "text") {
        note(ports, "Nothing to check: there are not two hosts with an endpoint on it.");
      }
      return passed === directions ? EXIT_CODES.ok : EXIT_CODES.notAsWanted;
    },
  ),
  {
    brief: message`Try whether the hosts of an encrypted network reach each other.`,
    description:
      message`Has every host of an encrypted network send every other one real packets through IPsec, small ones and ones as large as the network's MTU allows. Says what does not come through, from where to where, and whether ESP, a host's firewall, the MTU or the key is to blame. It changes nothing. Ends with 5 when something does not come through.`,
    ...examples("agent network check shop", "agent network check shop --json"),
  },
);

/** The newest check of a network, if this leader knows of one. */
export async function newestCheck(
  agent: AgentClient,
  id: string,
): Promise<NetworkCheckView | null> {
  try {
    return await agent.networkCheck(id);
  } catch (error) {
    // What else is known of the network is worth showing.
    if (error instanceof CommandError) return null;
    throw error;
  }
}

/** One line for one who looks at the network. */
export function formatNewestCheck(check: NetworkCheckView | null): string {
  if (check === null || check.finishedAt === null || check.directions === 0) return "";
  const { directions, passed, finishedAt, cause } = check;
  const which = cause === "new-pair" ? " of hosts that were new" : "";
  return `\nPackets came through in ${passed} of ${directions} directions${which} (${finishedAt}); ` +
    "agent network check tries again\n";
}

/** Asks again and again until it has finished. */
async function finish(agent: AgentClient, begun: NetworkCheckView): Promise<NetworkCheckView> {
  const { id, networkId } = begun;
  const looks = Math.ceil(PATIENCE_MS / POLL_MS);
  for (let look = 0, now = begun; look < looks; look++, now = await agent.networkCheck(networkId)) {
    if (now.id !== id) {
      throw new CommandError(
        EXIT_CODES.failed,
        "The check was lost, or another one began: the managers may have elected a leader. Try again",
      );
    }
    if (now.finishedAt !== null) return now;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new CommandError(
    EXIT_CODES.failed,
    `The check has not finished in ${PATIENCE_MS / 1000} s: ask for it with GET, or try again`,
  );
}

/** A line for each direction, and one for each reason. */
function formatCheck({ directions, passed, verdicts }: NetworkCheckView, names: Names): string {
  const nameOf = (id: string) => names.get(id) ?? id;
  const reasons = new Set(
    verdicts.flatMap(({ small, full }) => [small.reason, full.reason])
      .filter((reason) => reason !== null),
  );
  const left = directions - verdicts.length;
  return [
    formatTable(
      ["FROM", "TO", "SMALL", "FULL SIZE"],
      verdicts.map(({ from, to, small, full }) => [
        nameOf(from),
        nameOf(to),
        small.outcome,
        full.outcome,
      ]),
    ),
    left > 0 ? `(and ${left} more)\n` : "",
    `${passed} of ${directions} directions are well\n`,
    ...[...reasons].map((reason) => `- ${reason}\n`),
  ].join("");
}
