import type { Cancel, IpAddress } from "../../base/mod.ts";
import {
  type Connection,
  decodeMessages,
  decodeNotifications,
  type Dump,
  dumpFilters,
  dumpQdiscs,
  NetlinkError,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_LINK,
  RTNLGRP_TC,
} from "../../netlink/mod.ts";
import type { Host, Namespace, NotificationListener } from "../host.ts";
import type { Device } from "../operation.ts";
import type { Slicer } from "../slicer.ts";
import {
  type DevicePicture,
  filterKey,
  type GuardedPort,
  type PictureFilter,
  planGuard,
  planGuardSweep,
  readGuardFilter,
} from "./guard_plan.ts";
import { formatIpsecOperation, type GuardOperation } from "./operation.ts";
import { guardRequest } from "./requests.ts";
import { Underlay } from "./underlay.ts";

/** Where the guard has to stand. */
export interface GuardedPeers {
  readonly own: IpAddress;
  readonly peers: Iterable<IpAddress>;
}

/**
 * What has to be read again: where new `peers` are, `filters`, routes (`devices`) too, or all of it. Each
 * includes those before it.
 */
type Staleness = "nothing" | "peers" | "filters" | "devices" | "everything";

const STALENESS: readonly Staleness[] = ["nothing", "peers", "filters", "devices", "everything"];

/** In a second, so many times at most are routes looked up anew because some have changed. */
const ROUTE_LOOKS = 5;

/**
 * The second guard, on the wire's side: UDP to or from the port of an encrypted network is cleartext by
 * definition, for encrypted it is ESP there. So it is dropped by filters of the underlay's devices, which
 * ask neither policies nor firewall.
 *
 * A device has one clsact qdisc, which is shared; filters of others stay.
 */
export class Guard {
  readonly #connection: Connection;
  readonly #portId: number;
  readonly #pictures = new Map<number, DevicePicture>();
  #devices: ReadonlyMap<number, Device> = new Map();
  readonly #cancels: Cancel[] = [];
  readonly #links = new Map<number, string>();
  readonly #onNews: () => void;
  readonly #underlay: Underlay;
  #stale: Staleness = "everything";
  #looksLeft = ROUTE_LOOKS;
  #lack: string | null = null;

  constructor(
    host: Host,
    namespace: Namespace,
    { connection, portId }: { readonly connection: Connection; readonly portId: number },
    onNews: () => void,
  ) {
    this.#connection = connection;
    this.#underlay = new Underlay(connection);
    this.#portId = portId;
    this.#onNews = onNews;
    const watch = (groups: readonly number[], hear: NotificationListener["onDatagram"]) => {
      this.#cancels.push(host.watch(namespace, groups, {
        onDatagram: (datagram, nsid) => nsid === null && hear(datagram, nsid),
        onOverrun: () => this.#expect("everything"),
      }));
    };
    watch([RTNLGRP_TC], (datagram) => {
      const others = decodeMessages(datagram).some((message) => message.portId !== this.#portId);
      if (others) this.#expect("filters");
    });
    const routes = [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE];
    watch(routes, () => this.#expect("devices"));
    watch([RTNLGRP_LINK], (datagram) => this.#hearOfLinks(datagram));
  }

  /** Whether {@linkcode look} has something to do. */
  get isDoubtful(): boolean {
    return this.#stale !== "nothing" && (this.#stale !== "devices" || this.#looksLeft > 0);
  }

  /** Where the guard stands, or should. */
  get devices(): readonly Device[] {
    return [...this.#devices.values()];
  }

  /** Whether nothing of ours is there. */
  get isEmpty(): boolean {
    return [...this.#pictures.values()].every(({ filters }) => filters.size === 0);
  }

  /** Why there is no second guard on this host; null when there can be one. */
  get lack(): string | null {
    return this.#lack;
  }

  /** Has everything read anew. */
  distrust(): void {
    this.#stale = "everything";
  }

  /** A second has passed. */
  tick(): void {
    this.#looksLeft = ROUTE_LOOKS;
    if (this.isDoubtful) this.#onNews();
  }

  /**
   * Reads again what may have changed.
   *
   * @returns whether something is otherwise than it was thought to be
   */
  async look(peers: GuardedPeers | null, pause: () => Promise<void>): Promise<boolean> {
    const stale = this.#stale;
    if (stale === "nothing") return false;
    this.#stale = "nothing";
    try {
      if (stale === "devices" || stale === "everything") {
        this.#looksLeft--;
        this.#underlay.forget();
      }
      const before = this.#devices;
      this.#devices = peers === null
        ? new Map()
        : await this.#underlay.devices(peers.own, peers.peers, pause);
      if (stale === "peers" && isSame(before, this.#devices)) return false;
      // A kernel that lacked a module may have it by now.
      if (stale === "everything") this.#lack = null;
      await this.#lookAtFilters(stale === "everything" ? "all" : "known", pause);
      return true;
    } catch (error) {
      this.#stale = "everything";
      throw error;
    }
  }

  /** There may be other peers. */
  expectPeers(): void {
    if (this.#stale === "nothing") this.#stale = "peers";
  }

  /** What is missing for these ports. */
  plan(ports: readonly GuardedPort[]): readonly GuardOperation[] {
    if (this.#lack !== null) return [];
    return this.devices.flatMap((device) =>
      planGuard(device, ports, this.#pictures.get(device.index) ?? null)
    );
  }

  /** What is there and serves none of these ports. */
  planSweep(ports: readonly GuardedPort[]): readonly GuardOperation[] {
    return [...this.#pictures.values()].flatMap((found) =>
      planGuardSweep(this.#devices.has(found.device.index) ? ports : [], found)
    );
  }

  /**
   * Does operations, in their order.
   *
   * @returns why one was not done
   */
  async apply(operations: readonly GuardOperation[], slicer: Slicer): Promise<readonly string[]> {
    if (operations.length === 0) return [];
    // Off the thread: the first of its kind has the kernel load modules.
    const results = await slicer.offThread(() =>
      this.#connection.batchOffThread(operations.map(guardRequest))
    );
    for (const [place, operation] of operations.entries()) {
      const refused = results[place] ?? null;
      if (refused === null || isDoneAlready(operation, refused)) {
        this.#record(operation, refused === null ? "ours" : "foreign");
        continue;
      }
      // It cannot be found by the kernel: what the request names is a module that it does not have.
      if (refused.code === "ENOENT" || refused.code === "EOPNOTSUPP") {
        this.#lack = `the kernel has no second guard (${refused.message}): install the modules ` +
          "sch_ingress, cls_flower and act_gact";
        return [];
      }
      return [`${formatIpsecOperation(operation)} failed: ${refused.message}`];
    }
    return [];
  }

  /** Stops watching; the kernel goes on. */
  close(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  #expect(what: Staleness): void {
    if (STALENESS.indexOf(what) > STALENESS.indexOf(this.#stale)) this.#stale = what;
    if (this.isDoubtful) this.#onNews();
  }

  /** Routes of a link that goes down, or up, change without being told of. */
  #hearOfLinks(datagram: Uint8Array): void {
    try {
      for (const notification of decodeNotifications(datagram)) {
        if (notification.kind !== "link") continue;
        const { link, change } = notification;
        const now = change === "removed" ? "" : `${link.name} ${link.up} ${link.lowerUp}`;
        if ((this.#links.get(link.index) ?? "") === now) continue;
        if (now === "") this.#links.delete(link.index);
        else this.#links.set(link.index, now);
        this.#expect("devices");
      }
    } catch {
      this.#expect("devices");
    }
  }

  async #lookAtFilters(which: "all" | "known", pause: () => Promise<void>): Promise<void> {
    const withClsact = new Set<number>();
    for (const { index, kind } of await this.#connection.dumpInParts(dumpQdiscs(), pause)) {
      if (kind === "clsact") withClsact.add(index);
    }
    const known = new Map([...this.#pictures].map(([index, { device }]) => [index, device]));
    const devices = new Map<number, Device>([...known, ...this.#devices]);
    if (which === "all") {
      for (const index of withClsact) {
        if (!devices.has(index)) devices.set(index, { index, name: `ifindex ${index}` });
      }
    }
    for (const [index, device] of devices) {
      const before = this.#pictures.get(index) ?? null;
      this.#pictures.delete(index);
      if (withClsact.has(index)) await this.#lookAtDevice(device, before, pause);
    }
  }

  async #lookAtDevice(
    device: Device,
    before: DevicePicture | null,
    pause: () => Promise<void>,
  ): Promise<void> {
    const filters = new Map<string, PictureFilter>();
    let others = 0;
    for (const hook of ["ingress", "egress"] as const) {
      const dump = dumpFilters({ index: device.index, hook });
      for (const filter of await this.#dump(dump, pause)) {
        const own = readGuardFilter(filter);
        if (own === null) others++;
        else filters.set(filterKey(own.filter), own);
      }
    }
    // Where there are filters of ours, an agent before this one has made the qdisc, or shared it.
    const clsact = before?.clsact ?? (filters.size > 0 ? "ours" : "foreign");
    if (filters.size > 0 || this.#devices.has(device.index) || before !== null) {
      this.#pictures.set(device.index, { device, clsact, filters, others });
    }
  }

  /** None of a device that has gone meanwhile. */
  async #dump<T>(
    dump: Dump<T>,
    pause: () => Promise<void>,
  ): Promise<readonly T[]> {
    try {
      return await this.#connection.dumpInParts(dump, pause);
    } catch (error) {
      if (error instanceof NetlinkError && error.code === "ENODEV") return [];
      throw error;
    }
  }

  #record(operation: GuardOperation, made: "ours" | "foreign"): void {
    const { device } = operation;
    const before = this.#pictures.get(device.index) ??
      { device, clsact: null, filters: new Map<string, PictureFilter>(), others: 0 };
    const filters = new Map(before.filters);
    switch (operation.kind) {
      case "add-clsact":
        this.#pictures.set(device.index, { ...before, clsact: made });
        return;
      case "delete-clsact":
        this.#pictures.delete(device.index);
        return;
      case "set-filter":
        filters.set(filterKey(operation.filter), { filter: operation.filter, right: true });
        break;
      case "delete-filter":
        filters.delete(filterKey(operation.filter));
    }
    this.#pictures.set(device.index, { ...before, filters });
  }
}

function isSame(
  left: ReadonlyMap<number, Device>,
  right: ReadonlyMap<number, Device>,
): boolean {
  return left.size === right.size &&
    [...right].every(([index, { name }]) => left.get(index)?.name === name);
}

function isDoneAlready({ kind }: GuardOperation, { code }: NetlinkError): boolean {
  if (kind === "add-clsact") return code === "EEXIST";
  const gone = ["ENOENT", "ENODEV", "EINVAL"].includes(code);
  return (kind === "delete-filter" || kind === "delete-clsact") && gone;
}
