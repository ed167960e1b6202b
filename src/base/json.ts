/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  /** A member; `undefined` is as good as absent. */
  readonly [key: string]: Json | undefined;
}

/**
 * The one JSON text of a value: keys sorted by code unit, no white space, `undefined` left out as
 * JSON does. Digests and body hashes are taken over this text, so that two replicas agree.
 */
export function canonicalJson(value: Json | undefined): string {
  // A replacer that sorts would take twice the time.
  return JSON.stringify(sorted(value));
}

function sorted(value: Json | undefined): Json | undefined {
  if (value === null || typeof value !== "object") return value;
  if (isList(value)) return value.map((part) => sorted(part) ?? null);
  const result: Record<string, Json | undefined> = {};
  for (const key of Object.keys(value).sort()) {
    const part = sorted(value[key]);
    if (key !== "__proto__") result[key] = part;
    // A member like any other.
    else Object.defineProperty(result, key, { value: part, enumerable: true });
  }
  return result;
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value);
}
