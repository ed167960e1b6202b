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
  return JSON.stringify(value, (_key, part: Json) => {
    if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
    // Without a prototype, so that a member called `__proto__` is a member like any other.
    const sorted: Record<string, Json | undefined> = Object.create(null);
    const object = part as JsonObject;
    for (const key of Object.keys(object).sort()) sorted[key] = object[key];
    return sorted;
  });
}
