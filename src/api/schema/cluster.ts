import * as z from "zod";
import type { Settings } from "../../state/mod.ts";
import type {
  BackupView,
  CaReply,
  ClusterPatch,
  ClusterView,
  HealthView,
  ManagersView,
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
  managerTiming: z.enum(["local", "wide-area"]),
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

export const backupView: z.ZodType<BackupView> = named(
  "Backup",
  z.strictObject({
    key: z.string().regex(/^AGTBAK-1-/),
    clusterId: id,
    revision: wholeNumber,
    writtenAt: timestamp,
    file: z.string().regex(/^[A-Za-z0-9_-]+$/),
  }),
);

export const caReply: z.ZodType<CaReply> = z.strictObject({
  v: z.literal(1),
  clusterId: id,
  roots: z.array(bytesText(16384)).max(16),
});

export const managersView: z.ZodType<ManagersView> = named(
  "Managers",
  z.strictObject({
    term: wholeNumber,
    leaderId: id,
    commitIndex: wholeNumber,
    mayLose: wholeNumber,
    items: z.array(z.strictObject({
      id,
      hostname: z.string(),
      controlAddress: z.string(),
      standing: z.enum(["leader", "voter", "learner", "joining"]),
      heard: z.boolean(),
      silentMs: wholeNumber.nullable(),
      lag: wholeNumber.nullable(),
    })),
  }),
);

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
