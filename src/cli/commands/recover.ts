import { CommandError } from "../errors.ts";
import { EXIT_CODES } from "../exit.ts";
import type { Format } from "../options.ts";
import type { Lifecycle, Membership, Ports, RecoveryReport } from "../ports.ts";
import { note } from "../print.ts";
import { type Begin, beginOptions, noteHowItRuns, sayTo, stay } from "./begin.ts";

/** What `init --recover` cannot be told, for the node keeps what it has. */
export function requireNone(option: string, given: Readonly<Record<string, unknown>>): void {
  const wrong = Object.entries(given).find(([, value]) => value !== undefined && value !== false);
  if (wrong === undefined) return;
  throw new CommandError(EXIT_CODES.usage, `${wrong[0]} means nothing with ${option}`);
}

/** The report as a program reads it: times are text there. */
function shownReport({ kept: { writtenAtMs, ...kept }, ...report }: RecoveryReport) {
  return { ...report, kept: { ...kept, writtenAt: new Date(writtenAtMs).toISOString() } };
}

/** The report for a person. `mode`: only looked. */
function reportText(report: RecoveryReport, mode: "done" | "look"): string {
  const { kept, discarded, rekeyed, uncommitted, incarnation, clusterId } = report;
  const [keeps, discards] = mode === "look"
    ? ["Would keep", "Would discard"]
    : ["Kept", "Discarded"];
  const { managers } = discarded;
  const lost = managers.length === 0
    ? "no other manager"
    : `${count(managers.length, "manager")} (${managers.join(", ")}) with ` +
      count(discarded.endpoints, "endpoint");
  return [
    mode === "look"
      ? `Cluster ${clusterId}: nothing has been changed.`
      : `Cluster ${clusterId} goes on as incarnation ${incarnation.id}, generation ${incarnation.generation}.`,
    `${keeps}: ${count(kept.nodes, "node")}, ${count(kept.networks, "network")}, ` +
    `${count(kept.endpoints, "endpoint")}, as of revision ${kept.revision}, ` +
    `last written ${new Date(kept.writtenAtMs).toISOString()}.`,
    ...(uncommitted === 0 ? [] : [
      `Among it may be writes that nobody was told were done: the last ${
        count(uncommitted, "entry", "entries")
      } of the log.`,
    ]),
    `${discards}: ${lost}; ${
      count(discarded.tokens, "join token")
    }; every write that is not above.`,
    ...(rekeyed === 0
      ? []
      : [`New keys for ${count(rekeyed, "encrypted network")}, as soon as their hosts report.`]),
    ...(managers.length === 0 || mode === "look" ? [] : [
      "These managers must not come back as they are: on each, `agent leave --force`, then join again.",
    ]),
  ].map((line) => `${line}\n`).join("");
}

/** How the report is shown. */
function reportOf(
  report: RecoveryReport,
  format: Format,
  mode: "done" | "look",
): string {
  return format === "json"
    ? `${JSON.stringify(shownReport(report), null, 2)}\n`
    : reportText(report, mode);
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** `agent init --recover` */
export async function recoverHere(
  ports: Ports,
  { pool, restore, dryRun, ...options }: BeginAgain,
): Promise<number> {
  const { advertise, vtep, format, stateDir, runDir } = options;
  requireNone("--recover", {
    "--pool": pool,
    "--restore": restore,
    "--advertise": advertise,
    "--vtep": vtep,
  });
  const lifecycle = await ports.lifecycle();
  const { start, service } = beginOptions(options);
  const membership = await lifecycle.recover(
    { stateDir, runDir, start, service, mode: dryRun ? "look" : "recover" },
    sayTo(ports),
    (report) => ports.process.stdout.write(reportOf(report, format, dryRun ? "look" : "done")),
  );
  if (membership === null) return EXIT_CODES.ok;
  return await showRunning(ports, lifecycle, options, membership);
}

/** `agent init --restore` */
export async function restoreHere(
  ports: Ports,
  { pool, restore, dryRun, ...options }: BeginAgain & { readonly restore: string },
): Promise<number> {
  requireNone("--restore", { "--pool": pool, "--dry-run": dryRun });
  const key = ports.process.takeVariable("AGENT_RECOVERY_KEY") ?? readKey(ports);
  const lifecycle = await ports.lifecycle();
  const membership = await lifecycle.restore(
    { ...beginOptions(options), file: restore, key },
    sayTo(ports),
    (report) => ports.process.stdout.write(reportOf(report, options.format, "done")),
  );
  note(
    ports,
    `The other hosts look for the managers that they knew. Where none of those has the address ` +
      `${membership.controlAddress}: \`agent follow ${membership.controlAddress}\` on each.`,
  );
  return await showRunning(ports, lifecycle, options, membership);
}

function readKey(ports: Ports): string {
  note(ports, "The recovery key, then the end of the input (Ctrl-D):");
  return ports.process.readText("-").trim();
}

async function showRunning(
  ports: Ports,
  lifecycle: Lifecycle,
  options: Begin,
  membership: Membership,
): Promise<number> {
  const announce = () => Promise.resolve(noteHowItRuns(ports, membership));
  if (options.foreground) return await stay(ports, lifecycle, options, announce);
  await announce();
  return EXIT_CODES.ok;
}

interface BeginAgain extends Begin {
  readonly pool: string | undefined;
  readonly restore: string | undefined;
  readonly dryRun: boolean;
}
