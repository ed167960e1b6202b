import { type AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import * as c from "./tc_constants.ts";

/** What an action has counted. */
export interface TrafficCounters {
  /** Packets that came to it. */
  readonly packets: bigint;
  /** Their bytes, with the Ethernet header. */
  readonly bytes: bigint;
  /** Packets that it dropped. */
  readonly drops: number;
}

/**
 * Reads `TCA_ACT_STATS`: `struct gnet_stats_basic` is bytes (u64) and packets (u32),
 * `TCA_STATS_PKT64` the packets as u64 where the kernel thinks 32 bits too few, and
 * `struct gnet_stats_queue` has the drops as the third u32.
 *
 * @throws {DecodeError}
 */
export function readTrafficCounters(reader: AttributeReader): TrafficCounters {
  const counters: Filling<TrafficCounters> = { packets: 0n, bytes: 0n, drops: 0 };
  let packets64: bigint | null = null;
  while (reader.next()) {
    switch (reader.type) {
      case c.TCA_STATS_BASIC: {
        const view = headView(reader.bytes(), 12, "gnet_stats_basic");
        counters.bytes = view.getBigUint64(0, true);
        counters.packets = BigInt(view.getUint32(8, true));
        break;
      }
      case c.TCA_STATS_PKT64:
        packets64 = headView(reader.bytes(), 8, "packets").getBigUint64(0, true);
        break;
      case c.TCA_STATS_QUEUE:
        counters.drops = headView(reader.bytes(), 20, "gnet_stats_queue").getUint32(8, true);
        break;
    }
  }
  if (packets64 !== null) counters.packets = packets64;
  return counters;
}
