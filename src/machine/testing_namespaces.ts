import { createNamedNamespace, deleteNamedNamespace, namedNamespacePath } from "../sys/mod.ts";

/** A process that only sleeps, perhaps in a network namespace of its own. */
export class Sleeper implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** In a new namespace, or in one that `path` names. */
  static async start(path?: string): Promise<Sleeper> {
    const own = Deno.readLinkSync("/proc/self/ns/net");
    const [command, ...args] = path === undefined
      ? ["unshare", "--net", "sleep", "1000"]
      : ["nsenter", `--net=${path}`, "sleep", "1000"];
    const child = new Deno.Command(command, { args, stdin: "null" }).spawn();
    // The program that enters the namespace becomes the sleeping one.
    while (Deno.readTextFileSync(`/proc/${child.pid}/comm`) !== "sleep\n") {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (Deno.readLinkSync(`/proc/${child.pid}/ns/net`) === own) throw new Error("it is elsewhere");
    return new Sleeper(child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async end(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

/** A namespace that has a name, and no process. */
export class NamedNamespace implements Disposable {
  readonly name = `nt-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;

  constructor() {
    this.make();
  }

  get path(): string {
    return namedNamespacePath(this.name);
  }

  make(): void {
    createNamedNamespace(this.name).close();
  }

  delete(): void {
    deleteNamedNamespace(this.name);
  }

  [Symbol.dispose](): void {
    this.delete();
  }
}
