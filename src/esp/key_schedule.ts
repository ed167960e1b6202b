import { hkdfSync } from "node:crypto";
import {
  type Bytes,
  concatBytes,
  decodeBase32,
  encodeBase64url,
  encodeUtf8,
  type Id,
  SecretBytes,
  sha256,
} from "../base/mod.ts";
import { PUBLIC_KEY_BYTES } from "./boot_key_pair.ts";

/** Length of a network's secret, one per epoch. */
export const NETWORK_SECRET_BYTES = 32;

/** 32 bytes of AES-256 key, then 4 bytes of salt: as the kernel's `rfc4106(gcm(aes))` wants them. */
export const SA_KEY_BYTES = 36;

const AGREED_BYTES = 32;
const ID_BYTES = 16;
const LABEL = encodeUtf8("agent/esp/1");
const PARTY_BYTES = ID_BYTES + PUBLIC_KEY_BYTES;
const INFO_BYTES = LABEL.length + 8 + 2 * PARTY_BYTES;

/** One end of an SA. */
export interface Party {
  /** Id of the node. */
  readonly id: Id;
  /** Its boot key's public half, 32 bytes. */
  readonly bootPublicKey: Uint8Array;
}

/** All that a key is derived from, but for the secrets. */
export interface KeyInputs {
  /** Id of the cluster. */
  readonly clusterId: Id;
  /** Another one after a restore or a recovery. */
  readonly incarnation: Id;
  /** Id of the network. */
  readonly networkId: Id;
  /** 1 and above: the counter itself, not its tag. */
  readonly epoch: number;
  /** Who sends with the SA. */
  readonly sender: Party;
  /** Who receives with it. */
  readonly receiver: Party;
}

/** What goes into the derivation beside the secrets. Equal contexts, equal keys. */
export interface KeyContext {
  /** Cluster id ‖ incarnation ‖ network id: 48 bytes. */
  readonly salt: Bytes;
  /**
   * `agent/esp/1` ‖ epoch (u64, big endian) ‖ id of the sender ‖ id of the receiver ‖ public key of the
   * sender ‖ public key of the receiver: 115 bytes.
   */
  readonly info: Bytes;
}

/**
 * Puts the inputs of a derivation together. Every field has a fixed length, so that no two inputs give
 * the same bytes.
 *
 * @throws {RangeError} when the epoch, an id or a public key is not as long as it has to be
 * @throws {TypeError} when an id is not base32
 */
export function keyContext(inputs: KeyInputs): KeyContext {
  const { epoch, sender, receiver } = inputs;
  return contextOf(
    keySalt(inputs),
    epoch,
    encodeParty(sender, "public key of the sender"),
    encodeParty(receiver, "public key of the receiver"),
  );
}

/**
 * The salt of all contexts of a network.
 *
 * @throws {RangeError} when an id is not as long as it has to be
 * @throws {TypeError} when an id is not base32
 */
export function keySalt(
  { clusterId, incarnation, networkId }: Pick<
    KeyInputs,
    "clusterId" | "incarnation" | "networkId"
  >,
): Bytes {
  return concatBytes(idBytes(clusterId), idBytes(incarnation), idBytes(networkId));
}

/**
 * An end of an SA as contexts have it: its id and its public key, 48 bytes.
 *
 * @param what the key is, for errors
 * @throws {RangeError} when one of them is not as long as it has to be
 * @throws {TypeError} when the id is not base32
 */
export function encodeParty({ id, bootPublicKey }: Party, what = "public key"): Bytes {
  return concatBytes(idBytes(id), fixed(what, bootPublicKey, PUBLIC_KEY_BYTES));
}

/**
 * The same context of parts that are encoded already: of thousands of SAs they are the same.
 *
 * @param sender by {@linkcode encodeParty}
 * @param receiver by {@linkcode encodeParty}
 * @throws {RangeError} when the epoch is none
 */
export function contextOf(
  salt: Bytes,
  epoch: number,
  sender: Uint8Array,
  receiver: Uint8Array,
): KeyContext {
  if (!Number.isSafeInteger(epoch) || epoch < 1) {
    throw new RangeError(`Cannot derive key: epoch ${epoch} is not a whole number from 1 on`);
  }
  const info = new Uint8Array(INFO_BYTES);
  const view = new DataView(info.buffer);
  info.set(LABEL);
  view.setBigUint64(LABEL.length, BigInt(epoch));
  const ids = LABEL.length + 8;
  info.set(sender.subarray(0, ID_BYTES), ids);
  info.set(receiver.subarray(0, ID_BYTES), ids + ID_BYTES);
  const keys = ids + 2 * ID_BYTES;
  info.set(fixed("sender", sender, PARTY_BYTES).subarray(ID_BYTES), keys);
  info.set(fixed("receiver", receiver, PARTY_BYTES).subarray(ID_BYTES), keys + PUBLIC_KEY_BYTES);
  return { salt, info };
}

/**
 * The key of an SA and its salt, 36 bytes: HKDF-SHA256 (RFC 5869) of the network's secret and what the
 * two hosts agreed on.
 *
 * @param networkSecret 32 bytes, of the context's network and epoch
 * @param agreed of the two hosts, by `agreeKey`
 * @throws {RangeError} when a secret is not 32 bytes long
 */
export function deriveSaKey(
  networkSecret: SecretBytes,
  agreed: SecretBytes,
  { salt, info }: KeyContext,
): SecretBytes {
  const material = concatBytes(
    fixed("secret of the network", networkSecret.reveal(), NETWORK_SECRET_BYTES),
    fixed("agreed secret", agreed.reveal(), AGREED_BYTES),
  );
  return new SecretBytes(
    new Uint8Array(hkdfSync("sha256", material, salt, info, SA_KEY_BYTES)),
  );
}

/**
 * Names a context without telling anything secret: SHA-256 of salt and info as base64url, 43
 * characters.
 */
export function contextDigest({ salt, info }: KeyContext): string {
  return encodeBase64url(sha256(concatBytes(salt, info)));
}

function idBytes(id: Id): Uint8Array {
  return fixed("id", decodeBase32(id), ID_BYTES);
}

function fixed(what: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) {
    throw new RangeError(`Cannot derive key: ${what} has ${bytes.length} bytes, not ${length}`);
  }
  return bytes;
}
