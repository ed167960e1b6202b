import * as c from "./constants.ts";

/** What ESP wraps: the payload of a packet, or the packet whole. */
export type XfrmMode = "transport" | "tunnel";

/** Others can be in what somebody else made. */
export type XfrmModeInfo =
  | XfrmMode
  | "route-optimization"
  | "in-trigger"
  | "beet"
  | "unknown";

const NAMES: ReadonlyMap<number, XfrmModeInfo> = new Map([
  [c.XFRM_MODE_TRANSPORT, "transport"],
  [c.XFRM_MODE_TUNNEL, "tunnel"],
  [c.XFRM_MODE_ROUTEOPTIMIZATION, "route-optimization"],
  [c.XFRM_MODE_IN_TRIGGER, "in-trigger"],
  [c.XFRM_MODE_BEET, "beet"],
]);

/** `XFRM_MODE_…` */
export function encodeMode(mode: XfrmMode): number {
  return mode === "transport" ? c.XFRM_MODE_TRANSPORT : c.XFRM_MODE_TUNNEL;
}

/** Name of `XFRM_MODE_…`. */
export function decodeMode(mode: number): XfrmModeInfo {
  return NAMES.get(mode) ?? "unknown";
}
