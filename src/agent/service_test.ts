import assert from "node:assert/strict";
import { Service, ServiceError, type ServiceMachine } from "./service.ts";
import { isUnitOf, READY_STATUS, unitText } from "./service_unit.ts";

const sanitized = { sanitizeOps: true, sanitizeResources: true };
const DIRECTORIES = { stateDir: "/var/lib/agent", runDir: "/run/agent" };
const COMMAND = ["/usr/local/bin/agent"];

/** A systemd that notes what it is told; `answers` by the first word of a command. */
class NotedSystemd implements ServiceMachine {
  unit: string | null = null;
  readonly told: string[] = [];
  readonly #answers: Readonly<Record<string, { status: number; text: string }>>;
  readonly #there: "systemd" | "no systemd";

  constructor(
    answers: Readonly<Record<string, { status: number; text: string }>> = {},
    there: "systemd" | "no systemd" = "systemd",
  ) {
    this.#answers = { show: { status: 0, text: `${READY_STATUS}\n` }, ...answers };
    this.#there = there;
  }

  hasSystemd(): boolean {
    return this.#there === "systemd";
  }

  readUnit(): string | null {
    return this.unit;
  }

  writeUnit(text: string): void {
    this.unit = text;
    this.told.push("write");
  }

  removeUnit(): void {
    this.unit = null;
    this.told.push("unlink");
  }

  systemctl(...args: readonly string[]) {
    this.told.push(args.join(" "));
    return Promise.resolve(this.#answers[args[0] ?? ""] ?? { status: 0, text: "" });
  }

  pause(): Promise<void> {
    return Promise.resolve();
  }
}

const SHOW = "show --property=StatusText --value agent.service";
const TAKEN_AWAY = [
  "disable --now agent.service",
  "unlink",
  "daemon-reload",
  "reset-failed agent.service",
];

Deno.test("a service is installed, enabled and started, in this order", sanitized, async () => {
  const machine = new NotedSystemd();
  const service = new Service(machine, DIRECTORIES);
  assert(service.isPossible());
  await service.start(COMMAND);
  const began = ["write", "daemon-reload", "enable agent.service", "start agent.service", SHOW];
  assert.deepEqual(machine.told, began);
  machine.told.length = 0;
  await service.remove();
  assert.deepEqual(machine.told, ["disable --now agent.service", ...TAKEN_AWAY]);
  assert.equal(machine.unit, null);
});

Deno.test("what does not start says why, and leaves no service behind", sanitized, async () => {
  const machine = new NotedSystemd({
    start: { status: 1, text: "Job for agent.service failed." },
    show: { status: 0, text: "UDP port 19999 is taken by dnsmasq\n" },
  });
  const starting = new Service(machine, DIRECTORIES).start(COMMAND);
  await assert.rejects(starting, (error) => {
    assert(error instanceof ServiceError);
    assert.match(error.message, /^UDP port 19999 is taken by dnsmasq; `journalctl -u agent/);
    return true;
  });
  assert.deepEqual(machine.told.slice(-4), TAKEN_AWAY);
  assert.equal(machine.unit, null);
});

Deno.test("one that runs but is never ready is taken away, too", sanitized, async () => {
  const show = { status: 0, text: "Runs, and waits for a manager" };
  const machine = new NotedSystemd({ show });
  const starting = new Service(machine, DIRECTORIES).start(COMMAND);
  await assert.rejects(starting, /^ServiceError: Runs, and waits for a manager/);
  assert.equal(machine.unit, null);
});

Deno.test("what systemd refuses is said in its own words", sanitized, async () => {
  const enable = { status: 1, text: "Unit is masked." };
  const starting = new Service(new NotedSystemd({ enable }), DIRECTORIES).start(COMMAND);
  await assert.rejects(
    starting,
    /`systemctl enable agent.service`: Unit is masked.; .*--no-service/,
  );
});

Deno.test("without systemd, or with another's unit, nothing is touched", sanitized, async () => {
  assert(!new Service(new NotedSystemd({}, "no systemd"), DIRECTORIES).isPossible());
  const units = [
    "[Service]\nExecStart=/opt/other/agent\n",
    unitText(COMMAND, { stateDir: "/srv/second", runDir: "/run/second" }),
  ];
  for (const unit of units) {
    const machine = new NotedSystemd();
    machine.unit = unit;
    const service = new Service(machine, DIRECTORIES);
    assert(!service.isPossible());
    await service.remove();
    assert.equal(machine.unit, unit);
    assert.deepEqual(machine.told, []);
  }
});

const COMMANDS: readonly (readonly [command: readonly string[], line: string])[] = [
  [["/opt/agent"], "/opt/agent run --state-dir /var/lib/agent --run-dir /run/agent"],
  [["/opt/my agent"], '"/opt/my agent" run --state-dir'],
  [["/opt/50%/agent"], "/opt/50%%/agent run"],
  [["/bin/sh", 'a"b\\c'], '/bin/sh "a\\"b\\\\c" run'],
  [["/bin/sh", "$HOME"], "/bin/sh $$HOME run"],
  [["/opt/$cheap/agent"], "/opt/$cheap/agent run"],
];

for (const [command, line] of COMMANDS) {
  Deno.test(`systemd reads ${JSON.stringify(command)} as it is`, () => {
    const text = unitText(command, DIRECTORIES);
    assert(text.includes(`\nExecStart=${line}`), text);
    assert(isUnitOf(text, DIRECTORIES));
  });
}

Deno.test("systemd itself finds nothing wrong with the unit", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const program = `${directory}/my agent`;
    Deno.writeTextFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
    const path = `${directory}/agent.service`;
    Deno.writeTextFileSync(path, unitText([program, "50%", "$HOME"], DIRECTORIES));
    const verify = new Deno.Command("systemd-analyze", {
      args: ["verify", "--man=no", "--recursive-errors=no", path],
    });
    const { code, stderr } = await verify.output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(code, 0);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
