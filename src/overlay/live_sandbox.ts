import { isDeepStrictEqual } from "node:util";
import type { Cancel } from "../base/mod.ts";
import {
  type ComparableDump,
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
  TableDigest,
} from "../netlink/mod.ts";
import { type Announced, encodeAnnouncement } from "./announcement.ts";
import { EntryTables } from "./entry_tables.ts";
import type { FrameSender, Host, Namespace } from "./host.ts";
import { linkNamed, type Sandbox } from "./model.ts";
import { BRIDGE, maybePortName, VXLAN } from "./names.ts";
import { SETTING_NAMES } from "./plan.ts";
import type { SettledEntries } from "./plan_entries.ts";

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
  #tables = new EntryTables(null);
  #hostNamespaceId: number | null = null;
  #links: ReadonlyMap<number, Link> = new Map();
  #settings: ReadonlyMap<string, string> = new Map();
  /** What all entries and neighbours are right for; null when that has to be found out. */
  #settled: SettledEntries | null = null;
  /** Counts what has changed of itself. */
  #changes = 0;
  readonly #dumped = { fdb: new TableDigest(), neighbours: new TableDigest() };
  /** The tables are as they were dumped: nothing was heard since. */
  #asDumped = false;
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
      bridgeEntries: this.#tables.bridgeEntries,
      vxlanEntries: this.#tables.vxlanEntries,
      neighbours: this.#tables.neighbours,
    };
  }

  /** What all entries were right for when last seen to, if nothing has changed since. */
  get settled(): SettledEntries | null {
    return this.#settled;
  }

  /** Grows whenever something is not as it was last seen. */
  get changes(): number {
    return this.#changes;
  }

  /** All entries are right for these, if nothing has changed since it was at `changes`. */
  settle(settled: SettledEntries, changes: number): void {
    this.#settled = changes === this.#changes ? settled : null;
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
      await this.#lookAtLinks(pause);
      const vxlanIndex = linkNamed(this.#links, VXLAN)?.index ?? null;
      const replaced = vxlanIndex !== this.#tables.vxlanIndex;
      if (replaced || stale === "everything" && !await this.#areTablesAsDumped(pause)) {
        await this.#lookAtTables(vxlanIndex, pause);
      }
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

  #unsettle(): void {
    this.#settled = null;
    this.#changes++;
  }

  async #lookAtLinks(pause: () => Promise<void>): Promise<void> {
    const dumped = await this.connection.dumpInParts(dumpLinks(), pause);
    const links = new Map(dumped.map((link) => [link.index, link]));
    if (!isDeepStrictEqual(links, this.#links)) this.#unsettle();
    this.#links = links;
  }

  async #areTablesAsDumped(pause: () => Promise<void>): Promise<boolean> {
    const { fdb, neighbours } = this.#dumped;
    const { vxlanIndex } = this.#tables;
    return this.#asDumped && await this.connection.isAsNoted(dumpFdb(), fdb, pause) &&
      (vxlanIndex === null ||
        await this.connection.isAsNoted(neighboursOf(vxlanIndex), neighbours, pause));
  }

  async #lookAtTables(index: number | null, pause: () => Promise<void>): Promise<void> {
    this.#unsettle();
    this.#heardMeanwhile = [];
    try {
      await this.#dumpTables(index, pause);
    } finally {
      const heard = this.#heardMeanwhile;
      this.#heardMeanwhile = null;
      for (const notification of heard) this.#record(notification);
    }
  }

  async #dumpTables(index: number | null, pause: () => Promise<void>): Promise<void> {
    const { fdb, neighbours } = this.#dumped;
    const entries = await this.connection.dumpNoting(dumpFdb(), fdb, pause);
    const found = index === null
      ? []
      : await this.connection.dumpNoting(neighboursOf(index), neighbours, pause);
    this.#tables = new EntryTables(index);
    for (const entry of entries) this.recordEntry(entry, "set");
    for (const neighbour of found) this.recordNeighbour(neighbour, "set");
    this.#asDumped = true;
  }

  /** Takes in a forwarding entry that is there now, or is gone; whether that was news. */
  recordEntry(entry: FdbEntry, change: "set" | "removed"): boolean {
    return this.#noteNews(this.#tables.recordEntry(entry, change));
  }

  /** The same for a neighbour. */
  recordNeighbour(neighbour: Neighbour, change: "set" | "removed"): boolean {
    return this.#noteNews(this.#tables.recordNeighbour(neighbour, change));
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
        if (this.#heardMeanwhile === null) {
          const isNews = this.#record(notification);
          if (isNews) this.#unsettle();
          return isNews;
        }
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

  #noteNews(isNews: boolean): boolean {
    if (isNews) this.#asDumped = false;
    return isNews;
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

function neighboursOf(index: number): ComparableDump<Neighbour> {
  return dumpNeighbours({ family: 4, index });
}
