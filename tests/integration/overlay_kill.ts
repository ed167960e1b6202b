import type { Transport } from "../../src/netlink/mod.ts";
import type { Namespace } from "../../src/overlay/mod.ts";
import type { NetworkNamespace } from "../../src/sys/mod.ts";
import { TestHost } from "./overlay_host.ts";

const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;

/**
 * A host whose agent dies after so many changes of the kernel's state: of the datagram with the next one
 * only what comes before that is sent, and nothing after it.
 */
export class MortalHost extends TestHost {
  stepsLeft = Infinity;
  #dead = false;

  /** Whether it has died. */
  get dead(): boolean {
    return this.#dead;
  }

  override openTransport(namespace: Namespace): Transport {
    return this.#mortal(super.openTransport(namespace));
  }

  override openXfrmTransport(namespace: Namespace): Transport {
    return this.#mortal(super.openXfrmTransport(namespace));
  }

  override writeSysctl(namespace: Namespace, name: string, value: string): void {
    this.#step();
    super.writeSysctl(namespace, name, value);
  }

  override createNamed(
    name: string,
    prepare: (namespace: Namespace) => void,
  ): NetworkNamespace {
    this.#step();
    return super.createNamed(name, prepare);
  }

  override deleteNamed(name: string): void {
    this.#step();
    super.deleteNamed(name);
  }

  #step(): void {
    this.#assertAlive();
    if (this.stepsLeft-- > 0) return;
    this.#dead = true;
    this.#assertAlive();
  }

  #assertAlive(): void {
    if (this.#dead) throw new Error("killed");
  }

  #mortal(transport: Transport): Transport {
    return {
      portId: transport.portId,
      send: (datagram) => {
        const affordable = this.#affordable(datagram);
        if (affordable.length > 0) transport.send(affordable);
        this.#assertAlive();
      },
      sendOffThread: async (datagram) => {
        const affordable = this.#affordable(datagram);
        if (affordable.length > 0) await transport.sendOffThread(affordable);
        this.#assertAlive();
      },
      receive: () => transport.receive(),
      close: () => transport.close(),
    };
  }

  #affordable(datagram: Uint8Array): Uint8Array {
    this.#assertAlive();
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
    for (let offset = 0; offset < datagram.length;) {
      const flags = view.getUint16(offset + 6, true);
      const changes = (flags & NLM_F_ACK) !== 0 && (flags & NLM_F_DUMP) !== NLM_F_DUMP;
      if (changes && this.stepsLeft-- <= 0) {
        this.#dead = true;
        return datagram.subarray(0, offset);
      }
      offset += (view.getUint32(offset, true) + 3) & ~3;
    }
    return datagram;
  }
}
