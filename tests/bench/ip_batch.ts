import { randomBytes } from "node:crypto";
import { encodeHex } from "../../src/base/mod.ts";
import { encodeSpi, slotReqid } from "../../src/esp/mod.ts";
import type { Projection } from "../../src/state/mod.ts";
import { run } from "../integration/overlay_lab.ts";

/** What a program of iproute2 is to do in a namespace, as a file. */
interface Batch {
  readonly program: "ip" | "bridge";
  /** Of the overlay; null: the host itself. */
  readonly sandbox: string | null;
  readonly path: string;
}

/** The same SAs, policies, forwarding entries and neighbours for iproute2 to make, in files. */
export class IpBatch {
  readonly #batches: readonly Batch[];

  constructor(directory: string, projection: Projection) {
    const batches: Batch[] = [];
    const add = (program: Batch["program"], sandbox: string | null, lines: readonly string[]) => {
      const path = `${directory}/batch${batches.length}`;
      Deno.writeTextFileSync(path, lines.join("\n") + "\n");
      batches.push({ program, sandbox, path });
    };
    add("ip", null, sas(projection));
    add("ip", null, policies(projection));
    for (const network of projection.networks) {
      const remotes = network.endpoints.filter(({ nodeId }) => nodeId !== projection.node.id);
      add(
        "bridge",
        `agent-${network.name}`,
        remotes.flatMap(({ mac, vtepAddress }) => [
          `fdb replace ${mac} dev vxlan0 self permanent dst ${vtepAddress}`,
          `fdb replace ${mac} dev vxlan0 master static`,
        ]),
      );
      add(
        "ip",
        `agent-${network.name}`,
        remotes.map(({ ip, mac }) => `neigh replace ${ip} lladdr ${mac} dev vxlan0 nud permanent`),
      );
    }
    this.#batches = batches;
  }

  /** Has iproute2 do it. */
  async run(host: string, prefix: string): Promise<void> {
    for (const { program, sandbox, path } of this.#batches) {
      const name = sandbox === null ? host : prefix + sandbox;
      await run(`${program} -n ${name} -batch ${path}`);
    }
  }
}

interface Pair {
  readonly slot: number;
  readonly direction: "in" | "out";
  readonly selector: string;
  readonly place: string;
  readonly spi: string;
}

function pairs({ node, networks }: Projection): readonly Pair[] {
  return networks.flatMap(({ encryption, port }) => {
    if (encryption === null) return [];
    const { slot, holders, epochs } = encryption;
    const epoch = epochs[0]?.epoch ?? 1;
    return holders.filter(({ nodeId }) => nodeId !== node.id).flatMap((peer) =>
      (["out", "in"] as const).map((direction): Pair => {
        const [from, to] = direction === "out" ? [node, peer] : [peer, node];
        const [source, destination] = [from.vtepAddress, to.vtepAddress];
        return {
          slot,
          direction,
          selector: `src ${source}/32 dst ${destination}/32 proto udp sport ${port} dport ${port}`,
          place: `src ${source} dst ${destination} proto esp`,
          spi: `spi ${encodeSpi({ epoch, slot, sender: from.index })}`,
        };
      })
    );
  });
}

function sas(projection: Projection): readonly string[] {
  return pairs(projection).map(({ slot, selector, place, spi }) =>
    `xfrm state add ${place} ${spi} reqid ${slotReqid(slot)} mode transport ` +
    `aead rfc4106(gcm(aes)) 0x${encodeHex(randomBytes(36))} 128 ` +
    `flag esn replay-window 1024 sel ${selector}`
  );
}

function policies(projection: Projection): readonly string[] {
  return pairs(projection).map(({ slot, direction, selector, place, spi }) =>
    `xfrm policy update ${selector} dir ${direction} priority 100 ` +
    `${direction === "out" ? "flag icmp " : ""}tmpl ${place} ${
      direction === "out" ? spi + " " : ""
    }` +
    `reqid ${slotReqid(slot)} mode transport level required`
  );
}
