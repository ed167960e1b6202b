import { main } from "./main.ts";
import type { ExecHost, Lifecycle, Membership, Ports } from "./ports.ts";

/** For tests that open sockets. */
export const CLEAN = { sanitizeOps: true, sanitizeResources: true } as const;

/** What a command line did. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a test gives in place of the machine; what it does not give must not be used. */
export interface Given {
  readonly lifecycle?: Partial<Lifecycle>;
  readonly execHost?: ExecHost;
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly onLast?: (fd: number, text: string) => void;
  readonly onFile?: (path: string, bytes: Uint8Array) => void;
  /** Whether anything comes on standard input. */
  readonly input?: Promise<boolean>;
}

/** Runs a command line, `agent` left out, its words apart by one space. */
export async function runLine(line: string, given: Given = {}): Promise<Ran> {
  const { ports, said } = portsOf(given);
  const code = await main(line === "" ? [] : line.split(" "), ports);
  return { code, ...said };
}

/** Ports that remember what was `said`. */
export function portsOf(given: Given): { ports: Ports; said: { stdout: string; stderr: string } } {
  const said = { stdout: "", stderr: "" };
  const ports: Ports = {
    version: "1.2.3",
    process: {
      pid: 4711,
      environment: () => given.environment ?? {},
      stdout: { write: (text) => void (said.stdout += text) },
      stderr: { write: (text) => void (said.stderr += text) },
      readText: (path) => {
        const text = given.files?.[path];
        if (text === undefined) throw new Deno.errors.NotFound(`${path} is not there`);
        return text;
      },
      takeVariable: (name) => given.environment?.[name],
      writeNewFile: (path, bytes) => {
        if (given.onFile === undefined) throw new TypeError("no file is expected here");
        given.onFile(path, bytes);
      },
      inputComes: () => given.input ?? Promise.reject(new TypeError("no input is expected here")),
      writeLast: (fd, text) => {
        given.onLast?.(fd, text);
        return Promise.resolve();
      },
    },
    lifecycle: () => Promise.resolve({ ...nothingLives, ...given.lifecycle }),
    execHost: () => {
      if (given.execHost === undefined) throw new TypeError("exec is not expected here");
      return Promise.resolve(given.execHost);
    },
  };
  return { ports, said };
}

const nothingLives: Lifecycle = {
  init: () => Promise.reject(new TypeError("init is not expected here")),
  join: () => Promise.reject(new TypeError("join is not expected here")),
  recover: () => Promise.reject(new TypeError("recover is not expected here")),
  restore: () => Promise.reject(new TypeError("restore is not expected here")),
  run: () => Promise.reject(new TypeError("run is not expected here")),
  leave: () => Promise.reject(new TypeError("leave is not expected here")),
};

/** What `init` and `join` give back. */
export const MEMBERSHIP: Membership = {
  clusterId: "cccccccccccccccccccccccccc",
  nodeId: "nnnnnnnnnnnnnnnnnnnnnnnnnn",
  controlAddress: "192.0.2.1:7443",
  runs: "as-process",
  logPath: "/var/lib/agent/agent.log",
};

/** A request that an {@linkcode AgentDouble} has had. */
export interface Seen {
  readonly line: string;
  readonly body: unknown;
}

/** An answer for each `METHOD target`: its body, status and body, or several, one after the other. */
export type Answers = Readonly<Record<string, unknown>>;

/** Answers to the same request, made again and again; the last stays. */
export class InTurn {
  readonly #answers: readonly unknown[];

  constructor(...answers: readonly unknown[]) {
    this.#answers = answers;
  }

  at(time: number): unknown {
    return this.#answers[Math.min(time, this.#answers.length) - 1];
  }
}

/** A real server on a real socket that answers what was recorded of an agent. */
export class AgentDouble implements AsyncDisposable {
  readonly runDir: string;
  readonly seen: Seen[] = [];
  readonly #server: Deno.HttpServer;

  constructor(answers: Answers) {
    this.runDir = Deno.makeTempDirSync({ prefix: "cli-test-" });
    const path = `${this.runDir}/agent.sock`;
    this.#server = Deno.serve(
      { path, onListen: () => {} },
      (request) => this.#answer(request, answers),
    );
  }

  async #answer(request: Request, answers: Answers): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const line = `${request.method} ${pathname}${search}`;
    const text = await request.text();
    this.seen.push({ line, body: text === "" ? null : JSON.parse(text) });
    const recorded = answers[line];
    const times = this.seen.filter((one) => one.line === line).length;
    const answer = recorded instanceof InTurn ? recorded.at(times) : recorded;
    if (answer instanceof Response) return answer.clone();
    if (answer === undefined) return problem(500, "internal", `${line} was not recorded`);
    if (answer === null) return new Response(null, { status: 204 });
    return Response.json(answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    Deno.removeSync(this.runDir, { recursive: true });
  }
}

/** A problem document, as the agent answers it. */
export function problem(status: number, code: string, detail: string, field?: string): Response {
  const type = `urn:agent:problem:${code}`;
  return Response.json({ type, title: code, status, code, detail, field }, {
    status,
    headers: { "content-type": "application/problem+json" },
  });
}
