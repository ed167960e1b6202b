import { addressBits, type Cidr, type IpAddress } from "../../base/mod.ts";
import { decodeSpi, slotOfReqid, SLOTS } from "../../esp/mod.ts";
import { IPPROTO_ESP, type Policy, type PolicyDirection, type Sa } from "../../netlink/mod.ts";
import { type Block, IPPROTO_UDP, type PeerPolicy, type SaPlace } from "./operation.ts";

/** An address as a key of a map, equal for equal addresses: quicker to come by than its text. */
export type AddressKey = number | bigint;

/** The key of an address. */
export function addressKey({ family, value }: IpAddress): AddressKey {
  return family === 4 ? Number(value) : value;
}

/** Blocks drop what no peer's policy lets pass. */
export const BLOCK_PRIORITY = 1000;

/** The lowest wins: peers' policies come before the blocks. */
export const PEER_PRIORITY = 100;

/** The kernel's name for the algorithm, and what it wants of key material and ICV. */
export const SA_ALGORITHM = { name: "rfc4106(gcm(aes))", keyBits: 288, icvBits: 128 } as const;

/** How many packets may come late. */
export const REPLAY_WINDOW = 1024;

/** After so many bytes a new key is asked for, far below what GCM bears under one key. */
export const SOFT_BYTES = 1n << 46n;

/** An SA of ours in the kernel: it has the reqid of one of our slots. */
export interface PictureSa extends SaPlace {
  /** Of its reqid. */
  readonly slot: number;
  readonly larval: boolean;
  /** The network's port when all of it but the key is as we make it; otherwise null. */
  readonly port: number | null;
  /** It has carried so much that a new key is needed. */
  readonly nearEnd: boolean;
}

/** A policy in the kernel at a place where one of ours could be, or that is ours. */
export type PicturePolicy =
  & {
    /** By its template's reqid or, of a block, by its index; null: somebody else's, as far as is seen. */
    readonly slot: number | null;
    /** As we make it. */
    readonly right: boolean;
  }
  & (
    | { readonly kind: "block"; readonly place: Omit<Block, "slot"> }
    | { readonly kind: "peer"; readonly place: Omit<PeerPolicy, "slot"> }
    | {
      readonly kind: "stray";
      readonly place: { readonly direction: PolicyDirection; readonly index: number };
    }
  );

/**
 * Marks in the upper half of a block's index, "AG" and the next number, one for each end. (A policy's
 * index is the kernel's name for it, and whoever makes it may choose one.) Blocks have no template, so
 * no reqid: by this they are known as ours, also when somebody has changed them.
 */
const BLOCK_MARKS = { to: 0x4147, from: 0x4148 } as const;

/** The index of a block: its mark, its slot, and the direction in the lowest 3 bits (0 in, 1 out). */
export function blockIndex({ end, slot, direction }: Block): number {
  return ((BLOCK_MARKS[end] << 16) | (slot << 3) | (direction === "out" ? 1 : 0)) >>> 0;
}

function slotOfBlockIndex(index: number): number | null {
  const mark = index >>> 16;
  const slot = (index & 0xffff) >>> 3;
  return (mark === BLOCK_MARKS.to || mark === BLOCK_MARKS.from) && slot < SLOTS ? slot : null;
}

/** What is of interest of an SA; null when it is not ours. */
export function readPictureSa(sa: Sa): PictureSa | null {
  const slot = slotOfReqid(sa.reqid);
  if (slot === null || sa.protocol !== IPPROTO_ESP) return null;
  const { source, destination, spi, larval } = sa;
  const nearEnd = sa.use.bytes >= SOFT_BYTES;
  return { source, destination, spi, slot, larval, nearEnd, port: rightPort(sa, slot) };
}

function rightPort(sa: Sa, slot: number): number | null {
  const { selector, aead, replay, source, destination } = sa;
  if (selector === null || aead === null || replay === null || !sa.esn) return null;
  const right = sa.mode === "transport" && aead.name === SA_ALGORITHM.name &&
    aead.keyBits === SA_ALGORITHM.keyBits && aead.icvBits === SA_ALGORITHM.icvBits &&
    replay.windowPackets === REPLAY_WINDOW && sa.mark === null && sa.interfaceId === null &&
    decodeSpi(sa.spi)?.slot === slot && selector.protocol === IPPROTO_UDP &&
    selector.index === null && isOnly(selector.source, source) &&
    isOnly(selector.destination, destination) && selector.sourcePort === selector.destinationPort;
  return right && typeof selector.sourcePort === "number" ? selector.sourcePort : null;
}

function isOnly(prefix: Cidr, address: IpAddress): boolean {
  return prefix.prefixLength === addressBits(address.family) && prefix.address.equals(address);
}

/** What is of interest of a policy; null when it is nothing to us. */
export function readPicturePolicy(policy: Policy): PicturePolicy | null {
  const { direction, index, selector } = policy;
  const marked = slotOfBlockIndex(index);
  const [template] = policy.templates;
  const slot = template === undefined ? marked : slotOfReqid(template.reqid) ?? marked;
  const plain = policy.mark === null && policy.interfaceId === null && selector.index === null &&
    selector.protocol === IPPROTO_UDP;
  if (plain && direction !== "fwd") {
    const found = readBlock(policy, direction, marked) ?? readPeer(policy, direction, slot);
    if (found !== null) return found;
  }
  if (slot === null) return null;
  return { kind: "stray", slot, right: false, place: { direction, index } };
}

function readBlock(
  policy: Policy,
  direction: "in" | "out",
  slot: number | null,
): PicturePolicy | null {
  const { source, destination, sourcePort, destinationPort } = policy.selector;
  if (source.prefixLength !== 0 || destination.prefixLength !== 0) return null;
  if ((sourcePort === null) === (destinationPort === null)) return null;
  const port = sourcePort ?? destinationPort;
  if (typeof port !== "number") return null;
  const end = sourcePort === null ? "to" : "from";
  const right = policy.action === "block" && policy.priority === BLOCK_PRIORITY &&
    policy.templates.length === 0 && policy.icmp === (direction === "out") && !policy.localOk;
  return { kind: "block", slot, right, place: { family: source.family, port, direction, end } };
}

function readPeer(
  policy: Policy,
  direction: "in" | "out",
  slot: number | null,
): PicturePolicy | null {
  const { selector, templates } = policy;
  const port = selector.sourcePort;
  if (typeof port !== "number" || port !== selector.destinationPort) return null;
  const { address: source } = selector.source;
  const { address: destination } = selector.destination;
  if (!isOnly(selector.source, source) || !isOnly(selector.destination, destination)) return null;
  const [template] = templates;
  const right = policy.action === "allow" && policy.priority === PEER_PRIORITY &&
    policy.icmp === (direction === "out") && !policy.localOk && templates.length === 1 &&
    template?.protocol === IPPROTO_ESP && template.mode === "transport" && !template.optional &&
    template.source.equals(source) && template.destination.equals(destination) &&
    slotOfReqid(template.reqid) !== null && (template.spi !== null) === (direction === "out");
  const spi = template?.spi ?? null;
  return { kind: "peer", slot, right, place: { direction, source, destination, port, spi } };
}

/** Where a policy is: equal for two of which the one would take the other's place. */
export function policyKey(policy: PicturePolicy): string {
  switch (policy.kind) {
    case "block":
      return blockKey(policy.place);
    case "peer":
      return peerKey(policy.place);
    case "stray":
      return `stray ${policy.place.index}`;
  }
}

/** The key of a block. */
export function blockKey({ direction, end, family, port }: Omit<Block, "slot">): string {
  return `${direction} ${end} ${family} ${port}`;
}

/** The key of a peer's policy. */
export function peerKey(
  { direction, source, destination, port }: Omit<PeerPolicy, "slot" | "spi">,
): string {
  return `${direction} ${addressKey(source)} ${addressKey(destination)} ${port}`;
}

/** The key of an SA: the kernel tells them apart by this, the protocol beside it being ESP. */
export function saKey({ destination, spi }: Omit<SaPlace, "source">): string {
  return `${spi} ${addressKey(destination)}`;
}

/** SAs and policies of ours as the kernel has them, as far as it was seen or heard. */
export class IpsecPicture {
  readonly #sas = new Map<number, Map<string, PictureSa>>();
  readonly #policies = new Map<number, Map<string, PicturePolicy>>();
  readonly #strays = new Map<string, PicturePolicy>();
  #changes = 0;

  /** SAs with the reqid of this slot, by {@linkcode saKey}. */
  sas(slot: number): ReadonlyMap<string, PictureSa> {
    return this.#sas.get(slot) ?? NONE;
  }

  /** Policies about this port, by {@linkcode policyKey}. */
  policies(port: number): ReadonlyMap<string, PicturePolicy> {
    return this.#policies.get(port) ?? NONE;
  }

  /** Policies of ours that are nowhere where one should be. */
  get strays(): Iterable<PicturePolicy> {
    return this.#strays.values();
  }

  /** Slots of which there are SAs. */
  get slots(): readonly number[] {
    return [...this.#sas.keys()];
  }

  /** Ports of which there are policies. */
  get ports(): readonly number[] {
    return [...this.#policies.keys()];
  }

  /** Grows whenever something is taken in. */
  get changes(): number {
    return this.#changes;
  }

  /** Whether nothing of ours is there. */
  get isEmpty(): boolean {
    return this.#sas.size === 0 && this.#strays.size === 0 &&
      [...this.#policies.values()].every((ofPort) =>
        [...ofPort.values()].every(({ slot }) => slot === null)
      );
  }

  /** Takes in an SA that is there. */
  setSa(sa: PictureSa): void {
    this.#changes++;
    put(this.#sas, sa.slot, saKey(sa), sa);
  }

  /** Takes in that there is no SA of this slot at a place any more. */
  removeSa(slot: number, place: Omit<SaPlace, "source">): void {
    this.#changes++;
    drop(this.#sas, slot, saKey(place));
  }

  /** Takes in a policy that is there. */
  setPolicy(policy: PicturePolicy): void {
    this.#changes++;
    if (policy.kind === "stray") this.#strays.set(policyKey(policy), policy);
    else put(this.#policies, policy.place.port, policyKey(policy), policy);
  }

  /** Takes in that a policy is not there any more. */
  removePolicy(policy: PicturePolicy): void {
    this.#changes++;
    if (policy.kind === "stray") this.#strays.delete(policyKey(policy));
    else drop(this.#policies, policy.place.port, policyKey(policy));
  }
}

const NONE: ReadonlyMap<string, never> = new Map<string, never>();

function put<T>(maps: Map<number, Map<string, T>>, number: number, key: string, value: T): void {
  const found = maps.get(number);
  if (found === undefined) maps.set(number, new Map([[key, value]]));
  else found.set(key, value);
}

function drop<T>(maps: Map<number, Map<string, T>>, number: number, key: string): void {
  const found = maps.get(number);
  if (found?.delete(key) === true && found.size === 0) maps.delete(number);
}
