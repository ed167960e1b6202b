import { createSocket } from "node:dgram";
import type { Clock } from "../base/mod.ts";
import { equalBytes, type IpAddress } from "../base/mod.ts";

/**
 * Packets get lost; five do not, on a network that a cluster can live on. The last ones are for a host
 * that is busy: it must not be called unreachable.
 */
const SEND_AFTER_MS = [0, 150, 400, 1_000, 2_000];
const GIVE_UP_AFTER_MS = 3_000;

/**
 * Whether a host that says it has this address really answers there: it is sent 16 random bytes
 * by UDP, to the very port that VXLAN packets will come to, and must send them back. So a firewall
 * between the two, or an address that is not routed, shows when the host joins.
 */
export async function answersProbe(
  options: {
    readonly address: IpAddress;
    readonly port: number;
    readonly payload: Uint8Array;
    readonly clock: Clock;
  },
): Promise<boolean> {
  const { address, port, payload, clock } = options;
  const socket = createSocket(address.family === 4 ? "udp4" : "udp6");
  const cancels: (() => void)[] = [];
  try {
    return await new Promise<boolean>((resolve) => {
      socket.on("message", (message: Uint8Array) => {
        if (equalBytes(message, payload)) resolve(true);
      });
      socket.on("error", () => resolve(false));
      const send = () =>
        socket.send(payload, port, String(address), (error) => {
          // No route: the kernel says so at once.
          if (error !== null) resolve(false);
        });
      for (const delayMs of SEND_AFTER_MS) cancels.push(clock.schedule(delayMs, send));
      cancels.push(clock.schedule(GIVE_UP_AFTER_MS, () => resolve(false)));
    });
  } finally {
    for (const cancel of cancels) cancel();
    socket.close();
  }
}
