import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, optional } from "@optique/core/modifiers";
import { argument, command } from "@optique/core/primitives";
import { AgentClient } from "../client.ts";
import { EXIT_CODES } from "../exit.ts";
import {
  type Action,
  client,
  examples,
  reference,
  referenceArgument,
  textOption,
} from "../options.ts";
import { print } from "../print.ts";
import { removeEach, severalReferences } from "../remove.ts";
import { formatTable } from "../table.ts";
import { ENDPOINT_HEADINGS, endpointRow, namesOf } from "./endpoint_rows.ts";

const add = command(
  "add",
  map(
    object({
      ...client,
      network: referenceArgument("NETWORK", message`Id or name.`),
      name: textOption("--name", "NAME", message`Its name, unique in the network.`),
      ip: textOption("--ip", "ADDRESS", message`Its address; by default the next free one.`),
      mac: textOption("--mac", "MAC", message`Its MAC address; by default it follows from the IP.`),
      node: textOption("--node", "NODE", message`Id or hostname; by default this host.`),
    }),
    ({ runDir, format, network, ...chosen }): Action => async (ports) => {
      const endpoint = await new AgentClient(runDir).createEndpoint(network, chosen);
      print(ports, format, endpoint, () => `${endpoint.id}  ${endpoint.ip}\n`);
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Reserve an endpoint for a workload to come.`,
    ...examples("agent endpoint add shop --name web --ip 10.64.0.10"),
  },
);

const ls = command(
  "ls",
  map(
    object({
      ...client,
      network: optional(argument(reference("NETWORK"), {
        description: message`Id or name; by default all networks.`,
      })),
    }),
    ({ runDir, format, network }): Action => async (ports) => {
      const agent = new AgentClient(runDir);
      const networks = network === undefined
        ? await agent.networks()
        : [await agent.network(network)];
      const lists = await Promise.all(networks.map(({ id }) => agent.endpoints(id)));
      const endpoints = lists.flat();
      const nodes = format === "json" ? [] : await agent.nodes();
      const names = namesOf(networks, nodes);
      print(
        ports,
        format,
        { items: endpoints, next: null },
        () =>
          formatTable(ENDPOINT_HEADINGS, endpoints.map((endpoint) => endpointRow(endpoint, names))),
      );
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`List endpoints.`,
    ...examples("agent endpoint ls", "agent endpoint ls shop --json"),
  },
);

const rm = command(
  "rm",
  map(
    object({ ...client, endpoints: severalReferences("ENDPOINT", message`Ids.`) }),
    ({ runDir, format, endpoints }): Action => (ports) => {
      const agent = new AgentClient(runDir);
      return removeEach(ports, format, endpoints, (endpoint) => agent.deleteEndpoint(endpoint));
    },
  ),
  {
    brief: message`Delete endpoints; a workload that is attached loses its interface.`,
    ...examples("agent endpoint rm 4rv3kz2mpoc5h7aq6utn2wbxye"),
  },
);

/** `agent endpoint …` */
export const endpoint = command("endpoint", or(add, ls, rm), {
  brief: message`Reserve, list and delete endpoints.`,
  ...examples("agent endpoint ls shop"),
});
