import { IpAddress } from "../../src/base/mod.ts";
import { Connection, dumpSas, getReplayState, setReplayState } from "../../src/netlink/mod.ts";
import { openNamespace, openNetlinkSocket } from "../../src/sys/mod.ts";

/**
 * Sets the sequence numbers of all SAs of a host, as if so many packets had been carried: in the
 * outbound ones the last that was sent, in the inbound ones the highest that was received.
 */
export function setSequences(netns: string, address: string, sequence: bigint): void {
  withXfrm(netns, (connection) => {
    for (const { source, destination, spi } of connection.dump(dumpSas())) {
      const { replay } = connection.get(getReplayState({ destination, spi }));
      const isOutbound = String(source) === String(IpAddress.parse(address));
      connection.request(setReplayState({ destination, spi }, {
        inbound: isOutbound ? 0n : sequence,
        outbound: isOutbound ? sequence : 0n,
        windowPackets: replay?.windowPackets ?? 0,
      }));
    }
  });
}

/** The lowest sequence number that any SA of a host has reached. */
export function lowestSequence(netns: string): bigint {
  return withXfrm(netns, (connection) => {
    const reached = connection.dump(dumpSas()).map(({ destination, spi }) => {
      const { replay } = connection.get(getReplayState({ destination, spi }));
      const [sent, received] = [replay?.outbound ?? 0n, replay?.inbound ?? 0n];
      return sent > received ? sent : received;
    });
    return reached.reduce((low, next) => next < low ? next : low);
  });
}

function withXfrm<T>(netns: string, action: (connection: Connection) => T): T {
  using namespace = openNamespace(netns);
  const connection = new Connection(openNetlinkSocket({ family: "xfrm", namespace }));
  try {
    return action(connection);
  } finally {
    connection.close();
  }
}
