import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, multiple } from "@optique/core/modifiers";
import { command, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import type { NodeView } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples, labelOptions, referenceArgument } from "../options.ts";
import { note, print } from "../print.ts";
import { removeEach, severalReferences } from "../remove.ts";
import { formatFacts, formatLabels, formatTable } from "../table.ts";
import { formatIpsec } from "./ipsec_text.ts";

const ls = command(
  "ls",
  map(object(client), ({ runDir, format }): Action => async (ports) => {
    const nodes = await new AgentClient(runDir).nodes();
    print(ports, format, { items: nodes, next: null }, () =>
      formatTable(
        ["ID", "HOSTNAME", "ROLE", "ALIVE", "ADDRESS", "VERSION", "LABELS", "ENCRYPTION"],
        nodes.map((one) => [
          one.id,
          one.hostname,
          one.role,
          one.alive ? "yes" : "no",
          one.controlAddress,
          one.agentVersion,
          formatLabels(one.labels),
          // Last, for it can be a sentence.
          one.encryption,
        ]),
      ));
    return EXIT_CODES.ok;
  }),
  {
    brief: message`List the nodes, whether they are alive, and whether they can encrypt.`,
    ...examples("agent node ls", "agent node ls --json"),
  },
);

const inspect = command(
  "inspect",
  map(
    object({ ...client, node: referenceArgument("NODE", message`Id or hostname.`) }),
    ({ runDir, format, node }): Action => async (ports) => {
      const view = await new AgentClient(runDir).node(node);
      print(ports, format, view, () => formatNode(view));
      return EXIT_CODES.ok;
    },
  ),
  { brief: message`Show a node.`, ...examples("agent node inspect host2") },
);

const rm = command(
  "rm",
  map(
    object({ ...client, nodes: severalReferences("NODE", message`Ids or hostnames.`) }),
    ({ runDir, format, nodes }): Action => (ports) => {
      const agent = new AgentClient(runDir);
      return removeEach(ports, format, nodes, (node) => agent.removeNode(node));
    },
  ),
  {
    brief: message`Remove nodes from the cluster, with their endpoints.`,
    description:
      message`Removes nodes, with their endpoints, and ends their connections at once. On the node itself, agent leave does this and cleans up too.`,
    ...examples("agent node rm host2"),
  },
);

const update = command(
  "update",
  map(
    object({
      ...client,
      node: referenceArgument("NODE", message`Id or hostname.`),
      labels: labelOptions("--label", message`A label to set; can be given several times.`),
      removed: multiple(option("--rm-label", string({ metavar: "KEY" }), {
        description: message`A label to remove; can be given several times.`,
      })),
    }),
    ({ runDir, format, node, labels, removed }): Action => async (ports) => {
      const gone = Object.fromEntries(removed.map((key) => [key, null]));
      const view = await new AgentClient(runDir).updateNode(node, {
        labels: { ...labels, ...gone },
      });
      print(ports, format, view, () => formatNode(view));
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Change the labels of a node.`,
    ...examples("agent node update host2 --label zone=a --rm-label old"),
  },
);

const promote = command(
  "promote",
  map(
    object({ ...client, node: referenceArgument("NODE", message`Id or hostname.`) }),
    ({ runDir, format, node }): Action => async (ports) => {
      const view = await new AgentClient(runDir).updateNode(node, { role: "manager" });
      print(ports, format, view, () => formatNode(view));
      if (format === "text") {
        note(ports, "It decides when it has caught up: agent status shows it.");
      }
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Make a node a manager.`,
    description:
      message`Makes a node a manager: it gets all of the cluster's state, its keys included, and decides with the others when it has caught up. With three managers one may fail, with five two; an even number survives no more than the odd one below it.`,
    ...examples("agent node promote host2"),
  },
);

const demote = command(
  "demote",
  map(
    object({ ...client, node: referenceArgument("NODE", message`Id or hostname.`) }),
    ({ runDir, format, node }): Action => async (ports) => {
      const view = await new AgentClient(runDir).updateNode(node, { role: "worker" });
      print(ports, format, view, () => formatNode(view));
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Make a manager a worker.`,
    description:
      message`Makes a manager a worker: its workloads and their networks go on. It is refused when the managers that are left could decide nothing.`,
    ...examples("agent node demote host2"),
  },
);

/** `agent node …` */
export const node = command("node", or(ls, inspect, rm, update, promote, demote), {
  brief: message`Show, label, promote, demote and remove nodes.`,
  ...examples("agent node ls"),
});

function formatNode(node: NodeView): string {
  return formatFacts([
    ["Node", node.hostname],
    ["Id", node.id],
    ["Role", node.role],
    ["Alive", node.alive ? "yes" : `no, last seen ${node.lastSeenAt ?? "before the leader began"}`],
    ["Last error", node.lastError ?? "-"],
    ["Control address", node.controlAddress],
    ["Overlay address", node.vtepAddress],
    ["Underlay MTU", String(node.underlayMtuBytes)],
    ["Host routes", node.hostRoutes.length === 0 ? "-" : node.hostRoutes.join(", ")],
    ["Encryption", node.encryption],
    ["Certificate until", node.certificates[0]?.notAfter ?? "-"],
    ["Agent version", node.agentVersion],
    ["Labels", formatLabels(node.labels)],
    ["Joined", node.joinedAt],
  ]) + formatIpsec(node.ipsec);
}
