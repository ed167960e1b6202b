import { type AttributeReader, type Filling, headView } from "../attribute_reader.ts";
import { type AttributeWriter, putU32 } from "../attribute_writer.ts";
import * as c from "./tc_constants.ts";
import { readTrafficCounters, type TrafficCounters } from "./tc_stats.ts";

/** What becomes of a packet that a filter matched. */
export interface FilterAction {
  /** The kernel's name of the kind: `gact` drops or passes, `mirred` redirects, … */
  readonly kind: string;
  /** It drops the packet. */
  readonly drops: boolean;
  /** What it has counted. */
  readonly counters: TrafficCounters | null;
}

/**
 * `struct tc_gact`, each field u32:
 *
 * | offset | field                         |
 * |--------|-------------------------------|
 * | 0      | index, 0 for one of its own   |
 * | 4      | capabilities                  |
 * | 8      | verdict (`TC_ACT_…`)          |
 * | 12     | references                    |
 * | 16     | filters that use it           |
 */
const GACT_BYTES = 20;

/** Writes a list of one action, which drops. */
export function writeDropAction(writer: AttributeWriter, type: number): void {
  const parameters = new Uint8Array(GACT_BYTES);
  putU32(parameters, 8, c.TC_ACT_SHOT);
  // Actions are numbered by their place in the list.
  writer.nest(type, () =>
    writer.nest(1, () =>
      writer.string(c.TCA_ACT_KIND, "gact").flaggedNest(
        c.TCA_ACT_OPTIONS,
        () => writer.bytes(c.TCA_GACT_PARMS, parameters),
      )));
}

/** Reads a list of actions. @throws {DecodeError} */
export function readActions(list: AttributeReader): FilterAction[] {
  const actions: FilterAction[] = [];
  while (list.next()) actions.push(readAction(list.nest()));
  return actions;
}

function readAction(reader: AttributeReader): FilterAction {
  const action: Filling<FilterAction> = { kind: "", drops: false, counters: null };
  let options: AttributeReader | null = null;
  while (reader.next()) {
    switch (reader.type) {
      case c.TCA_ACT_KIND:
        action.kind = reader.string();
        break;
      case c.TCA_ACT_OPTIONS:
        options = reader.nest();
        break;
      case c.TCA_ACT_STATS:
        action.counters = readTrafficCounters(reader.nest());
        break;
    }
  }
  if (action.kind === "gact" && options !== null) action.drops = readGactDrops(options);
  return action;
}

function readGactDrops(options: AttributeReader): boolean {
  let drops = false;
  let always = true;
  while (options.next()) {
    if (options.type === c.TCA_GACT_PARMS) {
      const view = headView(options.bytes(), GACT_BYTES, "tc_gact");
      drops = view.getInt32(8, true) === c.TC_ACT_SHOT;
    } else if (options.type === c.TCA_GACT_PROB) {
      // With a probability it does something else now and then.
      always = false;
    }
  }
  return drops && always;
}
