import { Buffer } from "node:buffer";
import type { Bytes } from "../base/mod.ts";

type Label = "CERTIFICATE" | "PRIVATE KEY";

/** RFC 7468 text of one certificate; for a chain, join the texts, leaf first. */
export function certificateToPem(der: Uint8Array): string {
  return encodePem("CERTIFICATE", der);
}

/** RFC 7468 text of a private key in PKCS #8. */
export function privateKeyToPem(der: Uint8Array): string {
  return encodePem("PRIVATE KEY", der);
}

/**
 * DER of every certificate of a text, in its order.
 *
 * @throws {TypeError} when the text has anything but certificates, or none
 */
export function pemToCertificates(pem: string): readonly Bytes[] {
  return decodePem("CERTIFICATE", pem);
}

/**
 * PKCS #8 DER of a text with one private key. The error does not quote the text.
 *
 * @throws {TypeError} when the text is anything else
 */
export function pemToPrivateKey(pem: string): Bytes {
  const [key, ...more] = decodePem("PRIVATE KEY", pem);
  if (key === undefined || more.length > 0) {
    throw new TypeError("Cannot decode PEM: the text has more than one private key");
  }
  return key;
}

function encodePem(label: Label, der: Uint8Array): string {
  const text = Buffer.from(der.buffer, der.byteOffset, der.length).toString("base64");
  const lines = text.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function decodePem(label: Label, pem: string): readonly Bytes[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const found: Bytes[] = [];
  let rest = pem.trim();
  while (rest.length > 0) {
    const stop = rest.indexOf(end);
    if (!rest.startsWith(begin) || stop < 0) {
      throw new TypeError(`Cannot decode PEM: expected "${begin}" and its end`);
    }
    const body = rest.slice(begin.length, stop).replace(/[\r\n \t]/g, "");
    const bytes = Buffer.from(body, "base64");
    if (bytes.length === 0 || bytes.toString("base64") !== body) {
      throw new TypeError(`Cannot decode PEM: the text after "${begin}" is not base64`);
    }
    found.push(new Uint8Array(bytes));
    rest = rest.slice(stop + end.length).trimStart();
  }
  if (found.length === 0) throw new TypeError(`Cannot decode PEM: there is no "${begin}"`);
  return found;
}
