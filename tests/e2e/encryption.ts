import assert from "node:assert/strict";
import type { ClusterHost } from "./cluster.ts";

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
