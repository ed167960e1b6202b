import {
  type Bytes,
  type Clock,
  type Id,
  IpAddress,
  probeMac,
  type Random,
} from "../../base/mod.ts";
import {
  Connection,
  deleteFdbEntry,
  dumpLinks,
  type Link,
  parseXfrmStat,
  replaceFdbEntry,
} from "../../netlink/mod.ts";
import type { CheckedPeer } from "../../state/mod.ts";
import { throwFirst } from "../apply.ts";
import type { FrameChannel, Host, Namespace } from "../host.ts";
import { networkAlias, sandboxName, VXLAN } from "../names.ts";
import { Conversation } from "./conversation.ts";
import { PROBE_ETHER_TYPE } from "./frame.ts";
import { type NetworkToCheck, PairCounters, type SaCounts } from "./pair_counters.ts";

/** The other end may begin a little later, and packets get lost. */
const SEND_AFTER_MS = [0, 100, 250, 500, 1_000, 2_000];
/** By then everything that will come has come. */
const END_AFTER_MS = 3_000;
/** Between so many peers others of the event loop have a turn. */
const PEERS_AT_ONCE = 32;

/** What it works with. */
export interface CheckPorts {
  /** The machine. */
  readonly host: Host;
  /** Its time. */
  readonly clock: Clock;
  /** For numbers that nobody can guess. */
  readonly random: Random;
}

/** What was found. */
export interface PairFindings {
  /** All that were to be checked. */
  readonly peers: readonly CheckedPeer[];
  /** By how much the kernel's counters of refusals have grown meanwhile, on the whole host. */
  readonly refused: ReadonlyMap<string, number>;
}

/**
 * Sends real frames through the VXLAN device, and so through ESP, to each peer and hears theirs, small ones
 * and ones as large as the network's MTU allows; meanwhile counts what IPsec does with them. It opens
 * nothing: what policies and SAs do not let pass does not pass.
 *
 * It takes a moment when all is well, three seconds when something is not.
 *
 * @param checkId 16 bytes, the same at both ends
 * @throws when the network is not up on this host
 */
export async function checkPairs(
  ports: CheckPorts,
  network: NetworkToCheck,
  checkId: Bytes,
): Promise<PairFindings> {
  const check = PairCheck.open(ports, network, checkId);
  try {
    return await check.run();
  } finally {
    await check.close();
  }
}

class PairCheck {
  readonly #ports: CheckPorts;
  readonly #network: NetworkToCheck;
  readonly #conversation: Conversation;
  readonly #opened: { close(): void }[] = [];
  readonly #sandbox: Connection;
  readonly #route: Connection;
  readonly #counters: PairCounters;
  readonly #vxlan: Link;
  readonly #frames: FrameChannel;
  readonly #complete = Promise.withResolvers<void>();
  #failure: Error | null = null;

  static open(ports: CheckPorts, network: NetworkToCheck, checkId: Bytes): PairCheck {
    const opened: { close(): void }[] = [];
    try {
      return new PairCheck(ports, network, checkId, opened);
    } catch (error) {
      for (const one of opened.reverse()) one.close();
      throw error;
    }
  }

  private constructor(
    ports: CheckPorts,
    network: NetworkToCheck,
    checkId: Bytes,
    opened: { close(): void }[],
  ) {
    this.#ports = ports;
    this.#network = network;
    this.#opened = opened;
    const { index } = network.self;
    const { peers, mtuBytes } = network;
    this.#conversation = new Conversation({ checkId, index, mtuBytes, peers }, ports.random);
    const { host } = ports;
    const sandbox = this.#keep(openSandbox(host, network.name));
    this.#sandbox = this.#keep(new Connection(host.openTransport(sandbox)));
    const own = this.#keep(host.openHostNamespace());
    this.#route = this.#keep(new Connection(host.openTransport(own)));
    const xfrm = this.#keep(new Connection(host.openXfrmTransport(own)));
    this.#counters = new PairCounters(this.#route, xfrm, network);
    this.#vxlan = vxlanOf(this.#sandbox, network);
    this.#frames = this.#keep(
      host.openFrames(
        sandbox,
        { interfaceIndex: this.#vxlan.index, etherType: PROBE_ETHER_TYPE },
        {
          onFrame: (frame) => this.#hear(frame),
          onLost: () => this.#fail(new Error(`${network.name}'s VXLAN device went down meanwhile`)),
        },
      ),
    );
  }

  async run(): Promise<PairFindings> {
    const { clock } = this.#ports;
    await this.#setEntries("set");
    const refusals = this.#refusals();
    const before = await this.#countAll();
    const cancels = SEND_AFTER_MS.map((afterMs) =>
      clock.schedule(afterMs, () => void this.#send())
    );
    cancels.push(clock.schedule(END_AFTER_MS, () => this.#complete.resolve()));
    await this.#complete.promise;
    for (const cancel of cancels) cancel();
    if (this.#failure !== null) throw this.#failure;
    const after = await this.#countAll();
    const links = new Map(this.#route.dump(dumpLinks()).map((link) => [link.index, link]));
    const refused = new Map<string, number>();
    for (const [name, count] of this.#refusals()) {
      const more = count - (refusals.get(name) ?? 0);
      if (more > 0) refused.set(name, more);
    }
    return { peers: await this.#findings(before, after, links), refused };
  }

  async close(): Promise<void> {
    try {
      await this.#setEntries("delete");
    } catch {
      // The device may be gone, and its entries with it. One that is left leads nowhere but to a VTEP.
    }
    for (const one of this.#opened.reverse()) one.close();
  }

  #keep<T extends { close(): void }>(one: T): T {
    this.#opened.push(one);
    return one;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#complete.resolve();
  }

  #hear(frame: Uint8Array): void {
    for (const due of this.#conversation.hear(frame)) this.#put(due);
    if (this.#conversation.isComplete) this.#complete.resolve();
  }

  async #send(): Promise<void> {
    await this.#eachPeer(({ nodeId }) => {
      for (const frame of this.#conversation.due(nodeId)) this.#put(frame);
    });
  }

  #put(frame: Bytes): void {
    try {
      this.#frames.send(frame);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #setEntries(what: "set" | "delete"): Promise<void> {
    const requests = this.#network.peers.map(({ index, vtepAddress }) => {
      const key = {
        index: this.#vxlan.index,
        table: "self",
        mac: probeMac(index),
        destination: IpAddress.parse(vtepAddress),
      } as const;
      return what === "set" ? replaceFdbEntry({ ...key, state: "permanent" }) : deleteFdbEntry(key);
    });
    const answers = await this.#sandbox.batchOffThread(requests);
    if (what === "set") throwFirst(answers);
  }

  async #countAll(): Promise<ReadonlyMap<Id, SaCounts>> {
    const counts = new Map<Id, SaCounts>();
    await this.#eachPeer((peer) => void counts.set(peer.nodeId, this.#counters.count(peer)));
    return counts;
  }

  async #findings(
    before: ReadonlyMap<Id, SaCounts>,
    after: ReadonlyMap<Id, SaCounts>,
    links: ReadonlyMap<number, Link>,
  ): Promise<readonly CheckedPeer[]> {
    const peers: CheckedPeer[] = [];
    await this.#eachPeer(({ nodeId, vtepAddress }) => {
      const { heard, answered } = this.#conversation.exchanged(nodeId);
      const [was, is] = [before.get(nodeId), after.get(nodeId)];
      if (was === undefined || is === undefined) return;
      const out = [...is.outPackets].map(([epoch, count]) =>
        [epoch, count - (was.outPackets.get(epoch) ?? 0)] as const
      ).filter(([, count]) => count > 0);
      peers.push({
        nodeId,
        heard: [...heard],
        answered: [...answered],
        outPackets: out.reduce((sum, [, count]) => sum + count, 0),
        outEpochs: out.map(([epoch]) => epoch),
        // An SA may have gone meanwhile, with its counts.
        inPackets: Math.max(0, is.inPackets - was.inPackets),
        integrityFailures: Math.max(0, is.integrityFailures - was.integrityFailures),
        replays: Math.max(0, is.replays - was.replays),
        inEpochs: is.inEpochs,
        ...this.#counters.routeMtu(vtepAddress, links),
      });
    });
    return peers;
  }

  #refusals(): ReadonlyMap<string, number> {
    const text = this.#ports.host.readHostNetFile("xfrm_stat");
    return text === null ? new Map() : parseXfrmStat(text);
  }

  async #eachPeer(action: (peer: NetworkToCheck["peers"][number]) => void): Promise<void> {
    for (const [place, peer] of this.#network.peers.entries()) {
      if (place > 0 && place % PEERS_AT_ONCE === 0) {
        await new Promise<void>((resolve) => void this.#ports.clock.schedule(0, resolve));
      }
      action(peer);
    }
  }
}

function openSandbox(host: Host, name: string): Namespace {
  const sandbox = host.openNamed(sandboxName(name));
  if (sandbox === null) {
    throw new Error(`${name} is not up on this host: there is no sandbox of it`);
  }
  return sandbox;
}

function vxlanOf(sandbox: Connection, { id, name }: NetworkToCheck): Link {
  const found = sandbox.dump(dumpLinks()).find((link) => link.name === VXLAN);
  if (found?.alias === networkAlias(id) && found.up) return found;
  throw new Error(
    `${name} is not up on this host: its VXLAN device is ${found === undefined ? "gone" : "down"}`,
  );
}
