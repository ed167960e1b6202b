import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, multiple, optional } from "@optique/core/modifiers";
import { argument, command, option } from "@optique/core/primitives";
import { integer, string } from "@optique/core/valueparser";
import type { AllowedNodesRequest, EndpointView } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import {
  type Action,
  client,
  duration,
  examples,
  labelOptions,
  reference,
  referenceArgument,
  textOption,
} from "../options.ts";
import { print } from "../print.ts";
import { removeEach, severalReferences } from "../remove.ts";
import { formatLabels, formatTable } from "../table.ts";
import { ENDPOINT_HEADINGS, endpointRow, namesOf } from "./endpoint_rows.ts";
import { check, formatNewestCheck, newestCheck } from "./network_check.ts";
import { rotate } from "./network_rotate.ts";
import { formatNetwork } from "./network_text.ts";

const create = command(
  "create",
  map(
    object({
      ...client,
      name: argument(string({ metavar: "NAME" }), {
        description: message`A DNS label: 1 to 63 of a-z, 0-9 and hyphens.`,
      }),
      subnet: textOption("--subnet", "CIDR", message`Its addresses; by default the next free /24.`),
      mtuBytes: optional(option("--mtu", integer({ metavar: "BYTES", min: 1 }), {
        description: message`Largest packet; by default what the hosts' network carries.`,
      })),
      labels: labelOptions("--label", message`A label; can be given several times.`),
      allowedNodes: multiple(option("--allow-node", reference("NODE"), {
        description: message`Only such nodes may attach; can be given several times.`,
      })),
      allowedLabels: labelOptions(
        "--allow-label",
        message`Only nodes with all such labels, or named by --allow-node, may attach.`,
      ),
      encrypted: option("--encrypted", {
        description: message`Encrypt what hosts send each other on it.`,
      }),
      rotationIntervalMs: optional(option("--rotation-interval", duration, {
        description:
          message`How often an encrypted network gets a new key, 5s to 30d; by default as the cluster's setting says.`,
      })),
    }),
    (options): Action => async (ports) => {
      const { format, name, subnet, mtuBytes, labels, encrypted, rotationIntervalMs } = options;
      if (rotationIntervalMs !== undefined && !encrypted) {
        throw new CommandError(
          EXIT_CODES.usage,
          "--rotation-interval is for encrypted networks: add --encrypted",
        );
      }
      const agent = new AgentClient(options.runDir);
      const network = await agent.createNetwork({
        name,
        subnet,
        mtuBytes,
        labels,
        encrypted,
        rotationIntervalMs,
        allowedNodes: await allowed(agent, options.allowedNodes, options.allowedLabels),
      });
      print(ports, format, network, () => formatNetwork(network, new Map()));
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Make a network.`,
    description:
      message`Makes a network. Workloads on it reach each other across hosts, and nobody else.`,
    ...examples(
      "agent network create shop",
      "agent network create vault --encrypted --rotation-interval 1h",
      "agent network create bank --subnet 10.64.7.0/24 --label tier=db --allow-node host2",
    ),
  },
);

const ls = command(
  "ls",
  map(object(client), ({ runDir, format }): Action => async (ports) => {
    const networks = await new AgentClient(runDir).networks();
    print(ports, format, { items: networks, next: null }, () =>
      formatTable(
        ["ID", "NAME", "SUBNET", "VNI", "MTU", "ENCRYPTED", "LABELS"],
        networks.map(({ id, name, subnet, vni, mtuBytes, encrypted, labels }) => [
          id,
          name,
          subnet,
          String(vni),
          String(mtuBytes ?? "-"),
          encrypted ? "yes" : "no",
          formatLabels(labels),
        ]),
      ));
    return EXIT_CODES.ok;
  }),
  {
    brief: message`List the networks.`,
    ...examples("agent network ls", "agent network ls --json"),
  },
);

const inspect = command(
  "inspect",
  map(
    object({ ...client, network: referenceArgument("NETWORK", message`Id or name.`) }),
    (options): Action => async (ports) => {
      const agent = new AgentClient(options.runDir);
      const network = await agent.network(options.network);
      const endpoints = await agent.endpoints(network.id);
      const nodes = options.format === "json" ? [] : await agent.nodes();
      const names = namesOf([network], nodes);
      const check = network.encrypted && options.format !== "json"
        ? await newestCheck(agent, network.id)
        : null;
      print(
        ports,
        options.format,
        { ...network, endpoints },
        () =>
          formatNetwork(network, names) + formatNewestCheck(check) + "\n" + formatTable(
            ENDPOINT_HEADINGS,
            endpoints.map((endpoint: EndpointView) => endpointRow(endpoint, names)),
          ),
      );
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Show a network and who is on it.`,
    ...examples("agent network inspect shop"),
  },
);

const rm = command(
  "rm",
  map(
    object({ ...client, networks: severalReferences("NETWORK", message`Ids or names.`) }),
    ({ runDir, format, networks }): Action => (ports) => {
      const agent = new AgentClient(runDir);
      return removeEach(ports, format, networks, (network) => agent.deleteNetwork(network));
    },
  ),
  {
    brief: message`Delete networks that have no endpoints.`,
    ...examples("agent network rm shop"),
  },
);

/** `agent network …` */
export const network = command("network", or(create, ls, inspect, rotate, check, rm), {
  brief: message`Make, show, re-key, check and delete networks.`,
  ...examples("agent network create shop", "agent network ls"),
});

/** The API wants ids; a person knows hostnames. */
async function allowed(
  agent: AgentClient,
  names: readonly string[],
  labels: Readonly<Record<string, string>>,
): Promise<AllowedNodesRequest> {
  if (names.length === 0 && Object.keys(labels).length === 0) return "any";
  const nodes = await Promise.all(names.map((name) => agent.node(name)));
  return { ids: nodes.map(({ id }) => id), labels };
}
