/**
 * Builds the agent as one file; see `usage`. `deno compile` where its runtime (`denort`) can be
 * had, otherwise a self-extracting file that is the same to its user.
 *
 * @module
 */
import { basename } from "node:path";
import { parseArgs } from "node:util";
import process from "node:process";
import { onInterrupt } from "./child.ts";
import { RunDirectory } from "./run_directory.ts";
import { packSelfExtracting, type Runtime } from "./self_extracting.ts";

const usage = `Usage: scripts/build [--target x86_64|aarch64|all] [--form auto|self-extracting]
                     [--entry FILE] [--output DIR]

Builds DIR/agent for this machine's architecture, DIR/agent-x86_64 or DIR/agent-aarch64 for another
(default: this machine's, FILE main.ts, DIR dist). What is up to date is not built again. The form is what
"deno compile" makes where its runtime can be had, otherwise (or on demand) a self-extracting file.`;

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const config = `--config=${root}/deno.json`;
const triples: Readonly<Record<string, string>> = {
  x86_64: "x86_64-unknown-linux-gnu",
  aarch64: "aarch64-unknown-linux-gnu",
};

/** What the program is told of itself, as the global `AGENT_BUILD`. */
interface BuildInfo {
  readonly version: string;
  readonly commit: string;
}

function say(text: string): void {
  process.stderr.write(`build: ${text}\n`);
}

/** What would go on writing, and make its directory again, after an interrupted build. */
const running = new Set<Deno.ChildProcess>();

async function endRunning(): Promise<void> {
  for (const child of running) {
    child.kill("SIGKILL");
    await child.status;
  }
}

async function run(command: readonly string[], limitMs?: number) {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, {
    args,
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
    ...(limitMs === undefined ? {} : { signal: AbortSignal.timeout(limitMs) }),
  }).spawn();
  running.add(child);
  const { success, stdout, stderr } = await child.output();
  running.delete(child);
  const text = new TextDecoder();
  return { success, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

async function mustRun(command: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await run(command);
  if (!success) throw new Error(`"${command.join(" ")}" failed:\n${stderr}${stdout}`);
  return stdout;
}

async function buildInfo(): Promise<BuildInfo> {
  const { version } = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`));
  const describe = ["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"];
  const git = await run(["git", "-C", root, ...describe]).catch(() => undefined);
  return { version, commit: git?.success ? git.stdout.trim() : "unknown" };
}

/** The digest of all that a build depends on, so that nothing is built twice. */
async function inputsDigest(graph: string, info: BuildInfo): Promise<string> {
  const { modules } = JSON.parse(graph);
  const local: string[] = modules.flatMap((module: { local?: string }) => module.local ?? []);
  const own = ["build.ts", "self_extracting.ts", "stub.sh", "runtimes.txt"];
  const files = [
    ...local,
    ...own.map((name) => `${root}/scripts/${name}`),
    `${root}/deno.json`,
    `${root}/deno.lock`,
  ].sort();
  const parts = [
    JSON.stringify(info),
    ...files.map((file) => `${file}\n${Deno.readTextFileSync(file)}`),
  ];
  return await sha256(new TextEncoder().encode(parts.join("\0")));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * The whole program as a directory of modules: `main.js`, and what it loads when it needs it. In one
 * module every start would read and evaluate all of it: `--version` takes 25 ms so, and 100 ms
 * otherwise.
 */
async function bundle(entry: string, info: BuildInfo, directory: string): Promise<string> {
  const program = `${directory}/program`;
  // Bundling does not check types. Names stay: errors and the x509 library's registry use them.
  await mustRun([Deno.execPath(), "check", "--quiet", config, entry]);
  await mustRun([
    Deno.execPath(),
    "bundle",
    "--quiet",
    config,
    "--platform=deno",
    "--minify",
    "--keep-names",
    "--code-splitting",
    `--outdir=${program}`,
    entry,
  ]);
  const bundled = `${program}/${basename(entry, ".ts")}.js`;
  const banner = `globalThis.AGENT_BUILD=Object.freeze(${JSON.stringify(info)});\n`;
  const main = banner + Deno.readTextFileSync(bundled);
  Deno.removeSync(bundled);
  Deno.writeTextFileSync(`${program}/main.js`, main);
  return program;
}

/** `deno compile`, or the reason why it cannot be done here. */
async function compile(
  program: string,
  architecture: string,
  file: string,
): Promise<string | undefined> {
  const target = `--target=${triples[architecture]}`;
  const flags = [
    ...["--allow-all", "--no-check", "--no-config", "--no-prompt", "--quiet"],
    // As scripts/stub.sh runs it.
    "--unstable-no-legacy-abort",
    "--v8-flags=--max-semi-space-size=1,--optimize-for-size",
  ];
  const command = [
    Deno.execPath(),
    "compile",
    ...flags,
    target,
    `--output=${file}`,
    `${program}/main.js`,
  ];
  const { success, stderr } = await run(command, 120_000);
  if (success) return undefined;
  const why = stderr.match(/^\s*\d+: (error sending request.*?)$/m)?.[1] ??
    stderr.trim().split("\n")[0];
  return `deno compile could not get its runtime: ${why}`;
}

async function pinnedRuntime(architecture: string): Promise<Runtime> {
  const path = await mustRun([`${root}/scripts/setup`, "--runtime", architecture]);
  const pin = Deno.readTextFileSync(`${root}/scripts/runtimes.txt`).split("\n")
    .map((line) => line.split(" ")).find(([name]) => name === architecture);
  const [, version, hash] = pin ?? [];
  if (version === undefined || hash === undefined) {
    throw new Error(`no runtime is pinned for ${architecture}`);
  }
  return { path: path.trim(), sha256: hash };
}

async function buildFor(
  { architecture, output }: { readonly architecture: string; readonly output: string },
  form: string,
  program: string,
  info: BuildInfo,
): Promise<string> {
  const partial = `${output}.partial`;
  const reason = form === "auto"
    ? await compile(program, architecture, partial)
    : "it was asked for";
  if (reason !== undefined) {
    await packSelfExtracting(partial, {
      stub: Deno.readTextFileSync(`${root}/scripts/stub.sh`),
      program,
      runtime: await pinnedRuntime(architecture),
      architecture,
      ...info,
    });
  }
  Deno.chmodSync(partial, 0o755);
  Deno.renameSync(partial, output);
  const megabytes = (Deno.statSync(output).size / 1e6).toFixed(0);
  return reason === undefined
    ? `${output}: compiled by deno compile (${megabytes} MB)`
    : `${output}: self-extracting (${megabytes} MB): ${reason}`;
}

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      target: { type: "string", default: Deno.build.arch },
      form: { type: "string", default: "auto" },
      entry: { type: "string", default: `${root}/main.ts` },
      output: { type: "string", default: `${root}/dist` },
      help: { type: "boolean" },
    },
  });
  const architectures = values.target === "all" ? Object.keys(triples) : [values.target];
  for (const name of architectures) {
    if (triples[name] === undefined) {
      throw new Error(`--target ${name} is none of x86_64, aarch64, all`);
    }
  }
  if (!["auto", "self-extracting"].includes(values.form)) {
    throw new Error(`--form ${values.form} is none of auto, self-extracting`);
  }
  Deno.mkdirSync(values.output, { recursive: true });
  return { ...values, output: Deno.realPathSync(values.output), architectures };
}

async function main(): Promise<void> {
  const options = parse(Deno.args);
  if (options.help) return console.log(usage);
  const info = await buildInfo();
  const graph = await mustRun([Deno.execPath(), "info", "--json", config, options.entry]);
  const digest = await inputsDigest(graph, info);
  const stale = options.architectures.map((architecture) => {
    const name = architecture === Deno.build.arch ? "agent" : `agent-${architecture}`;
    const output = `${options.output}/${name}`;
    return { architecture, output, stamp: `${options.output}/.${name}.inputs` };
  }).filter(({ output, stamp }) => read(stamp) !== `${digest} ${sizeOf(output)}\n`);
  if (stale.length === 0) return;
  // A signal would end this program without a look back. It is taken at the next wait: the directory is there.
  const stopListening = onInterrupt((status) => {
    void endRunning().finally(() => {
      directory[Symbol.dispose]();
      Deno.exit(status);
    });
  });
  using directory = new RunDirectory("agent-build");
  try {
    const program = await bundle(options.entry, info, directory.path);
    for (const target of stale) {
      say(await buildFor(target, options.form, program, info));
      Deno.writeTextFileSync(target.stamp, `${digest} ${sizeOf(target.output)}\n`);
    }
  } finally {
    stopListening();
  }
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return -1;
  }
}

try {
  await main();
} catch (error) {
  say(error instanceof Error ? error.message : `${error}`);
  Deno.exit(1);
}
