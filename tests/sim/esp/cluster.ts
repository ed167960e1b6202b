/**
 * A cluster of hosts with encrypted networks, as far as keys go: a leader that opens and retires epochs,
 * agents that install SAs, kernels that hold them, and what goes wrong with hosts. The rules are those of
 * `src/esp`. {@linkcode Installations} checks that no derivation comes twice; here it is checked that
 * the place in a kernel (destination, SPI) is not that of another SA that is in use.
 */
import { encodeBase32, type Id, SecretBytes } from "../../../src/base/mod.ts";
import * as esp from "../../../src/esp/mod.ts";
import { Prng } from "./prng.ts";
import { Host, type KernelEntry } from "./host.ts";
import { Contexts, type Installations, Violation } from "./installations.ts";
import type { Rules } from "./rules.ts";

interface Network {
  readonly id: Id;
  readonly serial: number;
  readonly slot: number;
  readonly secrets: Map<number, SecretBytes>;
  live: readonly esp.EpochState[];
  last: number;
  /** Hosts with an endpoint on it. */
  readonly members: Set<Id>;
  /** Hosts that have, or had, SAs of it. */
  readonly holders: Set<Id>;
  readonly reports: Map<Id, esp.EpochReport>;
}

/** How many things there are at the beginning. */
export interface Size {
  readonly hosts: number;
  readonly networks: number;
  readonly membersPerNetwork: number;
}

const LIMIT_MS = 86_400_000;

/** All of it. */
export class Cluster {
  readonly hosts = new Map<Id, Host>();
  readonly networks = new Map<Id, Network>();
  readonly counts = {
    rotations: 0,
    waits: 0,
    retired: 0,
    closed: 0,
    replaced: 0,
    adopted: 0,
    bootKeys: 0,
  };
  readonly #prng: Prng;
  readonly #rules: Rules;
  readonly #installations: Installations;
  readonly #contexts = new Contexts();
  readonly #clusterId: Id;
  #incarnation: Id;
  readonly #seen = new Map<Id, number>();
  readonly #published = new Map<Id, NonNullable<Host["key"]>>();
  #networkSerials = 0;
  #nextSlot = 0;
  #nextIndex = 1;
  #nowMs = 0;
  #calm = false;

  constructor(prng: Prng, size: Size, rules: Rules, installations: Installations) {
    this.#prng = prng;
    this.#rules = rules;
    this.#installations = installations;
    this.#clusterId = this.#newId();
    this.#incarnation = this.#newId();
    for (let count = 0; count < size.hosts; count++) this.addHost(size.hosts + 2);
    for (let count = 0; count < size.networks; count++) {
      this.addNetwork(size.membersPerNetwork, size.networks + 2);
    }
  }

  #newId(): Id {
    return encodeBase32(this.#prng.bytes(16));
  }

  /** The first of a range, round-robin, that nobody has and nobody reports. */
  #free(from: number, low: number, count: number, taken: (value: number) => boolean): number {
    for (let step = 0; step < count; step++) {
      const value = low + (from - low + step) % count;
      if (!taken(value)) return value;
    }
    return -1;
  }

  addHost(indexes: number): void {
    const own = new Set([...this.hosts.values()].map(({ index }) => index));
    const held = new Set([...this.hosts.values()].flatMap((host) => [...host.heldIndexes]));
    const index = this.#free(
      this.#nextIndex,
      1,
      indexes,
      (value) => own.has(value) || (this.#rules.reuse === "when-gone" && held.has(value)),
    );
    if (index < 0) return;
    this.#nextIndex = this.#rules.reuse === "when-gone" ? index + 1 : 1;
    const host = new Host(this.#newId(), index, this.#prng, this.#rules);
    this.hosts.set(host.id, host);
    this.contact(host);
  }

  addNetwork(members: number, slots: number): void {
    const own = new Set([...this.networks.values()].map(({ slot }) => slot));
    const held = new Set([...this.hosts.values()].flatMap((host) => [...host.heldSlots]));
    const slot = this.#free(
      this.#nextSlot,
      0,
      slots,
      (value) => own.has(value) || (this.#rules.reuse === "when-gone" && held.has(value)),
    );
    if (slot < 0) return;
    this.#nextSlot = this.#rules.reuse === "when-gone" ? slot + 1 : 0;
    const network: Network = {
      id: this.#newId(),
      serial: this.#networkSerials++,
      slot,
      secrets: new Map(),
      live: [],
      last: 0,
      members: new Set(),
      holders: new Set(),
      reports: new Map(),
    };
    this.networks.set(network.id, network);
    const all = [...this.hosts.keys()];
    while (network.members.size < Math.min(members, all.length)) {
      network.members.add(this.#prng.pick(all));
    }
    this.rotate(network);
  }

  deleteNetwork(network: Network): void {
    this.networks.delete(network.id);
    for (const node of network.holders) this.contact(this.hosts.get(node));
  }

  removeHost(host: Host): void {
    this.hosts.delete(host.id);
    for (const network of this.networks.values()) {
      network.reports.delete(host.id);
      const had = network.holders.delete(host.id);
      if (!network.members.delete(host.id) && !had) continue;
      this.rotate(network);
    }
  }

  /** The last endpoint of a host leaves the network, or one comes (back). */
  toggleMember(network: Network, host: Host): void {
    if (!network.members.delete(host.id)) network.members.add(host.id);
    this.spread(network);
  }

  /** A new epoch if there may be one, installed, moved to, and what it replaces retired. */
  rotate(network: Network): void {
    this.#nowMs += 1000;
    const next = this.#rules.nextEpoch(network.live, this.#members(network), network.last);
    if (next.kind === "wait") {
      this.counts.waits++;
      // What holds it up goes by the limit in the end, when the holders are there.
      this.#nowMs += LIMIT_MS;
    } else {
      this.counts.rotations++;
      network.last = next.epoch;
      network.live = [{ epoch: next.epoch, sinceMs: this.#nowMs }, ...network.live];
      network.secrets.set(next.epoch, new SecretBytes(this.#prng.bytes(32)));
    }
    this.spread(network);
    this.#retire(network);
  }

  #members({ holders, members, reports }: Network): esp.MemberEpochs[] {
    return [...new Set([...holders, ...members])].map((node) => ({
      node,
      report: reports.get(node) ?? null,
    }));
  }

  #retire(network: Network): void {
    const rules = { nowMs: this.#nowMs, limitMs: LIMIT_MS };
    const going = new Set(esp.retiringEpochs(network.live, this.#members(network), rules));
    this.counts.retired += going.size;
    network.live = network.live.filter(({ epoch }) => !going.has(epoch));
    for (const epoch of going) network.secrets.delete(epoch);
  }

  /** All hosts of a network get its state and report, twice: what one reports the others act on. */
  spread(network: Network): void {
    for (let round = 0; round < 2; round++) {
      for (const node of new Set([...network.members, ...network.holders])) {
        this.#sync(this.hosts.get(node), network);
      }
    }
  }

  /** The host hears what is no more. */
  contact(host: Host | undefined): void {
    if (host === undefined || !host.connected) return;
    this.#report(host);
    this.#clean(host);
  }

  /** One host hears of one network, once. */
  visit(network: Network, host: Host): void {
    this.#sync(host, network);
  }

  /** One host acts on what it has heard of a network, before its process has reported anything. */
  actUnheard(network: Network, host: Host): void {
    this.#checkKey(host, null);
    this.#ensureAll(host, network);
  }

  /** The host reports to the leader, and makes a boot key if it needs one. */
  #report(host: Host): void {
    // Before it hears of the managers it goes by what it has.
    this.#checkKey(host, null);
    host.machine.reports++;
    const seenBefore = this.#seen.get(host.id) ?? 0;
    this.#seen.set(host.id, Math.max(seenBefore, host.machine.reports));
    this.#checkKey(host, seenBefore);
    host.machine.reports = Math.max(host.machine.reports, seenBefore);
    const { key } = host;
    if (key === null) return;
    this.#published.set(host.id, key);
    host.published = key;
  }

  #checkKey(host: Host, seenBefore: number | null): void {
    if (host.checkBootKey(this.#incarnation, seenBefore)) this.counts.bootKeys++;
  }

  /** SAs of networks, epochs and nodes that are no more go; what is left is reported. */
  #clean(host: Host): void {
    const slots = new Set<number>();
    const indexes = new Set<number>();
    const { kernel } = host.machine;
    for (const [place, entry] of kernel) {
      const network = this.networks.get(entry.network);
      const live = network?.live.some(({ epoch }) => epoch === entry.epoch) ?? false;
      const parts = esp.decodeSpi(entry.spi);
      if (!live || !this.hosts.has(entry.peer) || parts === null) {
        kernel.delete(place);
        continue;
      }
      slots.add(parts.slot);
      indexes.add(parts.sender);
    }
    host.heldSlots = slots;
    host.heldIndexes = indexes;
  }

  /** One host does for one network what its agent would. */
  #sync(host: Host | undefined, network: Network): void {
    if (host === undefined || !host.connected) return;
    this.#report(host);
    network.holders.add(host.id);
    this.#ensureAll(host, network);
    const oldestSending = this.#oldestSending(host, network);
    // Last, so that nothing that is new may count on it.
    this.#clean(host);
    const held = new Set<number>();
    for (const entry of host.machine.kernel.values()) {
      if (entry.network === network.id) held.add(entry.epoch);
    }
    network.reports.set(host.id, { installed: [...held], oldestSending });
    const oldest = network.live.at(-1)?.epoch ?? 1;
    if (oldest > 1 && this.#prng.chance(0.02)) {
      host.compact(new Map([[network.id, oldest - 1]]));
    }
  }

  #peers(host: Host, network: Network): Host[] {
    return [...network.members].flatMap((node) => {
      const peer = this.hosts.get(node);
      return peer === undefined || peer === host || !this.#published.has(node) ? [] : [peer];
    });
  }

  #ensureAll(host: Host, network: Network): void {
    if (!network.members.has(host.id)) return;
    for (const peer of this.#peers(host, network)) {
      for (const { epoch } of network.live) {
        this.#ensure(host, peer, network, epoch, "in");
        this.#ensure(host, peer, network, epoch, "out");
      }
    }
  }

  #oldestSending(host: Host, network: Network): number | null {
    if (!network.members.has(host.id)) return null;
    const live = network.live.map(({ epoch }) => epoch);
    let oldest: number | null = null;
    for (const peer of this.#peers(host, network)) {
      const own = live.filter((epoch) => this.#at(host, peer, network, epoch, "out") !== undefined);
      const chosen = esp.outboundEpoch(live, own, network.reports.get(peer.id)?.installed ?? []);
      if (chosen !== null && (oldest === null || chosen < oldest)) oldest = chosen;
    }
    return oldest;
  }

  #at(
    host: Host,
    peer: Host,
    network: Network,
    epoch: number,
    direction: esp.SaDirection,
  ): KernelEntry | undefined {
    const spi = spiOf(host, peer, network, epoch, direction);
    return host.machine.kernel.get(placeOf(host, peer, direction, spi));
  }

  /** All hosts are back, nothing goes wrong any more: after a rotation every pair has an SA in common. */
  assertConverges(): void {
    this.#calm = true;
    for (const host of this.hosts.values()) {
      host.connected = true;
      this.contact(host);
    }
    for (const network of this.networks.values()) {
      this.spread(network);
      const before = network.last;
      this.rotate(network);
      if (network.last === before) this.rotate(network);
      for (const sender of network.members) {
        const host = this.hosts.get(sender);
        if (host === undefined) continue;
        for (const peer of this.#peers(host, network)) {
          const out = this.#at(host, peer, network, network.last, "out");
          const inbound = this.#at(peer, host, network, network.last, "in");
          if (out === undefined || out.context !== inbound?.context) {
            throw new Violation(`Hosts ${host.index} and ${peer.index} have no SA in common`);
          }
        }
      }
      if (network.live.length !== 1) throw new Violation("An epoch that nobody needs lives on");
    }
  }

  #ensure(
    host: Host,
    peer: Host,
    network: Network,
    epoch: number,
    direction: esp.SaDirection,
  ): void {
    const { key, journal, published } = host;
    const peerKey = this.#published.get(peer.id);
    const networkSecret = network.secrets.get(epoch);
    if (key === null || journal === null || peerKey === undefined || !networkSecret) return;
    const parties = [
      { id: host.id, bootPublicKey: key.pair.publicKey, serial: key.serial },
      { id: peer.id, bootPublicKey: peerKey.pair.publicKey, serial: peerKey.serial },
    ] as const;
    const [sender, receiver] = direction === "out" ? parties : [parties[1], parties[0]];
    const { context, digest } = this.#contexts.get(
      // A boot key is one host's, and of one incarnation.
      `${network.serial} ${epoch} ${sender.serial} ${receiver.serial}`,
      () => ({
        clusterId: this.#clusterId,
        incarnation: this.#incarnation,
        networkId: network.id,
        epoch,
        sender,
        receiver,
      }),
    );
    const spi = spiOf(host, peer, network, epoch, direction);
    const wanted: esp.Installation = {
      direction,
      peer: peer.id,
      network: network.id,
      epoch,
      spi,
      context: digest,
    };
    const place = placeOf(host, peer, direction, spi);
    const present = host.machine.kernel.get(place);
    const decision = this.#rules.decideSa(present ? "present" : "absent", wanted, journal);
    if (decision === "adopt") this.counts.adopted++;
    if (decision === "closed") this.counts.closed++;
    if (decision === "adopt" || decision === "closed") return;
    if (!this.#rules.mayInstall(key, published)) return;
    if (present !== undefined) this.#replace(host, place, present, wanted);
    // Of every other network: fewer pairs of hosts, whose agreement is slow, and more epochs of each.
    if (this.#install(host, place, wanted) && network.serial % 2 === 0) {
      this.#installations.sample({
        direction,
        context,
        digest,
        own: key,
        peer: peerKey,
        networkSecret,
      });
    }
  }

  /** @throws {Violation} when the SA that is there is another that is in use */
  #replace(host: Host, place: string, present: KernelEntry, wanted: esp.Installation): void {
    const same = present.network === wanted.network && present.epoch === wanted.epoch &&
      present.peer === wanted.peer;
    if (!same && !present.forgotten) {
      throw new Violation(`Host ${host.index}: SPI ${wanted.spi} is that of another SA already`);
    }
    this.counts.replaced++;
    host.machine.kernel.delete(place);
  }

  /** False when the agent was killed on the way. */
  #install(host: Host, place: string, wanted: esp.Installation): boolean {
    const install = () => {
      this.#installations.add(`Host ${host.index}`, wanted);
      host.machine.kernel.set(place, { ...wanted, forgotten: false });
    };
    const steps = [() => host.append(wanted), install];
    if (this.#rules.record === "after") steps.reverse();
    for (const step of steps) {
      step();
      if (!this.#calm && this.#prng.chance(0.0003)) {
        host.restartAgent();
        return false;
      }
    }
    return true;
  }

  /** The cluster's state is put back from a backup, or a quorum was lost for good. */
  restoreCluster(): void {
    this.#incarnation = this.#newId();
    for (const network of this.networks.values()) {
      // Back to where it was some epochs ago, then on with a new one.
      network.last = Math.max(0, network.last - this.#prng.below(4));
      network.live = [];
      network.reports.clear();
      network.secrets.clear();
    }
    for (const host of this.hosts.values()) {
      for (const [place, entry] of host.machine.kernel) {
        host.machine.kernel.set(place, { ...entry, forgotten: true });
      }
    }
    for (const network of this.networks.values()) this.rotate(network);
  }
}

function spiOf(
  host: Host,
  peer: Host,
  { slot }: Network,
  epoch: number,
  direction: esp.SaDirection,
): number {
  return esp.encodeSpi({ epoch, slot, sender: direction === "out" ? host.index : peer.index });
}

/** The kernel finds an SA by destination and SPI; a host's address is named by its index here. */
function placeOf(host: Host, peer: Host, direction: esp.SaDirection, spi: number): string {
  return `${direction === "out" ? peer.id : host.id} ${spi}`;
}
