import type { Bytes, Id, IpAddress } from "../../base/mod.ts";
import { contextDigest, contextOf, type Installation, type KeyContext } from "../../esp/mod.ts";
import type { SaToMake } from "./operation.ts";

/** What the key of an SA is derived from, but for its epoch and the secrets, as `contextOf` wants it. */
export interface KeyParts {
  readonly salt: Bytes;
  readonly sender: Bytes;
  readonly receiver: Bytes;
}

/** An SA that should be there. */
export class SaWant implements SaToMake {
  readonly slot: number;
  readonly port: number;
  readonly epoch: number;
  readonly peer: Id;
  readonly direction: "in" | "out";
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly spi: number;
  /** Null: the boot key of one of the two is not known. */
  readonly #parts: KeyParts | null;
  readonly #network: Id;
  #installation: Installation | null = null;

  constructor(place: SaToMake, network: Id, parts: KeyParts | null) {
    this.slot = place.slot;
    this.port = place.port;
    this.epoch = place.epoch;
    this.peer = place.peer;
    this.direction = place.direction;
    this.source = place.source;
    this.destination = place.destination;
    this.spi = place.spi;
    this.#network = network;
    this.#parts = parts;
  }

  /** What its key is derived from, beside the secrets; null as {@linkcode installation} is. */
  get context(): KeyContext | null {
    if (this.#parts === null) return null;
    const { salt, sender, receiver } = this.#parts;
    return contextOf(salt, this.epoch, sender, receiver);
  }

  /**
   * What its record in the journal says; null while the boot key of one of the two is not known. It is kept,
   * for a digest costs more than all the rest of it.
   */
  get installation(): Installation | null {
    if (this.#installation !== null) return this.#installation;
    const known = this.context;
    if (known !== null) {
      const { direction, peer, epoch, spi } = this;
      const context = contextDigest(known);
      this.#installation = { direction, peer, network: this.#network, epoch, spi, context };
    }
    return this.#installation;
  }
}
