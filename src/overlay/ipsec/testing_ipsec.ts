import { assert, encodeBase32, encodeBase64url, type Id, SecretBytes } from "../../base/mod.ts";
import { Journal } from "../../esp/mod.ts";
import type { Desired, DesiredHost, DesiredPeer } from "../desired.ts";
import { asXfrm, recordXfrm } from "./apply.ts";
import { formatIpsecOperation, type IpsecOperation } from "./operation.ts";
import { IpsecPicture } from "./picture.ts";
import { type KeyState, planClosing, planOpening, planSas, type SaPlan } from "./plan_peer.ts";
import {
  planBlocks,
  planBlockSweep,
  planPolicySweep,
  planSaSweep,
  planStrays,
} from "./plan_slot.ts";
import { encryptionStatus, type PeerStanding, retainedStatus } from "./status.ts";
import { SaWant } from "./sa_want.ts";
import { NO_WANTS, type SlotWant, updateWants, type Wants } from "./want.ts";

/** An id of one repeated byte. */
export function idOf(byte: number): Id {
  return encodeBase32(new Uint8Array(16).fill(byte));
}

/** The network of all these tests. */
export const NETWORK = idOf(200);

/** Host 1. */
export const HOST: DesiredHost = {
  clusterId: idOf(250),
  incarnation: idOf(251),
  nodeId: idOf(1),
  index: 1,
  vtepAddress: "192.0.2.1",
  bootPublicKey: new Uint8Array(32).fill(1),
};

/** Public half of a boot key, as text. */
export function bootKeyOf(byte: number): string {
  return encodeBase64url(new Uint8Array(32).fill(byte));
}

/** Host `number`, by default one that receives all of `epochs`. */
export function peerOf(number: number, changes: Partial<DesiredPeer> = {}): DesiredPeer {
  return {
    nodeId: idOf(number),
    index: number,
    vtepAddress: `192.0.2.${number}`,
    bootKey: bootKeyOf(number),
    state: "attached",
    receives: [1],
    revision: number,
    ...changes,
  };
}

/** Slot 1 with these epochs, newest first, and peers. */
export function networkOf(epochs: readonly number[], peers: readonly DesiredPeer[]): Desired {
  return {
    host: HOST,
    endpoints: [],
    retained: [],
    networks: [{
      id: NETWORK,
      name: "bank",
      vni: 4096,
      port: 20_001,
      vtepAddress: HOST.vtepAddress,
      mtuBytes: 1416,
      remotes: [],
      encryption: {
        slot: 1,
        peers,
        upTo: Math.max(0, ...peers.map(({ revision }) => revision)),
        epochs: epochs.map((epoch) => ({ epoch, secret: new SecretBytes(new Uint8Array(32)) })),
      },
    }],
  };
}

/** The same, left by this host. */
export function retainedOf(epochs: readonly number[], peers: readonly DesiredPeer[]): Desired {
  const retained = [{ id: NETWORK, slot: 1, port: 20_001, epochs, peers }];
  return { host: HOST, endpoints: [], networks: [], retained };
}

/** Nothing. */
export const NOTHING: Desired = { host: HOST, endpoints: [], networks: [], retained: [] };

/** The least of the kernel's IPsec that plans need. */
export class SimulatedIpsec {
  readonly picture = new IpsecPicture();
  journal = new Journal();
  mayInstall = true;
  /** Texts of operations that the kernel refuses. */
  readonly refuses = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #standings = new Map<Id, PeerStanding>();
  #wants: Wants = NO_WANTS;

  /** What a round does, one line for each operation. */
  reconcile(desired: Desired, portsInUse: readonly number[] = []): string {
    this.#wants = updateWants(this.#wants, desired).wants;
    const lines: string[] = [];
    const apply = (operations: readonly IpsecOperation[]) => {
      for (const operation of operations) {
        lines.push(`${formatIpsecOperation(operation)}\n`);
        this.#apply(operation);
      }
    };
    for (const want of this.#wants.slots.values()) {
      if (want.network !== null) this.#reconcileSlot(want, apply);
    }
    for (const port of this.picture.ports) {
      const want = [...this.#wants.slots.values()].find((one) => one.port === port) ?? null;
      apply(planPolicySweep(port, (want?.network ?? null) === null ? null : want, this.picture));
    }
    apply(planStrays(this.picture));
    for (const slot of this.picture.slots) {
      apply(planSaSweep(slot, this.#wants.slots.get(slot) ?? null, this.picture));
    }
    apply(planBlockSweep(4, this.#wants.slots, new Set(portsInUse), this.picture));
    return lines.join("");
  }

  /** What the leader is told. */
  status(): string {
    const want = this.#wants.byNetwork.get(NETWORK);
    assert(want !== undefined, "the network is listed");
    const { installed, upTo, oldestSending, wantsAfter } = want.network === null
      ? retainedStatus(want, this.picture, this.journal)
      : encryptionStatus(want, this.#standings.values(), this.picture, this.journal);
    return `installed ${installed.join(",")} up to ${upTo}, sending ${oldestSending}, ` +
      `wants after ${wantsAfter}`;
  }

  get #keys(): KeyState {
    return { journal: this.journal, mayInstall: this.mayInstall, refused: this.#refused };
  }

  #reconcileSlot(want: SlotWant, apply: (operations: readonly IpsecOperation[]) => void): void {
    const { picture } = this;
    apply(planBlocks(4, want, picture));
    const peers = [...want.peers.values()];
    const plans = new Map(peers.map((peer) => [peer, planSas(want, peer, picture, this.#keys)]));
    for (const [peer, sas] of plans) apply(planClosing(want, peer, sas, picture));
    for (const plan of [...plans.values()].flat()) {
      const { deletes, sa: { slot } } = plan;
      if (deletes !== null) apply([{ kind: "delete-sa", slot, place: deletes }]);
    }
    for (const { make, sa } of [...plans.values()].flat()) {
      if (make !== null) apply([{ kind: make === "add" ? "add-sa" : "fill-sa", sa }]);
    }
    this.#standings.clear();
    for (const peer of peers) {
      const sas: readonly SaPlan[] = planSas(want, peer, picture, this.#keys);
      const { sending, operations } = planOpening(want, peer, sas, picture);
      apply(operations);
      this.#standings.set(peer.nodeId, { peer, sas, sending });
    }
  }

  #apply(operation: IpsecOperation): void {
    switch (operation.kind) {
      case "add-sa":
      case "fill-sa":
        return this.#install(operation);
      default:
        return recordXfrm(this.picture, asXfrm(operation));
    }
  }

  #install(operation: Extract<IpsecOperation, { kind: "add-sa" | "fill-sa" }>): void {
    const { sa } = operation;
    assert(sa instanceof SaWant && sa.installation !== null, "both boot keys are known");
    const { context } = sa.installation;
    assert(!this.journal.has(sa.installation) || this.#refused.has(context), "no key twice");
    this.journal.add(sa.installation);
    if (this.refuses.has(formatIpsecOperation(operation))) {
      this.#refused.add(context);
      return;
    }
    this.#refused.delete(context);
    const { source, destination, spi, slot, port } = sa;
    this.picture.setSa({ source, destination, spi, slot, port, larval: false, nearEnd: false });
  }
}
