// Managers that are processes of their own, on a real disk, with mutual TLS between them.
import { encodeBase64url, encodeUtf8, type Id, newId } from "../base/mod.ts";
import { createStore, LOCAL_TIMING, type StoreStatus, type Timing } from "./mod.ts";
import { type ChildCommand, type ChildOptions, lines } from "./testing_manager_child.ts";
import { pause, TestAuthority } from "./testing_managers.ts";
import { random } from "./testing_store.ts";

/** An error that a manager answered, or `Gone` when it died before it could. */
export class ChildError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One of them. */
export class ChildManager {
  readonly options: ChildOptions;
  port = 0;
  #process: Deno.ChildProcess | null = null;
  #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | null = null;
  readonly #waiting = new Map<number, Waiting>();
  #number = 0;

  constructor(options: ChildOptions) {
    this.options = options;
  }

  get runs(): boolean {
    return this.#process !== null;
  }

  async start(): Promise<void> {
    const path = `${this.options.directory}.json`;
    Deno.writeTextFileSync(path, JSON.stringify({ ...this.options, port: this.port }));
    const child = new URL("./testing_manager_child.ts", import.meta.url).pathname;
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", child, path],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    const ready = Promise.withResolvers<void>();
    this.#hear(process, ready).finally(() => ready.reject(new Error("the manager did not start")));
    await ready.promise;
  }

  async #hear(process: Deno.ChildProcess, ready: PromiseWithResolvers<void>): Promise<void> {
    for await (const line of lines(process.stdout)) {
      const said = JSON.parse(line);
      if (said.ready !== undefined) {
        this.port = said.ready;
        ready.resolve();
        continue;
      }
      const waiting = this.#waiting.get(said.number);
      this.#waiting.delete(said.number);
      if (said.error === undefined) waiting?.resolve(said.value);
      else waiting?.reject(new ChildError(said.error, said.message));
    }
    for (const { reject } of this.#waiting.values()) reject(new ChildError("Gone", "it has died"));
    this.#waiting.clear();
  }

  ask<T>(command: ChildCommand): Promise<T> {
    const number = ++this.#number;
    return new Promise<T>((resolve, reject) => {
      if (this.#writer === null) return reject(new ChildError("Gone", "it does not run"));
      this.#waiting.set(number, { resolve: (value) => resolve(value as T), reject });
      const bytes = encodeUtf8(`${JSON.stringify({ number, command })}\n`);
      this.#writer.write(bytes).catch(() => {
        this.#waiting.delete(number);
        reject(new ChildError("Gone", "it has died"));
      });
    });
  }

  async status(): Promise<(StoreStatus & { readonly leads: boolean }) | null> {
    return await this.ask<StoreStatus & { leads: boolean }>({ op: "status" }).catch(() => null);
  }

  signal(signal: Deno.Signal): void {
    this.#process?.kill(signal);
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    this.#process = null;
    process.kill("SIGKILL");
    await process.status;
    await this.#writer?.close().catch(() => {});
    this.#writer = null;
  }

  async close(): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    await this.ask({ op: "close" }).catch(() => {});
    await process.status;
    this.#process = null;
    await this.#writer?.close().catch(() => {});
    this.#writer = null;
  }
}

/** All of a cluster. */
export class ChildManagers implements AsyncDisposable {
  readonly directory: string;
  readonly all: ChildManager[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** `count` managers that vote. Where `under` says, the disk has to be a real one. */
  static async create(
    count: number,
    options: {
      readonly timing?: Timing;
      readonly snapshotEvery?: number;
      readonly under?: string;
      readonly record?: boolean;
    } = {},
  ): Promise<ChildManagers> {
    const { timing = LOCAL_TIMING, snapshotEvery = 10_000, under, record = true } = options;
    const directory = Deno.makeTempDirSync({
      prefix: "agent-managers-",
      ...(under !== undefined && { dir: under }),
    });
    const managers = new ChildManagers(directory);
    const authority = await TestAuthority.create();
    const { clusterId, roots: [root] } = authority.trust;
    const incarnation = newId(random);
    for (let number = 0; number < count; number++) {
      const id = newId(random);
      const own = `${directory}/${id}`;
      createStore({
        directory: own,
        incarnation,
        random,
        begin: number === 0 ? "found" : "join",
        memberId: id,
      });
      const manager = new ChildManager({
        id,
        directory: own,
        identity: await authority.identity(id),
        clusterId,
        root: encodeBase64url(root ?? new Uint8Array()),
        port: 0,
        timing,
        snapshotEvery,
        record,
      });
      managers.all.push(manager);
      await manager.start();
      await managers.tellPorts();
      if (number > 0) await managers.#promote(id);
    }
    return managers;
  }

  async #promote(id: Id): Promise<void> {
    const leader = await this.leader();
    await leader.ask({ op: "addLearner", id });
    for (;;) {
      try {
        await leader.ask({ op: "promote", id });
        return;
      } catch (error) {
        if (!(error instanceof ChildError) || error.name !== "StoreRefusedError") throw error;
        await pause(50);
      }
    }
  }

  async tellPorts(): Promise<void> {
    const ports = Object.fromEntries(this.all.map(({ options, port }) => [options.id, port]));
    for (const manager of this.all) {
      if (manager.runs) await manager.ask({ op: "ports", ports });
    }
  }

  /** Starts one that was killed. */
  async restart(manager: ChildManager): Promise<void> {
    await manager.start();
    await this.tellPorts();
  }

  async leader(among: readonly ChildManager[] = this.all): Promise<ChildManager> {
    const endMs = performance.now() + 60_000;
    while (performance.now() < endMs) {
      for (const manager of among) {
        if (manager.runs && (await manager.status())?.leads) return manager;
      }
      await pause(5);
    }
    throw new Error("In vain: one leads");
  }

  /** Waits until a manager has applied all that the leader has. */
  async caughtUp(manager: ChildManager): Promise<void> {
    const { commitIndex = Infinity } = await (await this.leader()).status() ?? {};
    let appliedIndex = 0;
    await eventually(async () => {
      appliedIndex = (await manager.status())?.appliedIndex ?? 0;
    }, () => appliedIndex >= commitIndex);
  }

  /** What every running manager has in its state, once all have the same number of entries. */
  async entries(): Promise<string[][]> {
    let found: string[][] = [];
    let isSame = false;
    const look = async () => {
      const running = this.all.filter((manager) => manager.runs);
      found = await Promise.all(running.map((one) => one.ask<string[]>({ op: "entries" })));
      isSame = new Set(found.map((entries) => entries.length)).size === 1;
    };
    await eventually(look, () => isSame);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const manager of this.all) await manager.kill();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

async function eventually(act: () => Promise<void>, condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 60_000;
  do {
    await act();
    if (condition()) return;
    await pause(20);
  } while (performance.now() < endMs);
  throw new Error("In vain: the managers agree");
}
