import * as z from "zod";
import type {
  CertifyReply,
  CertifyRequest,
  JoinReply,
  JoinRequest,
  NodeFacts,
  NodeReport,
  ReportedEpochs,
  ReportedIpsec,
  ReportedRefusal,
  ReportReply,
} from "../../state/mod.ts";
import type { NodePatch, NodeView } from "../types.ts";
import {
  addressText,
  bytesText,
  id,
  labels,
  labelsPatch,
  named,
  role,
  timestamp,
  wholeNumber,
} from "./parts.ts";

const shortText = z.string().max(256);
/** A reason in the kernel's own words. */
const longText = z.string().max(4096);
const controlAddress = z.string().max(64);
const hostRoutes = z.array(addressText).max(256);
/** A P-256 request is about 250 bytes. */
const csr = bytesText(8192);
const certificate = bytesText(16384);
const roots = z.array(certificate).max(16);

export const nodePatch: z.ZodType<NodePatch> = named(
  "NodePatch",
  z.strictObject({ labels: labelsPatch.optional(), role: role.optional() }),
);

/** What a patch can change, after it was merged. */
export const patchedNode: z.ZodType<
  { readonly labels?: Record<string, string> | undefined; readonly role: "manager" | "worker" }
> = z.strictObject({ labels: z.record(z.string(), z.string()).optional(), role });

const factFields = {
  hostname: z.string().min(1).max(253),
  controlAddress,
  vtepAddress: addressText,
  underlayMtuBytes: wholeNumber,
  hostRoutes,
  encryption: longText,
  agentVersion: shortText,
  featureLevel: wholeNumber,
};

const facts: z.ZodType<NodeFacts> = z.strictObject(factFields);

/** As many as there are slots. */
const MAX_ENCRYPTED = 8192;
const packets = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const faults = { replays: packets, integrityFailures: packets };

/** Packets that were refused, and what that means. */
export const reportedRefusal: z.ZodType<ReportedRefusal> = z.strictObject({
  name: shortText,
  networkName: shortText.nullable(),
  packets,
  meaning: longText,
});

/** What a host's kernel has counted of IPsec. */
export const reportedIpsec: z.ZodType<ReportedIpsec> = named(
  "IpsecCounters",
  z.strictObject({
    networks: z.array(z.strictObject({
      networkId: id,
      networkName: shortText,
      sentPackets: packets,
      sentBytes: packets,
      receivedPackets: packets,
      receivedBytes: packets,
      ...faults,
      faulty: z.array(z.strictObject({ nodeId: id, ...faults })).max(16),
    })).max(256),
    refused: z.array(reportedRefusal).max(128),
    guardLack: longText.nullable(),
    unreadable: longText.nullable(),
  }),
);

export const nodeView: z.ZodType<NodeView> = named(
  "Node",
  z.strictObject({
    id,
    index: wholeNumber,
    role,
    labels,
    ...factFields,
    certificates: z.array(z.strictObject({ serial: z.string(), notAfter: timestamp })),
    joinedAt: timestamp,
    revision: wholeNumber,
    alive: z.boolean(),
    lastSeenAt: timestamp.nullable(),
    lastError: longText.nullable(),
    ipsec: reportedIpsec.nullable(),
  }),
);

export const joinRequest: z.ZodType<JoinRequest> = named(
  "JoinRequest",
  z.strictObject({
    v: z.literal(1),
    secret: z.string().max(64),
    csr,
    facts,
    probe: bytesText(64),
    nowMs: wholeNumber,
  }),
);

export const joinReply: z.ZodType<JoinReply> = named(
  "JoinReply",
  z.strictObject({
    v: z.literal(1),
    nodeId: id,
    clusterId: id,
    certificate,
    roots,
    managers: z.array(z.strictObject({ id, address: controlAddress })),
    incarnation: id,
    stateTimeMs: wholeNumber,
  }),
);

export const certifyRequest: z.ZodType<CertifyRequest> = named(
  "CertifyRequest",
  z.strictObject({ v: z.literal(1), csr }),
);

export const certifyReply: z.ZodType<CertifyReply> = named(
  "CertifyReply",
  z.strictObject({
    v: z.literal(1),
    certificate,
    roots,
  }),
);

/** A host's endpoints are bounded by the body's limit. */
const ids = z.array(id);
const digest = bytesText(43);

const epoch = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const reportedEpochs: z.ZodType<ReportedEpochs> = z.strictObject({
  networkId: id,
  // There are seven tags; a host that was away may have old ones with some peers, new ones with others.
  installed: z.array(epoch).max(64),
  upTo: wholeNumber,
  oldestSending: epoch.nullable(),
  wantsAfter: epoch.nullable(),
});

export const nodeReport: z.ZodType<NodeReport> = named(
  "NodeReport",
  z.strictObject({
    v: z.literal(1),
    received: digest.nullable(),
    applied: digest.nullable(),
    attached: ids,
    gone: ids,
    lastError: longText.nullable(),
    number: wholeNumber,
    bootKey: z.strictObject({
      publicKey: bytesText(43),
      bootId: z.string().min(1).max(64),
      incarnation: id,
    })
      .nullable(),
    epochs: z.array(reportedEpochs).max(MAX_ENCRYPTED).nullable(),
    ipsec: reportedIpsec.nullable(),
    facts,
  }),
);

export const reportReply: z.ZodType<ReportReply> = z.strictObject({
  v: z.literal(1),
  stateTimeMs: wholeNumber,
  seenBefore: wholeNumber,
});
