import * as z from "zod";
import type { CheckedPeer, CheckReport, DirectionVerdict, ProbeVerdict } from "../../state/mod.ts";
import type { NetworkCheckView } from "../types.ts";
import { reportedRefusal } from "./node.ts";
import { id, named, timestamp, wholeNumber } from "./parts.ts";

const sizes = z.array(z.enum(["small", "full"])).max(2);
const epochs = z.array(z.int().min(1).max(Number.MAX_SAFE_INTEGER)).max(8);

const checkedPeer: z.ZodType<CheckedPeer> = z.strictObject({
  nodeId: id,
  heard: sizes,
  answered: sizes,
  outPackets: wholeNumber,
  inPackets: wholeNumber,
  integrityFailures: wholeNumber,
  replays: wholeNumber,
  outEpochs: epochs,
  inEpochs: epochs,
  routeMtuBytes: wholeNumber.nullable(),
  mtuLearned: z.boolean(),
});

export const checkReport: z.ZodType<CheckReport> = named(
  "CheckReport",
  z.strictObject({
    v: z.literal(1),
    networkId: id,
    checkId: id,
    problem: z.string().max(4096).nullable(),
    neededMtuBytes: wholeNumber,
    refused: z.array(reportedRefusal).max(128),
    // As many as there can be nodes; the body's limit comes first.
    peers: z.array(checkedPeer).max(65_535),
  }),
);

const verdict: z.ZodType<ProbeVerdict> = z.strictObject({
  outcome: z.enum(["ok", "esp", "firewall", "mtu", "key", "not-checked"]),
  reason: z.string().nullable(),
});

const direction: z.ZodType<DirectionVerdict> = z.strictObject({
  from: id,
  to: id,
  small: verdict,
  full: verdict,
});

export const networkCheck: z.ZodType<NetworkCheckView> = named(
  "NetworkCheck",
  z.strictObject({
    id,
    networkId: id,
    cause: z.enum(["asked", "new-pair"]),
    startedAt: timestamp,
    finishedAt: timestamp.nullable(),
    directions: wholeNumber,
    passed: wholeNumber,
    verdicts: z.array(direction),
  }),
);
