import * as z from "zod";
import type { Settings } from "../../state/mod.ts";
import type {
  CaReply,
  ClusterPatch,
  ClusterView,
  HealthView,
  TokenCreated,
  TokenRequest,
  TokenView,
} from "../types.ts";
import { addressText, bytesText, id, named, role, timestamp, wholeNumber } from "./parts.ts";

/** Their ranges are the state's to judge: some depend on each other. */
const settingFields = {
  certificateValidityMs: wholeNumber,
  keyRotationIntervalMs: wholeNumber,
  epochLimitMs: wholeNumber,
  addressPool: addressText,
  subnetPrefixLength: wholeNumber,
  controlPort: wholeNumber,
  plainVxlanPort: wholeNumber,
  encryptedVxlanPortBase: wholeNumber,
};

const settings: z.ZodType<Settings> = z.strictObject(settingFields);

export const clusterPatch: z.ZodType<ClusterPatch> = named(
  "ClusterPatch",
  z.strictObject({
    settings: z.strictObject(settingFields).partial().optional(),
  }),
);

export const clusterView: z.ZodType<ClusterView> = named(
  "Cluster",
  z.strictObject({
    id,
    incarnation: id,
    settings,
    revision: wholeNumber,
  }),
);

export const caReply: z.ZodType<CaReply> = z.strictObject({
  v: z.literal(1),
  clusterId: id,
  roots: z.array(bytesText(16384)).max(16),
});

export const healthView: z.ZodType<HealthView> = z.strictObject({ status: z.literal("ok") });

export const tokenRequest: z.ZodType<TokenRequest> = named(
  "TokenRequest",
  z.strictObject({
    role: role.optional(),
    lifetimeMs: z.int().min(1000).max(10 * 366 * 24 * 3_600_000).optional(),
    uses: z.int().min(1).max(100_000).optional(),
  }),
);

const tokenFields = {
  id,
  role,
  usesLeft: wholeNumber,
  createdAt: timestamp,
  expiresAt: timestamp,
  revision: wholeNumber,
};

export const tokenView: z.ZodType<TokenView> = named("Token", z.strictObject(tokenFields));

export const tokenCreated: z.ZodType<TokenCreated> = named(
  "TokenCreated",
  z.strictObject({
    ...tokenFields,
    token: z.string(),
  }),
);
