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
  const { clusterId, incarnation, networkId, epoch, sender, receiver } = inputs;
  if (!Number.isSafeInteger(epoch) || epoch < 1) {
    throw new RangeError(`Cannot derive key: epoch ${epoch} is not a whole number from 1 on`);
  }
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(epoch));
  return {
    salt: concatBytes(idBytes(clusterId), idBytes(incarnation), idBytes(networkId)),
    info: concatBytes(
      LABEL,
      counter,
      idBytes(sender.id),
      idBytes(receiver.id),
      fixed("public key of the sender", sender.bootPublicKey, PUBLIC_KEY_BYTES),
      fixed("public key of the receiver", receiver.bootPublicKey, PUBLIC_KEY_BYTES),
    ),
  };
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
