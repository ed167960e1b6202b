import type { Cancel, MacText } from "../base/mod.ts";
import {
  Connection,
  decodeNotifications,
  dumpFdb,
  dumpLinks,
  dumpNeighbours,
  type FdbEntry,
  getNamespaceId,
  type Link,
  type Neighbour,
  type Notification,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
} from "../netlink/mod.ts";
import { type Announced, encodeAnnouncement } from "./announcement.ts";
import type { FrameSender, Host, Namespace } from "./host.ts";
import { type BridgeEntry, linkNamed, type Sandbox, type VxlanEntry } from "./model.ts";
import { BRIDGE, maybePortName, VXLAN } from "./names.ts";
import { SETTING_NAMES } from "./plan.ts";

/** Told when something is not as it was last seen. */
export interface SandboxListener {
  /** Something in the sandbox. */
  onChange(): void;
  /** The interface at the other end of a port, in its workload. */
  onPeerChange(portName: string): void;
}

/** What of the sandbox has to be read again. */
type Stale = "nothing" | "links" | "everything";

type TableNotification = Extract<Notification, { kind: "fdb" | "neighbour" }>;

/**
 * A sandbox that is open: its netlink connection, and what the kernel has in it, kept up by
 * notifications.
 *
 * Links are read again when any of them changes: there are few, and notifications about them come in
 * parts. Entries and neighbours, of which there are many, are followed one by one. What is heard while
 * they are dumped counts after the dump, which may have read that object before. A notification that
 * was queued before the dump can make the picture wrong for a moment; those that follow it in the
 * queue make it right.
 *
 * The namespace is held open: so one whose name somebody deletes goes on forwarding until it has
 * been put right. It costs three descriptors, and
 * one more when there was something to announce.
 */
export class LiveSandbox {
  readonly name: string;
  readonly namespace: Namespace;
  readonly connection: Connection;
  readonly #host: Host;
  readonly #listener: SandboxListener;
  #cancelWatch: Cancel | null;
  /** Kept, for to close a packet socket waits until no processor looks at it any more. */
  #frames: FrameSender | null = null;
  #stale: Stale = "everything";
  #vxlanIndex: number | null = null;
  #hostNamespaceId: number | null = null;
  #links: ReadonlyMap<number, Link> = new Map();
  #settings: ReadonlyMap<string, string> = new Map();
  #bridgeEntries = new Map<MacText, BridgeEntry>();
  #vxlanEntries = new Map<MacText, VxlanEntry>();
  #neighbours = new Map<string, MacText>();
  /** Heard while the tables are dumped; null when they are not. */
  #heardMeanwhile: TableNotification[] | null = null;

  /** Takes over `namespace`. */
  constructor(host: Host, name: string, namespace: Namespace, listener: SandboxListener) {
    this.#host = host;
    this.name = name;
    this.namespace = namespace;
    this.#listener = listener;
    this.connection = new Connection(host.openTransport(namespace));
    // Watched before the first dump, so that nothing is missed in between.
    this.#cancelWatch = host.watch(
      namespace,
      [RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR],
      {
        onDatagram: (datagram, nsid) => this.#hear(datagram, nsid),
        onOverrun: () => {
          this.#stale = "everything";
          this.#listener.onChange();
        },
      },
    );
  }

  /** What was last seen. */
  get sandbox(): Sandbox {
    return {
      links: this.#links,
      hostNamespaceId: this.#hostNamespaceId,
      settings: this.#settings,
      bridgeEntries: this.#bridgeEntries,
      vxlanEntries: this.#vxlanEntries,
      neighbours: this.#neighbours,
    };
  }

  /** Has {@linkcode look} read everything. */
  distrust(): void {
    this.#stale = "everything";
  }

  /** Has {@linkcode look} read the links: operations of ours have changed them. */
  distrustLinks(): void {
    if (this.#stale === "nothing") this.#stale = "links";
  }

  /**
   * Reads again what may have changed.
   *
   * @param pause is waited for between parts
   */
  async look(hostNamespace: Namespace, pause: () => Promise<void>): Promise<void> {
    const stale = this.#stale;
    if (stale === "nothing") return;
    this.#stale = "nothing";
    try {
      const links = await this.connection.dumpInParts(dumpLinks(), pause);
      this.#links = new Map(links.map((link) => [link.index, link]));
      const vxlanIndex = linkNamed(this.#links, VXLAN)?.index ?? null;
      const replaced = vxlanIndex !== this.#vxlanIndex;
      this.#vxlanIndex = vxlanIndex;
      if (stale === "everything" || replaced) await this.#lookAtTables(pause);
      if (stale === "links") return;
      const reference = getNamespaceId({ fd: hostNamespace.fd });
      this.#hostNamespaceId = this.connection.get(reference);
      const settings = SETTING_NAMES.flatMap((name): [string, string][] => {
        const value = this.#host.readSysctl(this.namespace, name);
        return value === null ? [] : [[name, value]];
      });
      this.#settings = new Map(settings);
    } catch (error) {
      this.#stale = "everything";
      throw error;
    }
  }

  async #lookAtTables(pause: () => Promise<void>): Promise<void> {
    this.#heardMeanwhile = [];
    try {
      await this.#dumpTables(pause);
    } finally {
      const heard = this.#heardMeanwhile;
      this.#heardMeanwhile = null;
      for (const notification of heard) this.#record(notification);
    }
  }

  async #dumpTables(pause: () => Promise<void>): Promise<void> {
    const entries = await this.connection.dumpInParts(dumpFdb(), pause);
    const index = this.#vxlanIndex;
    const neighbours = index === null
      ? []
      : await this.connection.dumpInParts(dumpNeighbours({ family: 4, index }), pause);
    this.#bridgeEntries = new Map();
    this.#vxlanEntries = new Map();
    this.#neighbours = new Map();
    for (const entry of entries) this.recordEntry(entry, "set");
    for (const neighbour of neighbours) this.recordNeighbour(neighbour, "set");
  }

  /**
   * Takes in a forwarding entry that is there now, or is gone.
   *
   * @returns whether that was news
   */
  recordEntry(entry: FdbEntry, change: "set" | "removed"): boolean {
    const { mac, index, state } = entry;
    if (entry.table === "self") {
      if (index !== this.#vxlanIndex) return false;
      if (change === "removed") return this.#vxlanEntries.delete(mac);
      // Kernels to about 6.12 tell of each such entry a second time, without where it leads: taken
      // for a change, that would be repaired, and told of again, for ever.
      if (entry.destination === null) return false;
      const vtepAddress = entry.destination.toString();
      const before = this.#vxlanEntries.get(mac);
      this.#vxlanEntries.set(mac, { vtepAddress, state });
      return before?.vtepAddress !== vtepAddress || before.state !== state;
    }
    const before = this.#bridgeEntries.get(mac);
    if (change === "removed") return before?.port === index && this.#bridgeEntries.delete(mac);
    this.#bridgeEntries.set(mac, { port: index, state });
    return before?.port !== index || before.state !== state;
  }

  /** The same for a neighbour. */
  recordNeighbour(neighbour: Neighbour, change: "set" | "removed"): boolean {
    if (neighbour.index !== this.#vxlanIndex || neighbour.address.family !== 4) return false;
    const ip = neighbour.address.toString();
    const { mac, state } = neighbour;
    if (change === "removed" || state !== "permanent" || mac === null) {
      return this.#neighbours.delete(ip);
    }
    const before = this.#neighbours.get(ip);
    this.#neighbours.set(ip, mac);
    return before !== mac;
  }

  /**
   * Tells the workloads that are on the bridge already where an address is. One of them may have asked
   * before anybody here could answer: its kernel keeps the packets, and by itself asks again after a
   * second only (`retrans_time_ms`). A peer that is there a moment later would be reached that late.
   */
  announce(announced: Announced): void {
    const links = [...this.#links.values()];
    const bridge = linkNamed(this.#links, BRIDGE);
    if (bridge === null || !links.some(({ name }) => maybePortName(name))) return;
    this.#frames ??= this.#host.openFrameSender(this.namespace);
    try {
      this.#frames.send(bridge.index, encodeAnnouncement(announced));
    } catch {
      // The bridge is down or gone, which is put right; then they ask again in their own time.
    }
  }

  /** Stops watching and closes; the kernel goes on. */
  close(): void {
    if (this.#cancelWatch === null) return;
    this.#cancelWatch();
    this.#cancelWatch = null;
    this.connection.close();
    this.#frames?.close();
    this.namespace.close();
  }

  #hear(datagram: Uint8Array, nsid: number | null): void {
    let notifications: Notification[];
    try {
      notifications = decodeNotifications(datagram);
    } catch {
      // Bytes that this program does not understand may have been about anything.
      this.#stale = "everything";
      this.#listener.onChange();
      return;
    }
    for (const notification of notifications) {
      if (nsid !== null) this.#hearOfPeer(notification, nsid);
      else if (this.#isNews(notification)) this.#listener.onChange();
    }
  }

  #isNews(notification: Notification): boolean {
    switch (notification.kind) {
      case "link":
      case "bridge-port":
        this.distrustLinks();
        return true;
      case "fdb":
      case "neighbour":
        if (this.#heardMeanwhile === null) return this.#record(notification);
        this.#heardMeanwhile.push(notification);
        return true;
      default:
        return false;
    }
  }

  #record(notification: TableNotification): boolean {
    const { change } = notification;
    return notification.kind === "fdb"
      ? this.recordEntry(notification.entry, change)
      : this.recordNeighbour(notification.neighbour, change);
  }

  /** The kernel gives a workload's namespace an id here when it has one end of a veth of ours. */
  #hearOfPeer(notification: Notification, nsid: number): void {
    const index = notification.kind === "link"
      ? notification.link.index
      : notification.kind === "address"
      ? notification.address.index
      : null;
    if (index === null) return;
    for (const port of this.#links.values()) {
      if (port.linkNamespaceId === nsid && port.linkIndex === index) {
        this.#listener.onPeerChange(port.name);
      }
    }
  }
}
