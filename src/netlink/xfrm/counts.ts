import { AttributeReader, headView } from "../attribute_reader.ts";
import { NLM_F_REQUEST } from "../constants.ts";
import type { Query } from "../request.ts";
import * as c from "./constants.ts";

/** How many policies a namespace has. */
export interface PolicyCount {
  /** For packets that are received. */
  readonly in: number;
  /** For packets that are sent. */
  readonly out: number;
  /** For packets that are passed on. */
  readonly fwd: number;
  /** Sockets' own, for both ways. */
  readonly ofSockets: number;
}

/** The payload begins with flags, u32, that the kernel gives back and does not read. */
const FLAGS_BYTES = 4;
const ANY_FLAGS = Uint8Array.of(0xff, 0xff, 0xff, 0xff);

/** Asks how many SAs there are, without reading them. */
export function countSas(): Query<number> {
  return {
    answer: "one",
    describe: () => "count SAs",
    type: c.XFRM_MSG_GETSADINFO,
    flags: NLM_F_REQUEST,
    payload: ANY_FLAGS,
    decode({ payload }) {
      headView(payload, FLAGS_BYTES, "flags");
      let count = 0;
      const reader = new AttributeReader(payload, FLAGS_BYTES);
      while (reader.next()) {
        if (reader.type === c.XFRMA_SAD_CNT) count = reader.u32();
      }
      return count;
    },
  };
}

/** Asks how many policies there are, without reading them. */
export function countPolicies(): Query<PolicyCount> {
  return {
    answer: "one",
    describe: () => "count policies",
    type: c.XFRM_MSG_GETSPDINFO,
    flags: NLM_F_REQUEST,
    payload: ANY_FLAGS,
    decode({ payload }) {
      headView(payload, FLAGS_BYTES, "flags");
      let count: PolicyCount = { in: 0, out: 0, fwd: 0, ofSockets: 0 };
      const reader = new AttributeReader(payload, FLAGS_BYTES);
      while (reader.next()) {
        if (reader.type === c.XFRMA_SPD_INFO) count = readPolicyCounts(reader);
      }
      return count;
    },
  };
}

/** `struct xfrmu_spdinfo`: in, out, fwd, then the same of sockets; each u32. */
function readPolicyCounts(reader: AttributeReader): PolicyCount {
  const view = headView(reader.bytes(), 24, "xfrmu_spdinfo");
  const u32 = (offset: number) => view.getUint32(offset, true);
  return { in: u32(0), out: u32(4), fwd: u32(8), ofSockets: u32(12) + u32(16) + u32(20) };
}
