import { encodeBase64url, type SecretBytes } from "../../../src/base/mod.ts";
import * as esp from "../../../src/esp/mod.ts";
import type { BootKey } from "./host.ts";

/** An installation broke what the rules are for. */
export class Violation extends Error {
  override name = "Violation";
}

/** One end of an SA, with what its host knows. */
export interface Derivation {
  readonly direction: esp.SaDirection;
  readonly context: esp.KeyContext;
  readonly digest: string;
  readonly own: BootKey;
  readonly peer: BootKey;
  readonly networkSecret: SecretBytes;
}

/**
 * All installations there ever were, on all hosts together. No derivation is installed twice in the
 * same direction: that would repeat nonces (`out`), or accept recorded packets (`in`).
 */
export class Installations {
  readonly #known = new Set<string>();
  readonly #sample: Derivation[] = [];
  readonly #sampleSize: number;

  constructor(sampleSize: number) {
    this.#sampleSize = sampleSize;
  }

  get count(): number {
    return this.#known.size;
  }

  /** @throws {Violation} */
  add(where: string, { direction, context, epoch, spi }: esp.Installation): void {
    const name = `${direction} ${context}`;
    if (this.#known.has(name)) {
      throw new Violation(`${where}: installed twice (${direction}, epoch ${epoch}, SPI ${spi})`);
    }
    this.#known.add(name);
  }

  /** Remembers how a key is derived, until there are enough. */
  sample(derivation: Derivation): void {
    if (this.#sample.length < this.#sampleSize) this.#sample.push(derivation);
  }

  /**
   * Derives the keys of the sample.
   *
   * @returns how many, and of how many SAs the key was derived at both ends
   * @throws {Violation} when two derivations of one direction give the same key
   */
  deriveKeys(): { readonly derived: number; readonly atBothEnds: number } {
    const agreements = new Map<string, SecretBytes>();
    const keys = { out: new Map<string, string>(), in: new Map<string, string>() };
    let atBothEnds = 0;
    for (const { direction, context, digest, own, peer, networkSecret } of this.#sample) {
      const agreed = agree(agreements, own, peer);
      const key = encodeBase64url(esp.deriveSaKey(networkSecret, agreed, context).reveal());
      const otherEnd = keys[direction === "in" ? "out" : "in"].get(key);
      for (const known of [keys[direction].get(key), otherEnd === digest ? undefined : otherEnd]) {
        if (known !== undefined) throw new Violation(`${digest} and ${known} have the same key`);
      }
      keys[direction].set(key, digest);
      if (otherEnd !== undefined) atBothEnds++;
    }
    return { derived: this.#sample.length, atBothEnds };
  }
}

/** Both ends agree on the same; it is computed at the one that comes first, and at some of the others. */
function agree(agreements: Map<string, SecretBytes>, own: BootKey, peer: BootKey): SecretBytes {
  const pair = own.key < peer.key ? `${own.key} ${peer.key}` : `${peer.key} ${own.key}`;
  const known = agreements.get(pair);
  if (known !== undefined && pair.charCodeAt(0) % 16 !== 0) return known;
  const agreed = esp.agreeKey(own.pair, peer.pair.publicKey);
  if (known !== undefined && !known.equals(agreed)) throw new Violation(`${pair} do not agree`);
  agreements.set(pair, agreed);
  return agreed;
}

/** Digests of contexts, each computed once. */
export class Contexts {
  readonly #known = new Map<string, { context: esp.KeyContext; digest: string }>();

  get(name: string, inputs: () => esp.KeyInputs): { context: esp.KeyContext; digest: string } {
    let known = this.#known.get(name);
    if (known === undefined) {
      const context = esp.keyContext(inputs());
      known = { context, digest: esp.contextDigest(context) };
      this.#known.set(name, known);
    }
    return known;
  }
}
