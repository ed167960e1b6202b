import { Cidr } from "../base/mod.ts";
import type { Check } from "./check.ts";
import { rejectValue } from "./rejected.ts";
import { prefix } from "./validate.ts";

/** What IANA's registry of special IPv4 addresses keeps from ordinary hosts (RFC 6890). */
const UNUSABLE: readonly (readonly [Cidr, string])[] = [
  [Cidr.parse("0.0.0.0/8"), "this network"],
  [Cidr.parse("127.0.0.0/8"), "loopback"],
  [Cidr.parse("169.254.0.0/16"), "link-local"],
  [Cidr.parse("224.0.0.0/4"), "multicast"],
  [Cidr.parse("240.0.0.0/4"), "reserved"],
];

/** An IPv4 prefix for workloads, its length in `shortest` … `longest`, in canonical text. */
export function subnet(shortest: number, longest: number): Check<string> {
  return (value, at) => {
    if (typeof value === "string" && value.includes(":")) {
      rejectValue(at, "IPv6 is not supported yet: choose an IPv4 prefix");
    }
    const checked = Cidr.parse(prefix(value, at));
    if (checked.prefixLength < shortest) {
      rejectValue(at, `${checked} is too large: the shortest length is /${shortest}`);
    }
    if (checked.prefixLength > longest) {
      const reason = longest === 29 ? ": three addresses of a subnet are never given out" : "";
      rejectValue(at, `${checked} is too small: the longest length is /${longest}${reason}`);
    }
    for (const [unusable, what] of UNUSABLE) {
      if (checked.overlaps(unusable)) {
        rejectValue(at, `${checked} overlaps ${unusable} (${what}): hosts cannot use it`);
      }
    }
    return checked.toString();
  };
}
