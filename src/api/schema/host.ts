import * as z from "zod";
import type {
  Attachment,
  AttachmentRequest,
  FollowRequest,
  HostStatus,
  ManagerFollowed,
  PlanView,
  ProjectionView,
  ShownEncryption,
} from "../host_types.ts";
import { MAX_ENDPOINTS } from "./endpoint.ts";
import { reportedIpsec } from "./node.ts";
import {
  addressText,
  bytesText,
  id,
  jsonObject,
  name,
  named,
  reference,
  role,
  timestamp,
  wholeNumber,
} from "./parts.ts";

/** The kernel's `dev_valid_name`: IFNAMSIZ less its zero, no slash, colon or white space. */
const interfaceName = z.string().regex(/^(?!\.{1,2}$)[^/:\s]{1,15}$/, {
  error: "An interface's name is 1 to 15 characters without slash, colon and white space",
});
const path = z.string().max(4096).regex(/^\/[^\0]*$/, { error: "A path is absolute" });
/** Linux counts pids to 2²² at most. */
const pid = z.int().min(1).max(4_194_304);

export const attachmentRequest: z.ZodType<AttachmentRequest> = named(
  "AttachmentRequest",
  z.strictObject({
    netns: path.optional(),
    pid: pid.optional(),
    networks: z.array(z.strictObject({
      network: reference,
      ip: addressText.optional(),
      interface: interfaceName.optional(),
    })).min(1).max(MAX_ENDPOINTS),
    name: name.optional(),
    lease: z.boolean().optional(),
  }).superRefine((request, context) => {
    if ((request.netns === undefined) !== (request.pid === undefined)) return;
    context.addIssue({
      code: "custom",
      path: [request.netns === undefined ? "netns" : "pid"],
      message: "Give either netns, a namespace's path, or pid, a process's number",
    });
  }),
);

export const attachment: z.ZodType<Attachment> = named(
  "Attachment",
  z.strictObject({
    id,
    netns: path.nullable(),
    pid: pid.nullable(),
    name: name.nullable(),
    lease: z.boolean(),
    interfaces: z.array(z.strictObject({
      endpointId: id,
      networkId: id,
      networkName: name,
      interface: interfaceName.nullable(),
      ip: addressText,
      prefixLength: wholeNumber,
      mac: addressText,
      mtuBytes: wholeNumber,
    })),
    createdAt: timestamp,
  }),
);

export const attachments: z.ZodType<{ readonly items: readonly Attachment[] }> = z.strictObject({
  items: z.array(attachment),
});

export const planView: z.ZodType<PlanView> = z.strictObject({ operations: z.array(z.string()) });

export const hostStatus: z.ZodType<HostStatus> = named(
  "HostStatus",
  z.strictObject({
    nodeId: id,
    clusterId: id,
    incarnation: z.strictObject({ generation: wholeNumber, id }).nullable(),
    role,
    hostname: z.string(),
    agentVersion: z.string(),
    controlAddress: z.string(),
    vtepAddress: z.string(),
    encryption: z.string(),
    connected: z.boolean(),
    leaderAddress: z.string().nullable(),
    certificateNotAfter: timestamp,
    applied: z.string().nullable(),
    ready: z.boolean(),
    lastError: z.string().nullable(),
    manager: z.strictObject({
      role: z.enum(["leader", "follower", "candidate"]),
      term: wholeNumber,
      leaderId: id.nullable(),
      lastIndex: wholeNumber,
      commitIndex: wholeNumber,
      appliedIndex: wholeNumber,
      voters: z.array(id),
      learners: z.array(id),
    }).nullable(),
    ipsec: reportedIpsec.nullable(),
    counters: jsonObject,
  }),
);

const peer = { nodeId: id, index: wholeNumber, vtepAddress: addressText };

const encryption: z.ZodType<ShownEncryption> = z.strictObject({
  slot: wholeNumber,
  epochs: z.array(wholeNumber),
  holders: z.array(z.strictObject({
    ...peer,
    bootKey: bytesText(43).nullable(),
    revision: wholeNumber,
    state: z.enum(["attached", "left"]),
  })),
});

export const projection: z.ZodType<ProjectionView> = named(
  "Projection",
  z.strictObject({
    v: z.literal(1),
    clusterId: id,
    incarnation: id,
    generation: wholeNumber,
    node: z.strictObject({
      id,
      index: wholeNumber,
      vtepAddress: addressText,
      bootKey: bytesText(43).nullable(),
    }),
    networks: z.array(z.strictObject({
      id,
      name,
      vni: wholeNumber,
      subnet: addressText,
      mtuBytes: wholeNumber,
      port: wholeNumber,
      encryption: encryption.nullable(),
      endpoints: z.array(z.strictObject({
        id,
        name: name.nullable(),
        ip: addressText,
        mac: addressText,
        nodeId: id,
        vtepAddress: addressText,
      })),
    })),
    retained: z.array(z.strictObject({
      id,
      slot: wholeNumber,
      port: wholeNumber,
      epochs: z.array(wholeNumber),
      peers: z.array(z.strictObject(peer)),
    })),
    installed: z.array(z.strictObject({
      networkId: id,
      nodeId: id,
      epochs: z.array(wholeNumber),
      upTo: wholeNumber,
    })),
    goneUpTo: wholeNumber,
    digest: z.string(),
  }),
);

export const followRequest: z.ZodType<FollowRequest> = named(
  "FollowRequest",
  z.strictObject({ address: z.string().min(1).max(64) }),
);

export const managerFollowed: z.ZodType<ManagerFollowed> = named(
  "ManagerFollowed",
  z.strictObject({ id, address: z.string().max(64) }),
);
