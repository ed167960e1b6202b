import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map } from "@optique/core/modifiers";
import { command } from "@optique/core/primitives";
import type { HostStatus, ManagersView } from "../../api/mod.ts";
import { AgentClient } from "../client.ts";
import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import { type Action, client, examples } from "../options.ts";
import { note, print } from "../print.ts";
import { formatFacts, formatTable } from "../table.ts";
import { formatIpsec } from "./ipsec_text.ts";

/** `agent status` */
export const status = command(
  "status",
  map(object(client), ({ runDir, format }): Action => async (ports) => {
    const agent = new AgentClient(runDir);
    const view = await agent.status();
    const managers = view.manager === null ? null : await managersOf(agent);
    print(
      ports,
      format,
      view.manager === null ? view : { ...view, managers },
      () => formatStatus(view) + formatManagers(view, managers),
    );
    return view.ready && view.connected ? EXIT_CODES.ok : EXIT_CODES.notAsWanted;
  }),
  {
    brief: message`Show how this host is.`,
    description:
      message`Shows how this host is; on a manager also the others, how far behind the leader each is, and how many may fail. Ends with 5 when it has no contact to the leader, or when its kernel has not all that the cluster wants of it.`,
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
    ["Incarnation", formatIncarnation(view)],
    ["Role", view.role],
    ["Ready", view.ready ? "yes" : "no"],
    ["Last error", view.lastError ?? "-"],
    ["Encryption", view.encryption],
    ["Leader", formatLeader(view)],
    ["Control address", view.controlAddress],
    ["Overlay address", view.vtepAddress],
    ["Certificate until", view.certificateNotAfter],
    ["Agent version", view.agentVersion],
  ]) + formatIpsec(view.ipsec);
}

function formatIncarnation({ incarnation }: HostStatus): string {
  return incarnation === null ? "-" : `${incarnation.id}, generation ${incarnation.generation}`;
}

/** Null when no manager leads. */
async function managersOf(agent: AgentClient): Promise<ManagersView | null> {
  try {
    return await agent.managers();
  } catch (error) {
    if (error instanceof CommandError) return null;
    throw error;
  }
}

function formatManagers(
  { role, manager: own }: HostStatus,
  managers: ManagersView | null,
): string {
  if (own === null) {
    if (role === "worker") return "";
    return "\nThis host is a manager and does not work as one: its disk has lost what it had promised to " +
      "keep, or it is about to begin. Its log says which. If it is the disk: `agent node rm` it on " +
      "another manager, then `agent leave --force` and `agent join` here.\n";
  }
  if (managers === null) {
    return `\nNo manager leads that this host can reach: of ${own.voters.length} that decide more than ` +
      "half have to run and reach each other.\n";
  }
  const { term, mayLose, items } = managers;
  if (items.length === 1) return "";
  const rows = items.map(({ hostname, controlAddress, standing, heard, lag }) => [
    hostname,
    controlAddress,
    standing,
    heard ? "yes" : "no",
    lag === null ? "-" : `${lag}`,
  ]);
  return `\n${formatTable(["MANAGER", "ADDRESS", "STANDING", "HEARD", "LAG"], rows)}\n` +
    `Term ${term}. ${survival(mayLose)}\n`;
}

function survival(mayLose: number): string {
  if (mayLose === 0) return "If one more manager fails, nothing can be changed until it is back.";
  return `${mayLose} of the managers may fail, and the others go on.`;
}

function formatLeader({ connected, leaderAddress }: HostStatus): string {
  const address = leaderAddress ?? "unknown";
  return connected ? `${address}, connected` : `${address}, no contact`;
}
