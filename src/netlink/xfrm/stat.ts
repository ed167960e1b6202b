import { DecodeError } from "../errors.ts";

/**
 * Reads the text of `/proc/net/xfrm_stat`: the namespace's counters of packets that IPsec refused, by
 * the kernel's names (`XfrmInTmplMismatch`, `XfrmOutPolBlock`, …), of which newer kernels have more.
 *
 * ```ts
 * parseXfrmStat("XfrmInError\t0\nXfrmOutPolBlock\t12\n").get("XfrmOutPolBlock"); // 12
 * ```
 *
 * @throws {DecodeError} when a line is not a name and a number
 */
export function parseXfrmStat(text: string): ReadonlyMap<string, number> {
  const counters = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const match = /^(\w+)\s+(\d+)\s*$/.exec(line);
    if (match === null) {
      throw new DecodeError(`A line of xfrm_stat is no counter: ${JSON.stringify(line)}`);
    }
    const [, name = "", value = ""] = match;
    counters.set(name, Number(value));
  }
  return counters;
}
