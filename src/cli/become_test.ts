// needs: root
import assert from "node:assert/strict";
import { AgentClient } from "./client.ts";
import { EXIT_CODES } from "./exit.ts";
import { CLEAN, problem, type Ran, runLine } from "./testing_machine.ts";

/** The agent's side of leases, on a real socket; the lines of a lease are silence but for the first. */
class LeaseServer implements AsyncDisposable {
  readonly runDir = Deno.makeTempDirSync({ prefix: "cli-test-" });
  /** What was asked for. */
  readonly asked: unknown[] = [];
  readonly #ended = Promise.withResolvers<void>();
  readonly #server: Deno.HttpServer;

  constructor(refusal: Response | null = null) {
    const options = { path: `${this.runDir}/agent.sock`, onListen: () => {} };
    this.#server = Deno.serve(options, async (request) => {
      if (request.method === "GET") return problem(404, "no-such-path", "Leases only");
      this.asked.push(`${request.method} ${new URL(request.url).pathname}`, await request.json());
      return refusal ?? this.#lease();
    });
  }

  /** Resolves when the kernel has closed the lease's last descriptor. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  #lease(): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":"a"}\n')),
      cancel: () => this.#ended.resolve(),
    });
    return new Response(body, { status: 201, headers: { "content-type": "application/json" } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    Deno.removeSync(this.runDir, { recursive: true });
  }
}

/** A process that runs a command line on the real machine. */
function spawn(args: readonly string[], environment: Record<string, string> = {}) {
  const script = `
    import { endProcess, main, systemProcess } from ${url("./mod.ts")};
    import { becomeCommand, BlockingUnixStream } from ${url("../sys/mod.ts")};
    endProcess(await main(${JSON.stringify(args)}, {
      process: systemProcess,
      version: "1.2.3",
      lifecycle: () => Promise.reject(new TypeError("exec loads nothing of the daemon")),
      execHost: () => Promise.resolve({ becomeCommand, connectUnix: BlockingUnixStream.connect }),
    }));
  `;
  return new Deno.Command(Deno.execPath(), {
    // The configuration that names the imports is found from here.
    cwd: new URL(".", import.meta.url),
    args: ["eval", "--quiet", script],
    env: environment,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function url(path: string): string {
  return JSON.stringify(import.meta.resolve(path));
}

async function run(args: readonly string[], environment?: Record<string, string>): Promise<Ran> {
  const { code, stdout, stderr } = await spawn(args, environment).output();
  const [out = "", err = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out, stderr: err };
}

Deno.test(
  "exec becomes the command, in a namespace that was attached by its pid",
  CLEAN,
  async () => {
    await using server = new LeaseServer();
    const line =
      `exec --run-dir ${server.runDir} shop --name web --ip 10.64.0.9 --interface lan0 ` +
      "--network bank,ip=10.64.1.9,interface=lan1 --network log --";
    const shell = 'echo $$; readlink /proc/self/ns/net; echo "$KEPT$AGENT_EXECUTABLE"; exit 7';
    const { code, stdout, stderr } = await run([...line.split(" "), "sh", "-c", shell], {
      KEPT: "kept",
      AGENT_EXECUTABLE: "/usr/bin/agent",
    });
    const [pid, namespace, variables] = stdout.trim().split("\n");
    assert.deepEqual([code, stderr, variables], [7, "", "kept"]);
    assert.notEqual(namespace, Deno.readLinkSync("/proc/self/ns/net"));
    assert.deepEqual(server.asked, ["POST /v1/attachments", {
      pid: Number(pid),
      name: "web",
      lease: true,
      networks: [
        { network: "shop", ip: "10.64.0.9", interface: "lan0" },
        { network: "bank", ip: "10.64.1.9", interface: "lan1" },
        { network: "log" },
      ],
    }]);
    await server.ended;
  },
);

Deno.test("the lease lives as long as the last process of the workload", CLEAN, async () => {
  await using server = new LeaseServer();
  const sign = `${server.runDir}/end`;
  const shell =
    `while [ -d ${server.runDir} ] && [ ! -e ${sign} ]; do sleep 0.01; done >/dev/null 2>&1 & echo started`;
  const child = spawn(["exec", "--run-dir", server.runDir, "shop", "--", "sh", "-c", shell]);
  let isEnded = false;
  void server.ended.then(() => {
    isEnded = true;
  });
  const { code } = await child.status;
  // Had the lease ended with the command, the server would know it by now.
  await new AgentClient(server.runDir).status().catch(() => {});
  assert.deepEqual([code, isEnded], [0, false]);
  Deno.writeTextFileSync(sign, "");
  await server.ended;
  await child.stdout.cancel();
  await child.stderr.cancel();
});

Deno.test("a killed workload's lease ends", CLEAN, async () => {
  await using server = new LeaseServer();
  const child = spawn([
    "exec",
    "--run-dir",
    server.runDir,
    "shop",
    "--",
    "sh",
    "-c",
    "echo; exec sleep 100",
  ]);
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGKILL");
  await server.ended;
  assert.equal((await child.status).signal, "SIGKILL");
  await reader.cancel();
  await child.stderr.cancel();
});

const NO_COMMANDS: readonly (readonly [command: string, code: number, says: RegExp])[] = [
  ["no-such-command", EXIT_CODES.noCommand, /^agent: no-such-command: there is no such command/],
  ["/etc/passwd/ls", EXIT_CODES.noCommand, /there is no such command/],
  ["/etc/passwd", EXIT_CODES.cannotRun, /^agent: \/etc\/passwd cannot be run: .*EACCES/],
  ["/etc", EXIT_CODES.cannotRun, /cannot be run/],
];

for (const [command, code, says] of NO_COMMANDS) {
  Deno.test(`exec of ${command} ends with ${code}, and the lease with it`, CLEAN, async () => {
    await using server = new LeaseServer();
    const ran = await run(["exec", "--run-dir", server.runDir, "shop", "--", command]);
    assert.deepEqual([ran.code, ran.stdout], [code, ""]);
    assert.match(ran.stderr, says);
    assert.match(ran.stderr, /^[^\n]+\n$/);
    await server.ended;
  });
}

Deno.test("what the agent refuses is one line, and nothing runs", CLEAN, async () => {
  for (
    const [status, problemCode, code] of [
      [404, "not-found", EXIT_CODES.failed],
      [503, "unavailable", EXIT_CODES.unavailable],
    ] as const
  ) {
    const refusal = problem(status, problemCode, "There is no network", "/networks/0/network");
    await using server = new LeaseServer(refusal);
    const ran = await run(["exec", "--run-dir", server.runDir, "shop", "--", "echo", "ran"]);
    assert.deepEqual(ran, {
      code,
      stdout: "",
      stderr: `agent: There is no network (${problemCode}, networks/0/network)\n`,
    });
  }
});

Deno.test("without an agent nothing runs", async () => {
  const ran = await run(["exec", "--run-dir", "/nix", "shop", "--", "echo", "ran"]);
  assert.deepEqual([ran.code, ran.stdout], [EXIT_CODES.notRunning, ""]);
  assert.match(ran.stderr, /^agent: No agent runs here/);
});

Deno.test("who is not root is told so", async () => {
  for (const [call, errnoName] of [["connect", "EACCES"], ["unshare", "EPERM"]] as const) {
    const fail = () => {
      throw Object.assign(new Error(`${call} failed`), { call, errnoName });
    };
    const stream = { fd: 9, write: () => {}, read: () => new Uint8Array(0), close: () => {} };
    const { code, stderr } = await runLine("exec shop -- true", {
      execHost: { connectUnix: call === "connect" ? fail : () => stream, becomeCommand: fail },
    });
    assert.equal(code, EXIT_CODES.failed);
    assert.match(stderr, /root.*sudo/);
  }
});

Deno.test("an answer that ends early is an error, and the stream is closed", async () => {
  let closed = 0;
  const { code, stderr } = await runLine("exec shop -- true", {
    execHost: {
      connectUnix: () => ({
        fd: 9,
        write: () => {},
        read: () => new Uint8Array(0),
        close: () => void closed++,
      }),
      becomeCommand: ({ prepare }) => {
        prepare();
        throw new TypeError("prepare must fail");
      },
    },
  });
  assert.deepEqual([code, closed], [EXIT_CODES.failed, 1]);
  assert.match(stderr, /closed the connection before it had answered in full/);
});
