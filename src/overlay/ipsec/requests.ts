import type { SecretBytes } from "../../base/mod.ts";
import { slotReqid } from "../../esp/mod.ts";
import {
  addClsact,
  addSa,
  deleteClsact,
  deleteFilter,
  deletePolicy,
  deleteSa,
  type FilterId,
  type NewSa,
  replaceDropFilter,
  replacePolicy,
  type Request,
  updateLarvalSa,
} from "../../netlink/mod.ts";
import type { Device } from "../operation.ts";
import {
  blockSelector,
  type GuardFilter,
  type GuardOperation,
  type IpsecOperation,
  pairSelector,
  type PeerPolicy,
  type SaToMake,
} from "./operation.ts";
import {
  BLOCK_PRIORITY,
  blockIndex,
  PEER_PRIORITY,
  REPLAY_WINDOW,
  SA_ALGORITHM,
  SOFT_BYTES,
} from "./picture.ts";

/** An operation that one request about policies or SAs does, and that needs no key. */
export type XfrmOperation = Extract<
  IpsecOperation,
  {
    kind:
      | "set-block"
      | "delete-block"
      | "set-policy"
      | "delete-policy"
      | "delete-stray"
      | "delete-sa";
  }
>;

/** Its request. */
export function xfrmRequest(operation: XfrmOperation): Request {
  switch (operation.kind) {
    case "set-block": {
      const { block } = operation;
      const { direction } = block;
      return replacePolicy({
        direction,
        selector: blockSelector(block),
        priority: BLOCK_PRIORITY,
        action: "block",
        icmp: direction === "out",
        index: blockIndex(block),
      });
    }
    case "delete-block": {
      const { block } = operation;
      return deletePolicy({ direction: block.direction, selector: blockSelector(block) });
    }
    case "set-policy":
      return replacePolicy(peerPolicy(operation.policy));
    case "delete-policy": {
      const { direction, source, destination, port } = operation.policy;
      return deletePolicy({ direction, selector: pairSelector(source, destination, port) });
    }
    case "delete-stray":
      return deletePolicy(operation.policy);
    case "delete-sa":
      return deleteSa(operation.place);
  }
}

function peerPolicy({ direction, source, destination, port, spi, slot }: PeerPolicy) {
  const template = { source, destination, spi, reqid: slotReqid(slot), mode: "transport" } as const;
  return {
    direction,
    selector: pairSelector(source, destination, port),
    priority: PEER_PRIORITY,
    action: "allow",
    // Without it the ICMP error that quotes a decrypted packet would leave in the clear.
    icmp: direction === "out",
    templates: [template],
  } as const;
}

/** The request that makes an SA, or fills a larval one. It has the key in it. */
export function saRequest(sa: SaToMake, key: SecretBytes, how: "add" | "fill"): Request {
  const { source, destination, spi, slot, port } = sa;
  const { name, icvBits } = SA_ALGORITHM;
  const made: NewSa = {
    source,
    destination,
    spi,
    reqid: slotReqid(slot),
    mode: "transport",
    aead: { name, key, icvBits },
    esn: true,
    windowPackets: REPLAY_WINDOW,
    selector: pairSelector(source, destination, port),
    lifetimes: { softBytes: SOFT_BYTES },
  };
  return how === "add" ? addSa(made) : updateLarvalSa(made);
}

/**
 * All filters of the guard have this preference, "AG" modulo 256: they are asked before all that the kernel
 * chose a preference for (49,152 and below it), and after what somebody put first on purpose.
 */
export const GUARD_PREFERENCE = 0x47;

/** Handle of a filter of the guard: two for each slot. */
export function guardHandle({ slot, end }: Pick<GuardFilter, "slot" | "end">): number {
  return 1 + slot * 2 + (end === "to" ? 0 : 1);
}

/** Its request. */
export function guardRequest(operation: GuardOperation): Request {
  const { kind, device } = operation;
  switch (kind) {
    case "add-clsact":
      return addClsact(device.index);
    case "delete-clsact":
      return deleteClsact(device.index);
    case "delete-filter":
      return deleteFilter(filterId(device, operation.filter));
    case "set-filter": {
      const { end, port } = operation.filter;
      const ports = end === "to" ? { udpDestinationPort: port } : { udpSourcePort: port };
      return replaceDropFilter({ ...filterId(device, operation.filter), ...ports });
    }
  }
}

function filterId({ index }: Device, filter: GuardFilter): FilterId {
  const { hook, family } = filter;
  return { index, hook, family, preference: GUARD_PREFERENCE, handle: guardHandle(filter) };
}
