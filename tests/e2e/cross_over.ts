import assert from "node:assert/strict";
import type { TestHost } from "../lab/hosts.ts";
import type { Forger } from "./forger.ts";
import { readKeyedSas } from "./key_ledger.ts";
import { UdpSocket } from "./sockets.ts";

/** Who crosses over, and where. */
export interface Crossing {
  /** A host with SAs of `own` with `to`, where nothing holds the port of `other`. */
  readonly from: TestHost;
  readonly to: TestHost;
  readonly own: { readonly slot: number };
  /** A network in which `from` is to have no say. */
  readonly other: { readonly port: number };
}

/**
 * A host that is on one encrypted network sends into another one by the SA that it has: it takes all from
 * the SA that ties it to its network, and leads the other network's port through it. How many of the
 * packets came through; all of them have left as ESP.
 */
export async function crossOver(forger: Forger, crossing: Crossing): Promise<number> {
  const { from, to, own: { slot }, other: { port } } = crossing;
  const find = () =>
    readKeyedSas(from.netns).find((sa) =>
      sa.from === from.address && sa.to === to.address && (sa.spi >>> 16 & 0x1fff) === slot
    ) ?? assert.fail("the host has an SA of its own network");
  const { spi, key, sequence, esn } = find();
  const name = `src ${from.address} dst ${to.address} proto esp spi ${spi}`;
  const replay = esn ? `flag esn replay-window 1024 replay-oseq ${sequence}` : "replay-window 0";
  const way =
    `src ${from.address}/32 dst ${to.address}/32 proto udp sport ${port} dport ${port} dir out`;
  await from.exec(
    "sh",
    "-ec",
    `ip xfrm state delete ${name}
    ip xfrm state add ${name} reqid 7 mode transport aead 'rfc4106(gcm(aes))' 0x${key} 128 ${replay}
    ip xfrm policy delete ${way} 2>/dev/null || :
    ip xfrm policy add ${way} priority 1 tmpl ${name} reqid 7 mode transport level required`,
  );
  using socket = UdpSocket.open(from.netns, { ip: from.address, port });
  let sent = 0;
  const delivered = await forger.try((payload) => {
    socket.send(payload, to.address, port);
    sent++;
  });
  if (esn) assert.equal(find().sequence, sequence + BigInt(sent));
  return delivered;
}
