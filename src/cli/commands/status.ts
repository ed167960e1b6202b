import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { command } from "@optique/core/primitives";
import type { HostStatus } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples } from "../options.ts";
import { note, print } from "../print.ts";
import { formatFacts } from "../table.ts";

/** `agent status` */
export const status = command(
  "status",
  map(object(client), ({ runDir, format }): Action => async (ports) => {
    const view = await new AgentClient(runDir).status();
    print(ports, format, view, () => formatStatus(view));
    return view.ready && view.connected ? EXIT_CODES.ok : EXIT_CODES.notAsWanted;
  }),
  {
    brief: message`Show how this host is.`,
    description:
      message`Shows how this host is. Ends with 5 when it has no contact to the leader, or when its kernel has not all that the cluster wants of it.`,
    ...examples("agent status", "agent status --json"),
  },
);

/** `agent plan` */
export const plan = command(
  "plan",
  map(object(client), ({ runDir, format }): Action => async (ports) => {
    const view = await new AgentClient(runDir).plan();
    print(ports, format, view, () => view.operations.map((line) => `${line}\n`).join(""));
    if (view.operations.length > 0) return EXIT_CODES.notAsWanted;
    if (format === "text") note(ports, "Nothing to do: the kernel is as it should be.");
    return EXIT_CODES.ok;
  }),
  {
    brief: message`Show what the agent would change in this host's kernel now.`,
    description:
      message`Shows what the agent would change in this host's kernel now. Ends with 0 when that is nothing, with 5 otherwise.`,
    ...examples("agent plan"),
  },
);

function formatStatus(view: HostStatus): string {
  return formatFacts([
    ["Node", `${view.hostname} (${view.nodeId})`],
    ["Cluster", view.clusterId],
    ["Role", view.role],
    ["Ready", view.ready ? "yes" : "no"],
    ["Last error", view.lastError ?? "-"],
    ["Encryption", view.encryption],
    ["Leader", formatLeader(view)],
    ["Control address", view.controlAddress],
    ["Overlay address", view.vtepAddress],
    ["Certificate until", view.certificateNotAfter],
    ["Agent version", view.agentVersion],
  ]);
}

function formatLeader({ connected, leaderAddress }: HostStatus): string {
  const address = leaderAddress ?? "unknown";
  return connected ? `${address}, connected` : `${address}, no contact`;
}
