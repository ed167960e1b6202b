import { decodeBase64url, equalBytes, type SecretBytes } from "../../base/mod.ts";
import { agreeKey, type BootKeyPair, deriveSaKey, type Journal } from "../../esp/mod.ts";
import type { KeyRing } from "../key_ring.ts";
import type { KeyState } from "./plan_peer.ts";
import type { Self } from "./peer_want.ts";
import type { SaWant } from "./sa_want.ts";
import type { SlotWant } from "./want.ts";

/** Keys of SAs, derived when they are needed and kept nowhere. */
export class SaKeys {
  readonly #ring: KeyRing;
  /** What was agreed with each peer's key (base64url); the same for all its networks and epochs. */
  readonly #agreed = new Map<string, SecretBytes>();
  #pair: BootKeyPair | null = null;
  #journal: Journal | null = null;
  readonly #refused = new Set<string>();

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /** Takes in what the key ring has now; true when that is another key or journal than before. */
  refresh(): boolean {
    const { pair, journal } = this.#ring;
    if (pair === this.#pair && journal === this.#journal) return false;
    if (pair !== this.#pair) this.#agreed.clear();
    if (journal !== this.#journal) this.#refused.clear();
    this.#pair = pair;
    this.#journal = journal;
    return true;
  }

  /** What may be done now. */
  state(self: Self): KeyState {
    const committed = self.host.bootPublicKey;
    const pair = this.#ring.pair;
    const mayInstall = pair !== null && committed !== null && equalBytes(pair.publicKey, committed);
    return { journal: this.#ring.journal, mayInstall, refused: this.#refused };
  }

  /**
   * Writes down that these SAs are about to be installed, but for those of which the kernel has refused
   * what was written down before.
   *
   * @throws when that is not possible: then nothing may be installed
   */
  record(sas: readonly SaWant[]): void {
    const fresh = sas.flatMap(({ installation }) =>
      installation === null || this.#refused.has(installation.context) ? [] : [installation]
    );
    if (fresh.length > 0) this.#ring.record(fresh);
  }

  /** The kernel has refused an SA in so many words: its key was not used. */
  noteRefused({ installation }: SaWant): void {
    if (installation !== null) this.#refused.add(installation.context);
  }

  /** The kernel has the SA: its key must not be used for another. */
  noteInstalled({ installation }: SaWant): void {
    if (installation !== null) this.#refused.delete(installation.context);
  }

  /**
   * The key of an SA.
   *
   * @throws {KeyAgreementError} when the peer's boot key is a bad one
   */
  derive(want: SlotWant, sa: SaWant): SecretBytes {
    const secret = want.network?.encryption?.epochs.find(({ epoch }) => epoch === sa.epoch)?.secret;
    const peer = want.peers.get(sa.peer)?.desired?.bootKey;
    const { context } = sa;
    if (
      secret === undefined || peer === undefined || peer === null || context === null ||
      this.#pair === null
    ) {
      throw new TypeError(`Cannot derive key of epoch ${sa.epoch}: a part of it is not known`);
    }
    let agreed = this.#agreed.get(peer);
    if (agreed === undefined) {
      agreed = agreeKey(this.#pair, decodeBase64url(peer));
      this.#agreed.set(peer, agreed);
    }
    return deriveSaKey(secret, agreed, context);
  }
}
