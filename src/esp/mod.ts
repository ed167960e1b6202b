/**
 * The rules that keep an encrypted network's keys apart: how the key of a security association (SA) is
 * derived, what its SPI says, which epochs live side by side, who sends with which, and when an SA may
 * be installed at all. Pure: everything that is drawn, stored, reported or read from the kernel comes in
 * as an argument.
 *
 * Contract:
 * - **One derivation, one installation.** GCM's nonce is the SA's sequence number, which begins again
 *   with the SA: so a key must never be installed twice on a host. What a key is derived from is its
 *   {@linkcode keyContext context}; the {@linkcode Journal} in `/run` knows every context this host has
 *   installed, and {@linkcode decideSa} says what follows.
 * - **Nothing shared encrypts a packet.** A key needs the network's secret of the epoch and the X25519
 *   agreement of the two hosts' boot keys, of which the private halves never leave `/run`.
 * - **No common switch.** Receivers install an epoch first and say so; each sender moves per peer
 *   ({@linkcode outboundEpoch}); an epoch goes when nobody needs it ({@linkcode retiringEpochs}).
 * - Secrets are `SecretBytes`, going in and coming out.
 *
 * ```ts
 * import { SecretBytes } from "../base/mod.ts";
 * import { agreeKey, bootKeyPair, deriveSaKey, encodeSpi, keyContext, slotReqid } from "./mod.ts";
 *
 * function example(seed: SecretBytes, peerPublic: Uint8Array, networkSecret: SecretBytes) {
 *   const own = bootKeyPair(seed);
 *   const context = keyContext({
 *     clusterId: "aaaaaaaaaaaaaaaaaaaaaaaaaa",
 *     incarnation: "aaaaaaaaaaaaaaaaaaaaaaaaae",
 *     networkId: "aaaaaaaaaaaaaaaaaaaaaaaaai",
 *     epoch: 1,
 *     sender: { id: "aaaaaaaaaaaaaaaaaaaaaaaaam", bootPublicKey: own.publicKey },
 *     receiver: { id: "aaaaaaaaaaaaaaaaaaaaaaaaaq", bootPublicKey: peerPublic },
 *   });
 *   const key = deriveSaKey(networkSecret, agreeKey(own, peerPublic), context);
 *   return { key, spi: encodeSpi({ epoch: 1, slot: 5, sender: 12 }), reqid: slotReqid(5) };
 * }
 * ```
 *
 * @module
 */
export {
  type BootKeyDecision,
  type BootKeyFacts,
  type BootKeyReason,
  decideBootKey,
  mayInstall,
  type PublishedBootKey,
} from "./boot_key.ts";
export {
  agreeKey,
  type BootKeyPair,
  bootKeyPair,
  KeyAgreementError,
  PUBLIC_KEY_BYTES,
} from "./boot_key_pair.ts";
export { decideSa, type KernelSa, type SaDecision } from "./decide_sa.ts";
export {
  type EpochLag,
  type EpochReport,
  type EpochState,
  LIVE_EPOCHS_MAX,
  type MemberEpochs,
  type NextEpoch,
  nextEpoch,
  outboundEpoch,
  type RetirementRules,
  retiringEpochs,
} from "./epochs.ts";
export {
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
  type Installation,
  Journal,
  type JournalReading,
  type SaDirection,
} from "./journal.ts";
export {
  contextDigest,
  contextOf,
  deriveSaKey,
  encodeParty,
  type KeyContext,
  keyContext,
  type KeyInputs,
  keySalt,
  NETWORK_SECRET_BYTES,
  type Party,
  SA_KEY_BYTES,
} from "./key_schedule.ts";
export {
  decodeSpi,
  encodeSpi,
  epochTag,
  slotOfReqid,
  slotPort,
  slotReqid,
  SLOTS,
  type Spi,
  type SpiParts,
} from "./spi.ts";
