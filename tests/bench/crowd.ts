import { createHash, randomBytes } from "node:crypto";
import { encodeBase32, encodeBase64url, type Id, SecretBytes } from "../../src/base/mod.ts";
import { bootKeyPair, slotPort } from "../../src/esp/mod.ts";
import { RunDirectory } from "../../src/machine/mod.ts";
import { BootKeys } from "../../src/node/mod.ts";
import { buildDesired, type Desired, type LocalAttachment } from "../../src/overlay/mod.ts";
import type { ProjectedHolder, Projection } from "../../src/state/mod.ts";
import { createLogger, systemRandom } from "../../src/sys/mod.ts";

/** The host that is measured has the first index; its peers follow. */
const OWN_INDEX = 1;
const EPOCH = 1;
const FIRST_PORT = 20_000;
const FIRST_VNI = 4_096;
/** Last part of the address of the endpoint of index 0. */
const FIRST_ENDPOINT = 10;

export const OWN_ADDRESS = underlayAddress(OWN_INDEX);
export const UNDERLAY_PREFIX_LENGTH = 15;
export const EPOCHS = [EPOCH];

function id(text: string): Id {
  return encodeBase32(createHash("sha256").update(text).digest().subarray(0, 16));
}

export function underlayAddress(index: number): string {
  return `198.18.${index >> 8}.${index & 255}`;
}

/**
 * What a host should have that is on encrypted networks with thousands of other hosts, each with one
 * endpoint on every network. The others exist in no other way than by their keys and addresses.
 */
export class Crowd {
  readonly keys: BootKeys;
  readonly #networks: number;
  readonly #workload: string;
  readonly #bootKey: string;
  readonly #peerKeys: string[] = [];
  readonly #secrets: readonly string[];

  /** @param workload path of the namespace that all endpoints of this host are attached to */
  constructor(networks: number, runDirectory: string, workload: string) {
    this.#networks = networks;
    this.#workload = workload;
    this.#secrets = Array.from({ length: networks }, () => encodeBase64url(randomBytes(32)));
    this.keys = new BootKeys({
      files: new RunDirectory(runDirectory),
      bootId: "bench",
      firstReportNumber: 1,
      random: systemRandom,
      logger: createLogger({ level: "error", write: () => {} }),
    });
    const incarnation = id("incarnation");
    const own = { id: id("host 1"), index: OWN_INDEX, vtepAddress: OWN_ADDRESS };
    this.keys.projected({ incarnation, node: { ...own, bootKey: null } });
    const { number, bootKey } = this.keys.nextReport();
    if (bootKey === null) throw new Error("This host could not make a boot key");
    this.#bootKey = bootKey.publicKey;
    this.keys.projected({ incarnation, node: { ...own, bootKey: this.#bootKey } });
    this.keys.answered(number, { seenBefore: 0 });
  }

  names(): readonly string[] {
    return Array.from({ length: this.#networks }, (_, network) => `crowd${network}`);
  }

  /** With so many peers on each network. */
  desired(peers: number): Desired {
    const { projection, attachments } = this.told(peers);
    return buildDesired(projection, attachments);
  }

  /** What a manager tells the host, and what the host itself knows. */
  told(peers: number): {
    readonly projection: Projection;
    readonly attachments: readonly LocalAttachment[];
  } {
    const indexes = Array.from({ length: peers + 1 }, (_, peer) => OWN_INDEX + peer);
    const nodeOf = (index: number) => id(`host ${index}`);
    const nodes = new Map(indexes.map((index) => [index, nodeOf(index)]));
    const holders = indexes.map((index): ProjectedHolder => ({
      nodeId: nodes.get(index) ?? "",
      index,
      vtepAddress: underlayAddress(index),
      bootKey: index === OWN_INDEX ? this.#bootKey : this.#peerKey(index),
      revision: index,
      state: "attached",
    }));
    const networks = this.names().map((name, network) => ({
      id: id(name),
      name,
      vni: FIRST_VNI + network,
      subnet: `10.64.${network * 16}.0/20`,
      mtuBytes: 1416,
      port: slotPort(network, FIRST_PORT),
      encryption: {
        slot: network,
        holders,
        epochs: [{ epoch: EPOCH, secret: this.#secrets[network] ?? "" }],
      },
      endpoints: indexes.map((index) => {
        const [third, fourth] = [
          network * 16 + ((index + FIRST_ENDPOINT) >> 8),
          index + FIRST_ENDPOINT,
        ];
        const bytes = [2, FIRST_VNI + network, 10, 64, third, fourth];
        return {
          id: id(`${name} ${index}`),
          name: null,
          ip: `10.64.${third}.${fourth & 255}`,
          mac: bytes.map((byte) => (byte & 255).toString(16).padStart(2, "0")).join(":"),
          nodeId: nodes.get(index) ?? "",
          vtepAddress: underlayAddress(index),
        };
      }),
    }));
    const projection: Projection = {
      v: 1,
      clusterId: id("cluster"),
      incarnation: id("incarnation"),
      generation: 0,
      node: {
        id: nodeOf(OWN_INDEX),
        index: OWN_INDEX,
        vtepAddress: OWN_ADDRESS,
        bootKey: this.#bootKey,
      },
      networks,
      retained: [],
      installed: networks.flatMap((network) =>
        holders.map(({ nodeId }) => ({
          networkId: network.id,
          nodeId,
          epochs: EPOCHS,
          upTo: Number.MAX_SAFE_INTEGER,
        }))
      ),
      goneUpTo: 0,
      digest: "",
    };
    const attachments = networks.map((network): LocalAttachment => ({
      endpointId: id(`${network.name} ${OWN_INDEX}`),
      networkId: network.id,
      target: { kind: "path", path: this.#workload },
      interfaceName: null,
    }));
    return { projection, attachments };
  }

  #peerKey(index: number): string {
    const made = this.#peerKeys[index];
    if (made !== undefined) return made;
    const key = encodeBase64url(bootKeyPair(new SecretBytes(randomBytes(32))).publicKey);
    this.#peerKeys[index] = key;
    return key;
  }
}
