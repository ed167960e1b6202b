import { isProbeMac, type MacText } from "../base/mod.ts";
import type { FdbEntry, Neighbour } from "../netlink/mod.ts";
import type { BridgeEntry, VxlanEntry } from "./model.ts";

/** Forwarding entries and neighbours of a sandbox, as they were last seen or heard of. */
export class EntryTables {
  /** Of the VXLAN device; null: there is none. */
  readonly vxlanIndex: number | null;
  readonly #bridgeEntries = new Map<MacText, BridgeEntry>();
  readonly #vxlanEntries = new Map<MacText, VxlanEntry>();
  readonly #neighbours = new Map<string, MacText>();

  constructor(vxlanIndex: number | null) {
    this.vxlanIndex = vxlanIndex;
  }

  get bridgeEntries(): ReadonlyMap<MacText, BridgeEntry> {
    return this.#bridgeEntries;
  }

  get vxlanEntries(): ReadonlyMap<MacText, VxlanEntry> {
    return this.#vxlanEntries;
  }

  get neighbours(): ReadonlyMap<string, MacText> {
    return this.#neighbours;
  }

  /**
   * Takes in a forwarding entry that is there now, or is gone.
   *
   * @returns whether that was news
   */
  recordEntry(entry: FdbEntry, change: "set" | "removed"): boolean {
    const { mac, index, state } = entry;
    if (entry.table === "self") {
      // A check that is under way sets and removes them by itself.
      if (index !== this.vxlanIndex || isProbeMac(mac)) return false;
      if (change === "removed") return this.#vxlanEntries.delete(mac);
      // Kernels to about 6.12 tell of each such entry a second time, without where it leads: taken
      // for a change, that would be repaired, and told of again, for ever.
      if (entry.destination === null) return false;
      const vtepAddress = entry.destination.toString();
      const before = this.#vxlanEntries.get(mac);
      this.#vxlanEntries.set(mac, { vtepAddress, state });
      return before?.vtepAddress !== vtepAddress || before.state !== state;
    }
    const before = this.#bridgeEntries.get(mac);
    if (change === "removed") return before?.port === index && this.#bridgeEntries.delete(mac);
    this.#bridgeEntries.set(mac, { port: index, state });
    return before?.port !== index || before.state !== state;
  }

  /** The same for a neighbour. */
  recordNeighbour(neighbour: Neighbour, change: "set" | "removed"): boolean {
    if (neighbour.index !== this.vxlanIndex || neighbour.address.family !== 4) return false;
    const ip = neighbour.address.toString();
    const { mac, state } = neighbour;
    if (change === "removed" || state !== "permanent" || mac === null) {
      return this.#neighbours.delete(ip);
    }
    const before = this.#neighbours.get(ip);
    this.#neighbours.set(ip, mac);
    return before !== mac;
  }
}
