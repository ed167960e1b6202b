import type { Cancel } from "../../base/mod.ts";
import {
  Connection,
  decodeXfrmNotifications,
  dumpPolicies,
  dumpSas,
  getPolicy,
  getSa,
  NetlinkError,
  type Policy,
  type Sa,
  TableDigest,
  type Transport,
  XFRMNLGRP_EXPIRE,
  XFRMNLGRP_POLICY,
  XFRMNLGRP_SA,
  type XfrmNotification,
} from "../../netlink/mod.ts";
import type { Host, Namespace } from "../host.ts";
import {
  IpsecPicture,
  type PicturePolicy,
  type PictureSa,
  policyKey,
  readPicturePolicy,
  readPictureSa,
  saKey,
} from "./picture.ts";

/** Slots and ports of which something was found to be otherwise than it was thought to be. */
export interface IpsecNews {
  /** Everything was read anew, for it was not known to be as it was. */
  readonly full: boolean;
  readonly slots: ReadonlySet<number>;
  readonly ports: ReadonlySet<number>;
}

/** More doubts than these are dispelled by a dump. */
const DOUBTS_MAX = 500;

/** Acks of so many requests have room in the receive buffer of 8 MiB that our sockets have. */
const REQUESTS_PER_SEND = 4_000;

/**
 * The IPsec state of the host, of which a picture is kept up by acks and notifications.
 *
 * A notification says that something has changed, and is late: what it is about is asked for. Those of our
 * own requests are left out, for their acks came before. A flush is told of in one message, and leaves
 * little to dump.
 */
export class LiveIpsec {
  readonly connection: Connection;
  #picture = new IpsecPicture();
  readonly #portId: number;
  readonly #onNews: () => void;
  readonly #cancelWatch: Cancel;
  #stale = true;
  readonly #doubtedSas = new Map<string, Sa>();
  readonly #doubtedPolicies = new Map<string, Policy>();
  readonly #nearEnd = new Set<string>();
  readonly #dumped = { sas: new TableDigest(), policies: new TableDigest(), changes: -1 };

  /** @throws when the kernel has no IPsec */
  constructor(host: Host, namespace: Namespace, onNews: () => void) {
    this.#onNews = onNews;
    const transport: Transport = host.openXfrmTransport(namespace);
    this.#portId = transport.portId;
    this.connection = new Connection(transport, { requestsPerSend: REQUESTS_PER_SEND });
    try {
      // Watched before the first dump, so that nothing is missed in between. Nobody listens to ACQUIRE: it
      // would have the kernel make larval SAs.
      this.#cancelWatch = host.watchXfrm(
        namespace,
        {
          groups: [XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_EXPIRE],
          notCausedBy: this.#portId,
        },
        { onDatagram: (datagram) => this.#hear(datagram), onOverrun: () => this.#lose() },
      );
    } catch (error) {
      this.connection.close();
      throw error;
    }
  }

  /** What was last seen. */
  get picture(): IpsecPicture {
    return this.#picture;
  }

  /** Whether {@linkcode look} has something to do. */
  get isDoubtful(): boolean {
    return this.#stale || this.#doubtedSas.size > 0 || this.#doubtedPolicies.size > 0;
  }

  /** Has {@linkcode look} read everything. */
  distrust(): void {
    this.#stale = true;
  }

  /** Reads again what may have changed. */
  async look(pause: () => Promise<void>): Promise<IpsecNews> {
    if (this.#doubtedSas.size + this.#doubtedPolicies.size > DOUBTS_MAX) this.#stale = true;
    const full = this.#stale && await this.#readAll(pause);
    const news = { full, slots: new Set<number>(), ports: new Set<number>() };
    for (const [key, sa] of [...this.#doubtedSas]) {
      this.#doubtedSas.delete(key);
      this.#lookAtSa(sa, news.slots);
      await pause();
    }
    for (const [key, policy] of [...this.#doubtedPolicies]) {
      this.#doubtedPolicies.delete(key);
      this.#lookAtPolicy(policy, news.ports);
      await pause();
    }
    return news;
  }

  /** Takes in an SA that the kernel has acknowledged. */
  recordInstalled(
    { source, destination, spi, slot, port }:
      & Pick<
        PictureSa,
        "source" | "destination" | "spi" | "slot"
      >
      & { readonly port: number },
  ): void {
    const sa = { source, destination, spi, slot, port, larval: false, nearEnd: false };
    this.#nearEnd.delete(saKey(sa));
    this.#picture.setSa(sa);
  }

  /** Stops watching and closes; the kernel goes on. */
  close(): void {
    this.#cancelWatch();
    this.connection.close();
  }

  /** @returns whether it was not as it was thought to be */
  async #readAll(pause: () => Promise<void>): Promise<boolean> {
    this.#stale = false;
    try {
      if (await this.#isAsDumped(pause)) return false;
      await this.#dump(pause);
      return true;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  /** Whether the kernel has what it had when it was dumped, and nothing that was heard of is otherwise. */
  async #isAsDumped(pause: () => Promise<void>): Promise<boolean> {
    const { sas, policies, changes } = this.#dumped;
    if (changes !== this.#picture.changes) return false;
    return await this.connection.isAsNoted(dumpSas(), sas, pause) &&
      await this.connection.isAsNoted(dumpPolicies(), policies, pause);
  }

  async #dump(pause: () => Promise<void>): Promise<void> {
    this.#doubtedSas.clear();
    this.#doubtedPolicies.clear();
    const { sas, policies } = this.#dumped;
    const picture = new IpsecPicture();
    for (const sa of await this.connection.dumpNoting(dumpSas(), sas, pause)) {
      const found = readPictureSa(sa);
      if (found !== null) picture.setSa(this.#marked(found));
    }
    await pause();
    for (const policy of await this.connection.dumpNoting(dumpPolicies(), policies, pause)) {
      const found = readPicturePolicy(policy);
      if (found !== null) picture.setPolicy(found);
    }
    // What is told and lost meanwhile may be in no table.
    this.#dumped.changes = this.#stale ? -1 : picture.changes;
    this.#picture = picture;
  }

  #marked(sa: PictureSa): PictureSa {
    return this.#nearEnd.has(saKey(sa)) ? { ...sa, nearEnd: true } : sa;
  }

  #lookAtSa(told: Sa, slots: Set<number>): void {
    const before = readPictureSa(told);
    if (before !== null) {
      slots.add(before.slot);
      this.#picture.removeSa(before.slot, before);
    }
    const now = absentAsNull(() => this.connection.get(getSa(told)));
    const found = now === null ? null : readPictureSa(now);
    if (found === null) return;
    slots.add(found.slot);
    this.#picture.setSa(this.#marked(found));
  }

  #lookAtPolicy(told: Policy, ports: Set<number>): void {
    const now = absentAsNull(() => this.connection.get(getPolicy(told)));
    const found = now === null ? null : readPicturePolicy(now);
    const before = readPicturePolicy(told);
    for (const one of [before, found]) if (one?.kind !== "stray" && one) ports.add(one.place.port);
    if (before !== null) this.#picture.removePolicy(before);
    if (found !== null) this.#picture.setPolicy(found);
  }

  #hear(datagram: Uint8Array): void {
    let told: readonly XfrmNotification[];
    try {
      told = decodeXfrmNotifications(datagram, this.#portId);
    } catch {
      // Bytes that this program does not understand may have been about anything.
      return this.#lose();
    }
    for (const notification of told) this.#take(notification);
  }

  #lose(): void {
    this.#stale = true;
    // What was lost may have been that an SA is near its end, of which its table says nothing more.
    this.#dumped.changes = -1;
    this.#onNews();
  }

  #take(notification: XfrmNotification): void {
    switch (notification.kind) {
      case "sa":
        return this.#doubtSa(notification.sa);
      case "sa-expired": {
        const sa: Sa = { ...notification.sa, aead: null, larval: true, replay: null };
        const found = readPictureSa(sa);
        if (found !== null && notification.limit === "soft") this.#nearEnd.add(saKey(found));
        return this.#doubtSa(sa);
      }
      case "policy":
      case "policy-expired":
        return this.#doubtPolicy(notification.policy);
      case "sas-flushed":
      case "policies-flushed":
        return this.#lose();
    }
  }

  #doubtSa(sa: Sa): void {
    const told = readPictureSa(sa);
    if (told === null) return;
    this.#doubtedSas.set(saKey(told), sa);
    this.#onNews();
  }

  #doubtPolicy(policy: Policy): void {
    const told = readPicturePolicy(policy);
    // Somebody else's, at no place of ours.
    if (told === null || isForeign(told, this.#picture)) return;
    this.#doubtedPolicies.set(policyKey(told), policy);
    this.#onNews();
  }
}

function isForeign(told: PicturePolicy, picture: IpsecPicture): boolean {
  return told.kind !== "stray" && told.slot === null &&
    !picture.policies(told.place.port).has(policyKey(told));
}

function absentAsNull<T>(get: () => T): T | null {
  try {
    return get();
  } catch (error) {
    if (error instanceof NetlinkError && (error.code === "ESRCH" || error.code === "ENOENT")) {
      return null;
    }
    throw error;
  }
}
