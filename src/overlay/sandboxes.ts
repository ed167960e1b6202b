import type { Id } from "../base/mod.ts";
import { Connection, setLink } from "../netlink/mod.ts";
import { removeLinks, throwFirst } from "./apply.ts";
import type { Host, Namespace, NamespaceIdentity } from "./host.ts";
import { LiveSandbox } from "./live_sandbox.ts";
import { networkOf } from "./model.ts";
import { maybeSandboxName, networkAlias } from "./names.ts";
import { encryptedPort, isElsewhere } from "./plan.ts";
import type { Slicer } from "./slicer.ts";

/** The sandboxes of one host that are open, by name, and how they come and go. */
export class Sandboxes {
  readonly hostNamespace: Namespace;
  /** In the host's namespace. */
  readonly hostConnection: Connection;
  /** Of that connection's socket. */
  readonly hostPortId: number;
  readonly #host: Host;
  readonly #slicer: Slicer;
  readonly #open = new Map<string, LiveSandbox>();
  readonly #onChange: (name: string) => void;
  readonly #onPeerChange: (name: string, port: string) => void;

  constructor(
    host: Host,
    slicer: Slicer,
    listener: {
      readonly onChange: (name: string) => void;
      readonly onPeerChange: (name: string, port: string) => void;
    },
  ) {
    this.#host = host;
    this.#slicer = slicer;
    this.#onChange = listener.onChange;
    this.#onPeerChange = listener.onPeerChange;
    this.hostNamespace = host.openHostNamespace();
    const transport = host.openTransport(this.hostNamespace);
    this.hostPortId = transport.portId;
    this.hostConnection = new Connection(transport);
  }

  /** Those that are open. */
  get names(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** UDP ports of the encrypted networks whose sandboxes are open. */
  get encryptedPorts(): ReadonlySet<number> {
    const ports = [...this.#open.values()].map(({ sandbox }) => encryptedPort(sandbox));
    return new Set(ports.filter((port) => port !== null));
  }

  /** Null when it is not open. */
  get(name: string): LiveSandbox | null {
    return this.#open.get(name) ?? null;
  }

  /** Names that may stand for sandboxes of ours, open or not. */
  list(): readonly string[] {
    const found = this.#host.listNamed().filter(maybeSandboxName);
    return [...new Set([...this.names, ...found])];
  }

  /** Names of open sandboxes that stand for another namespace now, or for none. */
  renamed(): readonly string[] {
    return [...this.#open.values()].filter((live) => !this.#isNamed(live)).map(({ name }) => name);
  }

  /** Has everything read anew. */
  distrustAll(): void {
    for (const live of this.#open.values()) live.distrust();
  }

  /**
   * The sandbox of this name, as it is now; null when there is none.
   *
   * One that is open and has lost its name cannot be given it again, so it is removed.
   */
  async look(name: string): Promise<LiveSandbox | null> {
    const live = this.#open.get(name) ?? null;
    if (live !== null && !this.#isNamed(live)) {
      await this.remove(live);
      return this.look(name);
    }
    const current = live ?? this.#openNamed(name);
    if (current === null) return null;
    try {
      await current.look(this.hostNamespace, () => this.#slicer.pause());
    } catch (error) {
      if (live === null) this.#drop(current);
      throw error;
    }
    return current;
  }

  /**
   * Makes one that is empty, and marked as ours before it has its name: an unmarked one, left by an
   * agent that was killed, would be taken for somebody else's for ever.
   */
  make(name: string, networkId: Id): LiveSandbox {
    const mark = [setLink("lo", { alias: networkAlias(networkId) })];
    const namespace = this.#host.createNamed(name, (unnamed) => {
      const connection = new Connection(this.#host.openTransport(unnamed));
      try {
        throwFirst(connection.batch(mark));
      } finally {
        connection.close();
      }
    });
    return this.#keep(name, namespace);
  }

  /** The network whose sandbox this is; null when it is not ours. */
  owner(live: LiveSandbox): Id | null {
    return isElsewhere(live.sandbox) ? null : networkOf(live.sandbox);
  }

  /** Closes one that is not ours. */
  release(live: LiveSandbox): void {
    this.#drop(live);
  }

  /** Deletes our links in it and, while it has it, its name. */
  async remove(live: LiveSandbox): Promise<void> {
    const named = this.#isNamed(live);
    await removeLinks(this.#slicer, live.connection);
    this.#drop(live);
    if (named) this.#host.deleteNamed(live.name);
  }

  /** Closes all; the kernel goes on. */
  close(): void {
    for (const live of [...this.#open.values()]) this.#drop(live);
    this.hostConnection.close();
    this.hostNamespace.close();
  }

  #openNamed(name: string): LiveSandbox | null {
    const namespace = this.#host.openNamed(name);
    return namespace === null ? null : this.#keep(name, namespace);
  }

  #keep(name: string, namespace: Namespace): LiveSandbox {
    const live = new LiveSandbox(this.#host, name, namespace, {
      onChange: () => this.#onChange(name),
      onPeerChange: (port) => this.#onPeerChange(name, port),
    });
    this.#open.set(name, live);
    return live;
  }

  #drop(live: LiveSandbox): void {
    live.close();
    this.#open.delete(live.name);
  }

  #isNamed(live: LiveSandbox): boolean {
    const now = this.#host.identifyNamed(live.name);
    return now !== null && isSame(now, live.namespace.identity);
  }
}

function isSame(left: NamespaceIdentity, right: NamespaceIdentity): boolean {
  return left.device === right.device && left.inode === right.inode;
}
