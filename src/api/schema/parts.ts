// All of it, not its `z`: that one brings the texts of fifty languages into the program.
import * as z from "zod";
import type { Id, JsonObject } from "../../base/mod.ts";
import type { Labels } from "../../state/mod.ts";
import type { LabelsPatch, Page, Timestamp } from "../types.ts";

/** Largest number that a length, a revision or a time can be. */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** Names of schemas under `#/components/schemas` of the document. */
export const schemaNames: z.core.$ZodRegistry<{ id: string }> = z.registry<{ id: string }>();

/** Gives a schema a name, so that the document says it once. */
export function named<T>(id: string, schema: z.ZodType<T>): z.ZodType<T> {
  return schema.register(schemaNames, { id });
}

/** No body, or no query. */
export const nothing: z.ZodType<undefined> = z.undefined();

/** A query that has no parameters. */
export const noQuery: z.ZodType<Readonly<Record<string, never>>> = z.strictObject({});

/** An object's id. */
export const id: z.ZodType<Id> = z.string().regex(/^[a-z2-7]{26}$/, {
  error: "An id is 26 characters of a-z and 2-7",
});

/**
 * A new object's name, as `isName` has it; the look-ahead refuses what looks like an id, for a path
 * takes either.
 */
export const name: z.ZodType<string> = z.string().regex(
  /^(?![a-z2-7]{26}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  {
    error: "A name is 1 to 63 of a-z, 0-9 and hyphens, no hyphen at the ends, and does not look " +
      "like an id (26 of a-z and 2-7)",
  },
);

/** Id or name of an object that is there. */
export const reference: z.ZodType<string> = z.string().min(1).max(253);

/** An address, prefix or MAC address; the state reads it and says what is wrong with it. */
export const addressText: z.ZodType<string> = z.string().min(1).max(64);

export const role: z.ZodType<"manager" | "worker"> = z.enum(["manager", "worker"]);

export const wholeNumber: z.ZodType<number> = z.int().min(0).max(MAX_INTEGER);

export const timestamp: z.ZodType<Timestamp> = z.iso.datetime({ precision: 3 });

/** Bytes, base64url without padding. */
export function bytesText(maxCharacters: number): z.ZodType<string> {
  return z.string().max(maxCharacters).regex(/^[A-Za-z0-9_-]+$/, {
    error: "Bytes are written as base64url without padding",
  });
}

const labelKey = z.string().min(1).max(256);
const labelValue = z.string().max(256);
const MAX_LABELS = 64;

function fewKeys(labels: object): boolean {
  return Object.keys(labels).length <= MAX_LABELS;
}

const tooMany = { error: `There can be ${MAX_LABELS} labels` };

export const labels: z.ZodType<Labels> = z.record(labelKey, labelValue).refine(fewKeys, tooMany);

export const labelsPatch: z.ZodType<LabelsPatch> = z.record(labelKey, labelValue.nullable())
  .refine(fewKeys, tooMany).nullable();

/** `?limit` and `?after` of a list. */
export const pageQuery: z.ZodType<{ limit: number; after?: Id | undefined }> = z.strictObject({
  limit: z.preprocess(
    (text) => typeof text === "string" && /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : text,
    z.int({ error: "A limit is a whole number from 1 to 1000" }).min(1).max(1000).default(100),
  ),
  after: id.optional(),
});

/** One page of a list. */
export function pageOf<Item>(item: z.ZodType<Item>): z.ZodType<Page<Item>> {
  return z.strictObject({ items: z.array(item), next: id.nullable() });
}

/** Any JSON object. */
export const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), z.any());
