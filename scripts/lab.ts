/**
 * Runs a command in a kernel that has what the tests and benchmarks need; see `usage`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { availableCpus, Child, onInterrupt } from "./child.ts";
import { Guest } from "./guest.ts";
import { type Feature, features, missingFeatures, parseNeeds } from "./kernel_probe.ts";

/** A clock that may be set is the guest's alone: nobody needs one unless he says so. */
const usual = features.filter((feature) => feature !== "clock").join(" ");

const usage = `Usage: scripts/lab [OPTIONS] -- CMD [ARG...]

Runs CMD in a kernel that has ESP with AES-GCM, VXLAN, flower and netem: this kernel if it has them
all, otherwise a User Mode Linux guest. Output, directory, environment and exit status are CMD's own;
its standard input is closed. In the guest, what CMD writes stays only below the current directory
and each --share; all else is gone with the guest.

  --kernel auto|host|guest   where (default: auto)
  --needs "FEATURE..."       what auto looks for (default: ${usual})
  --cpu N                    the one CPU it runs on (default: the last)
  --timeout SECONDS          ends it after that time, with exit status 124
  --share DIR                the guest's writes below DIR stay, too; may be repeated
  --memory MIB               the guest's memory (default: 2048)

Exit status 125: the lab itself failed.`;

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

class UsageError extends Error {}

function parse(args: string[]) {
  const split = args.indexOf("--");
  const { values } = parseArgs({
    args: split < 0 ? args : args.slice(0, split),
    options: {
      kernel: { type: "string", default: "auto" },
      needs: { type: "string", default: usual },
      cpu: { type: "string" },
      timeout: { type: "string" },
      share: { type: "string", multiple: true, default: [] },
      memory: { type: "string", default: "2048" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return undefined;
  const command = split < 0 ? [] : args.slice(split + 1);
  if (command.length === 0) throw new UsageError("no command was given after --");
  if (!["auto", "host", "guest"].includes(values.kernel)) {
    throw new UsageError(`--kernel ${values.kernel} is none of auto, host, guest`);
  }
  return {
    command,
    kernel: values.kernel,
    needs: parseNeeds(`// needs: ${values.needs}`).features,
    shares: values.share.map((directory) => Deno.realPathSync(directory)),
    // The first one serves most interrupts.
    cpu: values.cpu === undefined ? availableCpus().at(-1) ?? 0 : natural("--cpu", values.cpu),
    memoryMiB: natural("--memory", values.memory),
    timeoutMs: values.timeout === undefined
      ? undefined
      : natural("--timeout", values.timeout) * 1000,
  };
}

function natural(option: string, text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`${option} ${text} is not a whole number`);
  return Number(text);
}

async function setup(purpose: string): Promise<void> {
  const { success } = await new Deno.Command(`${root}/scripts/setup`, {
    args: ["--for", purpose],
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) Deno.exit(125);
}

async function useGuest(kernel: string, needs: readonly Feature[]): Promise<boolean> {
  if (kernel !== "auto") return kernel === "guest";
  await setup("host-lab");
  return (await missingFeatures(needs)).length > 0;
}

/** What the guest must share with this machine: the directory, and what its tmpfs would hide. */
function sharedDirectories(cwd: string, asked: readonly string[]): string[] {
  const hidden = /^\/(tmp|run|dev\/shm)\//.test(root) ? [root] : [];
  const all = [...hidden, ...(cwd === "/" ? [] : [cwd]), ...asked];
  return all.filter((directory, index) => all.indexOf(directory) === index);
}

async function run(): Promise<number> {
  const options = parse(Deno.args);
  if (options === undefined) {
    console.log(usage);
    return 0;
  }
  const inGuest = await useGuest(options.kernel, options.needs);
  if (inGuest) await setup("guest-lab");
  let over: number | undefined;
  let end: () => Promise<void>;
  let status: Promise<number>;
  let close = () => {};
  const stop = (reason: number) => {
    over ??= reason;
    void end();
  };
  // Before anything is made; it is called when this has been run to its first wait.
  const stopListening = onInterrupt(stop);
  if (inGuest) {
    const cwd = Deno.cwd();
    const guest = new Guest(options.command, {
      ...options,
      cwd,
      env: Deno.env.toObject(),
      shares: sharedDirectories(cwd, options.shares),
    });
    end = () => guest.end();
    status = guest.status();
    close = () => guest.close();
  } else {
    const child = new Child(options.command, {
      cpu: options.cpu,
      stdio: ["ignore", "inherit", "inherit"],
    });
    end = () => child.end({ graceMs: 10_000 });
    status = child.status;
  }
  const timer = options.timeoutMs === undefined
    ? undefined
    : setTimeout(() => stop(124), options.timeoutMs);
  try {
    const result = await status;
    if (over === 124) process.stderr.write("lab: the command was ended: its time was over\n");
    return over ?? result;
  } finally {
    clearTimeout(timer);
    stopListening();
    close();
  }
}

try {
  Deno.exit(await run());
} catch (error) {
  process.stderr.write(`lab: ${error instanceof Error ? error.message : error}\n`);
  if (error instanceof UsageError) process.stderr.write("lab: see scripts/lab --help\n");
  Deno.exit(125);
}
