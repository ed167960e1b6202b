import * as z from "zod";
import type { EndpointRequest, EndpointsReply, EndpointsRequest, EndpointView } from "../types.ts";
import { addressText, id, name, named, reference, timestamp, wholeNumber } from "./parts.ts";

/** How many endpoints one request, and one attachment, can have. */
export const MAX_ENDPOINTS = 16;

const chosen = {
  node: reference.optional(),
  name: name.optional(),
  ip: addressText.optional(),
  mac: addressText.optional(),
};

export const endpointRequest: z.ZodType<EndpointRequest> = named(
  "EndpointRequest",
  z.strictObject(chosen),
);

export const endpointsRequest: z.ZodType<EndpointsRequest> = named(
  "EndpointsRequest",
  z.strictObject({
    endpoints: z.array(z.strictObject({ network: reference, id: id.optional(), ...chosen })).min(1)
      .max(MAX_ENDPOINTS),
  }),
);

export const endpointView: z.ZodType<EndpointView> = named(
  "Endpoint",
  z.strictObject({
    id,
    networkId: id,
    nodeId: id,
    name: name.nullable(),
    ip: addressText,
    mac: addressText,
    attachment: z.enum(["attached", "unattached"]),
    createdAt: timestamp,
    revision: wholeNumber,
  }),
);

export const endpointsReply: z.ZodType<EndpointsReply> = z.strictObject({
  endpoints: z.array(endpointView),
});
