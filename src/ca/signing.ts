import type { Name, X509Certificate } from "@peculiar/x509";
import type { Bytes, Id } from "../base/mod.ts";
import type { X509Library } from "./library.ts";

/** The one key type and signature here, as WebCrypto names them. */
export const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
/** As {@linkcode P256}, for signing. */
export const P256_SHA256 = { ...P256, hash: "SHA-256" } as const;

/** A new key pair whose private half can be written down. */
export async function generateKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(P256, true, ["sign", "verify"]);
}

/** PKCS #8 DER of a private key. */
export async function exportPrivateKey(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
}

/** `O=<cluster>, CN=<common name>`. Values are UTF-8, also where the library would choose otherwise. */
export function nameOf(x509: X509Library, clusterId: Id, commonName: string): Name {
  return new x509.Name([{ O: [{ utf8String: clusterId }] }, { CN: [{ utf8String: commonName }] }]);
}

/** DER of a certificate that the library made. */
export function derOf(certificate: X509Certificate): Bytes {
  return new Uint8Array(certificate.rawData);
}
