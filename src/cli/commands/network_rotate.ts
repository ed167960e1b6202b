import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { command, option } from "@optique/core/primitives";
import type { EncryptionView, NetworkView } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples, referenceArgument } from "../options.ts";
import type { Ports } from "../ports.ts";
import { note, print } from "../print.ts";
import { namesOf } from "./endpoint_rows.ts";
import { formatNames, formatNetwork } from "./network_text.ts";

const POLL_MS = 250;

/** `agent network rotate NETWORK` */
export const rotate = command(
  "rotate",
  map(
    object({
      ...client,
      network: referenceArgument("NETWORK", message`Id or name.`),
      wait: map(
        option("--wait", {
          description: message`End when every host sends with the new key; say who is missing.`,
        }),
        (given): "wait" | "no" => given ? "wait" : "no",
      ),
    }),
    ({ runDir, format, network, wait }): Action => async (ports) => {
      const agent = new AgentClient(runDir);
      const begun = await agent.rotateNetwork(network);
      const epoch = begun.encryption?.epochs[0]?.epoch ?? 0;
      if (wait === "no") {
        print(ports, format, begun, () => formatNetwork(begun, new Map()));
        return EXIT_CODES.ok;
      }
      note(ports, `${begun.name}: epoch ${epoch} has begun`);
      const { reached, names } = await waitFor(agent, begun, { epoch, ports });
      print(ports, format, reached, () => formatNetwork(reached, names));
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Give an encrypted network a new key now.`,
    description:
      message`Begins a new key of an encrypted network. Hosts move to it one by one, and no packet is lost. It is refused, with the names of the hosts, while hosts still use a key so old that there can be no newer one beside it.`,
    ...examples("agent network rotate shop", "agent network rotate shop --wait"),
  },
);

/** Asks again and again, and says on stderr who is missing, each time that that is somebody else. */
async function waitFor(
  agent: AgentClient,
  { id, name }: NetworkView,
  { epoch, ports }: { readonly epoch: number; readonly ports: Ports },
): Promise<{ readonly reached: NetworkView; readonly names: ReadonlyMap<string, string> }> {
  let names: ReadonlyMap<string, string> = new Map();
  let said = "";
  const say = (text: string) => {
    if (text !== said) note(ports, `${name}: ${text}`);
    said = text;
  };
  for (;;) {
    try {
      const network = await agent.network(id);
      const missing = network.encryption === null ? [] : stillMissing(network.encryption, epoch);
      if (missing.length === 0) return { reached: network, names };
      if (missing.some(({ ids }) => ids.some((one) => !names.has(one)))) {
        names = namesOf([], await agent.nodes());
      }
      say(missing.map(({ what, ids }) => `${what}: ${formatNames(ids, names)}`).join("; "));
    } catch (error) {
      // The managers may be electing a leader: the epoch has begun, and stays.
      if (!(error instanceof CommandError) || error.exitCode !== EXIT_CODES.unavailable) {
        throw error;
      }
      say(`still waiting, though no manager answers now: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Hosts that are in the way, and by what; none when nobody sends with an older epoch any more. */
export function stillMissing(
  { epochs, silent }: EncryptionView,
  epoch: number,
): readonly { readonly what: string; readonly ids: readonly string[] }[] {
  const older = epochs.filter((one) => one.epoch < epoch);
  if (older.length === 0) return [];
  const groups = [
    { what: "not heard of yet", ids: silent },
    ...epochs.filter((one) => one.epoch === epoch).map(({ missing }) => ({
      what: `epoch ${epoch} not installed`,
      ids: missing,
    })),
    ...older.map((one) => ({ what: `still sending with epoch ${one.epoch}`, ids: one.sending })),
  ];
  return groups.filter(({ ids }) => ids.length > 0);
}
