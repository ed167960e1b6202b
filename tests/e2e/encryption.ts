import assert from "node:assert/strict";
import type { NetworkView } from "../../src/api/mod.ts";
import type { ClusterHost } from "./cluster.ts";
import { waitFor } from "./wait.ts";

/** An SA as a host's kernel has it. */
export interface SaLine {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
  /** `0x…`: 36 bytes. */
  readonly key: string;
  /** When it was made: a key that is there twice was installed twice. */
  readonly added: string;
}

/** All SAs of a host. */
export async function sasOf(host: ClusterHost): Promise<SaLine[]> {
  const text = await host.sh("ip -s xfrm state");
  return text.split(/^(?=src )/m).filter((block) => block.startsWith("src ")).map((block) => {
    const [, src = "", dst = ""] = /^src (\S+) dst (\S+)/.exec(block) ?? [];
    const spi = Number(/ spi (0x[0-9a-f]+)/.exec(block)?.[1]);
    const key = /aead \S+ (0x[0-9a-f]+)/.exec(block)?.[1];
    const added = /^\s+add (.*) use /m.exec(block)?.[1];
    assert(key !== undefined && added !== undefined, `an SA of ours: ${block}`);
    return { src, dst, spi, key, added };
  });
}

/** The tags of the epochs with which a host sends, ascending: the SPIs that its out policies name. */
export async function sendingTags(host: ClusterHost): Promise<number[]> {
  const text = await host.sh("ip xfrm policy list dir out");
  const spis = [...text.matchAll(/ spi (0x[0-9a-f]+)/g)].map(([, spi]) => Number(spi));
  return [...new Set(spis.map((spi) => spi >>> 29))].sort();
}

/** Waits until every host sends with the newest epoch only, and older ones are gone everywhere. */
export async function settledOnEpoch(
  hosts: readonly ClusterHost[],
  { tag, sas }: { readonly tag: number; readonly sas: number },
): Promise<void> {
  for (const host of hosts) {
    await waitFor(`${host.name} to send with epoch tag ${tag} only`, async () => {
      const found = await sasOf(host);
      return `${await sendingTags(host)}` === `${tag}` && found.length === sas &&
        found.every(({ spi }) => spi >>> 29 === tag);
    });
  }
}

/**
 * The keys of all SAs that were seen on some hosts. No key may come with two times of making, nor at two
 * places.
 */
export class KeyRecord {
  readonly #hosts: readonly ClusterHost[];
  /** By host and key: where and when. */
  readonly #seen = new Map<string, string>();

  constructor(hosts: readonly ClusterHost[]) {
    this.#hosts = hosts;
  }

  /** How many keys were seen. */
  get size(): number {
    return this.#seen.size;
  }

  /** Looks at all SAs now. */
  async look(): Promise<void> {
    for (const host of this.#hosts) {
      for (const { src, dst, spi, key, added } of await sasOf(host)) {
        const place = `${src} > ${dst} 0x${spi.toString(16)} made ${added}`;
        const before = this.#seen.get(`${host.name} ${key}`) ?? place;
        assert.equal(place, before, `a key was installed twice on ${host.name}`);
        this.#seen.set(`${host.name} ${key}`, place);
      }
    }
  }
}

/** Begins a new epoch of a network. */
export function rotate(host: ClusterHost, network: string): Promise<NetworkView> {
  return host.socket.post<NetworkView>(`/v1/networks/${network}/rotate`, {});
}
