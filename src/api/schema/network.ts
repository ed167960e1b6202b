import * as z from "zod";
import type { AllowedNodes } from "../../state/mod.ts";
import type { EncryptionView, NetworkPatch, NetworkRequest, NetworkView } from "../types.ts";
import {
  addressText,
  id,
  labels,
  labelsPatch,
  name,
  named,
  timestamp,
  wholeNumber,
} from "./parts.ts";

const ids = z.array(id).max(1000);
const rotationIntervalMs = z.int().min(5_000).max(30 * 24 * 3_600_000);
const mtuBytes = z.int().min(576).max(65535);

const allowedNodesRequest = z.union([
  z.literal("any"),
  z.strictObject({ ids: ids.optional(), labels: labels.optional() }),
]);

export const allowedNodes: z.ZodType<AllowedNodes> = z.union([
  z.literal("any"),
  z.strictObject({ ids, labels }),
]);

export const networkRequest: z.ZodType<NetworkRequest> = named(
  "NetworkRequest",
  z.strictObject({
    name,
    subnet: addressText.optional(),
    labels: labels.optional(),
    mtuBytes: mtuBytes.optional(),
    allowedNodes: allowedNodesRequest.optional(),
    encrypted: z.boolean().optional(),
    rotationIntervalMs: rotationIntervalMs.optional(),
  }),
);

export const networkPatch: z.ZodType<NetworkPatch> = named(
  "NetworkPatch",
  z.strictObject({
    labels: labelsPatch.optional(),
    mtuBytes: mtuBytes.nullable().optional(),
    allowedNodes: z.union([
      z.literal("any"),
      z.strictObject({ ids: ids.nullable().optional(), labels: labelsPatch.optional() }),
      z.null(),
    ]).optional(),
    rotationIntervalMs: rotationIntervalMs.nullable().optional(),
  }),
);

/** What a patch can change, after it was merged. */
export const patchedNetwork: z.ZodType<
  Pick<NetworkRequest, "labels" | "mtuBytes" | "allowedNodes" | "rotationIntervalMs">
> = z.strictObject({
  labels: labels.optional(),
  mtuBytes: mtuBytes.optional(),
  allowedNodes: allowedNodesRequest.optional(),
  rotationIntervalMs: rotationIntervalMs.optional(),
});

const encryptionView: z.ZodType<EncryptionView> = z.strictObject({
  slot: wholeNumber,
  port: wholeNumber,
  rotationIntervalMs: rotationIntervalMs.nullable(),
  rotation: z.enum(["by-interval", "due"]),
  epochs: z.array(z.strictObject({
    epoch: wholeNumber,
    since: timestamp,
    installed: z.array(id),
    missing: z.array(id),
    sending: z.array(id),
  })),
  silent: z.array(id),
});

export const networkView: z.ZodType<NetworkView> = named(
  "Network",
  z.strictObject({
    id,
    name,
    vni: wholeNumber,
    subnet: addressText,
    labels,
    mtuBytes: mtuBytes.nullable(),
    allowedNodes,
    encrypted: z.boolean(),
    encryption: encryptionView.nullable(),
    createdAt: timestamp,
    revision: wholeNumber,
  }),
);
