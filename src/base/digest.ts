import { createHash } from "node:crypto";
import { type Bytes, encodeBase64url } from "./bytes.ts";
import { canonicalJson, type Json } from "./json.ts";

/** SHA-256 (FIPS 180-4), 32 bytes. */
export function sha256(data: Uint8Array): Bytes {
  return new Uint8Array(createHash("sha256").update(data).digest());
}

/** SHA-256 over {@linkcode canonicalJson}, as base64url: 43 characters. */
export function jsonDigest(value: Json): string {
  return encodeBase64url(
    new Uint8Array(createHash("sha256").update(canonicalJson(value)).digest()),
  );
}
