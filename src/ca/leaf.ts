import { encodeHex, type Id } from "../base/mod.ts";
import type { Certificate } from "./certificate.ts";
import { DerError, DerReader, TAG } from "./der.ts";
import { PeerRejectedError } from "./errors.ts";
import { managerServerName, type Member, parseMemberUri } from "./identity.ts";
import { extendedKeyUsageOf, EXTENSION, VALUE } from "./profile.ts";

/** What is looked at below; the key identifiers are passed over, and so must not be critical. */
const LEAF_EXTENSIONS: ReadonlySet<string> = new Set([
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectAltName,
]);

/**
 * The member that a certificate names, when its profile is that of the member's role, and nothing
 * in it goes beyond.
 *
 * @throws {PeerRejectedError} when it is not
 */
export function memberOf(leaf: Certificate, clusterId: Id): Member {
  for (const [id, { kind }] of leaf.extensions) {
    if (kind === "critical" && !LEAF_EXTENSIONS.has(id)) {
      throw new PeerRejectedError("bad-extension", `Critical extension ${id} is unknown here`);
    }
  }
  checkNoAuthority(leaf);
  const names = readNames(leaf);
  const [uri, ...more] = names.uris;
  const member = uri === undefined || more.length > 0 ? null : parseMemberUri(uri);
  if (member === null) {
    throw new PeerRejectedError(
      "bad-identity",
      `The certificate has ${names.uris.length} URIs, not one that names a member`,
    );
  }
  if (member.clusterId !== clusterId) {
    throw new PeerRejectedError("wrong-cluster", "The certificate is of another cluster's member");
  }
  const servers = member.role === "manager" ? managerServerName(clusterId) : "";
  if (names.dnsNames.join(" ") !== servers) {
    throw new PeerRejectedError(
      "bad-identity",
      `The certificate's DNS names are not those of a ${member.role}`,
    );
  }
  if (readUsages(leaf).join(" ") !== extendedKeyUsageOf(member.role).join(" ")) {
    throw new PeerRejectedError(
      "wrong-usage",
      `The certificate's extended key usage is not that of a ${member.role}`,
    );
  }
  return member;
}

function checkNoAuthority(leaf: Certificate): void {
  const constraints = leaf.extensions.get(EXTENSION.basicConstraints);
  if (constraints === undefined) {
    throw new PeerRejectedError("bad-extension", "The certificate has no basic constraints");
  }
  const value = encodeHex(constraints.value);
  if (value !== VALUE.notCa) {
    // SEQUENCE { BOOLEAN TRUE …: RFC 5280 section 4.2.1.9.
    if (/^30..0101ff/.test(value)) {
      throw new PeerRejectedError("is-ca", "The certificate is an authority's, not a member's");
    }
    throw new PeerRejectedError("bad-extension", "The basic constraints are malformed");
  }
  const usage = leaf.extensions.get(EXTENSION.keyUsage);
  if (usage === undefined || encodeHex(usage.value) !== VALUE.leafKeyUsage) {
    throw new PeerRejectedError("wrong-usage", "The key usage is not digital signature alone");
  }
}

/** Content of each KeyPurposeId, hexadecimal. */
function readUsages(leaf: Certificate): readonly string[] {
  const usage = leaf.extensions.get(EXTENSION.extendedKeyUsage);
  if (usage === undefined) {
    throw new PeerRejectedError("wrong-usage", "The certificate has no extended key usage");
  }
  return parsed("wrong-usage", "The extended key usage is malformed", () => {
    const purposes: string[] = [];
    const list = only(usage.value);
    while (list.more) purposes.push(list.oid());
    return purposes;
  });
}

interface Names {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

/** The GeneralNames: URIs, DNS names and IP addresses, of which the last say nothing here. */
function readNames(leaf: Certificate): Names {
  const extension = leaf.extensions.get(EXTENSION.subjectAltName);
  if (extension === undefined) {
    throw new PeerRejectedError("bad-identity", "The certificate has no alternative name");
  }
  return parsed("bad-identity", "The alternative names are malformed", () => {
    const uris: string[] = [];
    const dnsNames: string[] = [];
    const list = only(extension.value);
    while (list.more) {
      const tag = list.peek();
      if (tag === TAG.uri) uris.push(ascii(list.content(tag)));
      else if (tag === TAG.dnsName) dnsNames.push(ascii(list.content(tag)));
      else checkIpAddress(list.content(TAG.ipAddress));
    }
    return { uris, dnsNames };
  });
}

/** A reader over the one SEQUENCE that `value` is. */
function only(value: Uint8Array): DerReader {
  const reader = new DerReader(value);
  const list = reader.enter(TAG.sequence);
  reader.end();
  return list;
}

/** An IA5String without control characters and spaces, so that lists of names can be joined by one. */
function ascii(content: Uint8Array): string {
  const text = String.fromCharCode(...content);
  if (!/^[!-~]+$/.test(text)) throw new DerError("A name is not printable ASCII");
  return text;
}

function checkIpAddress(content: Uint8Array): void {
  if (content.length !== 4 && content.length !== 16) {
    throw new DerError("An IP address has not 4 or 16 bytes");
  }
}

function parsed<T>(code: "wrong-usage" | "bad-identity", message: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw new PeerRejectedError(code, `${message}: ${cause.message}`, { cause });
  }
}
