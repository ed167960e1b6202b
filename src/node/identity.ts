import { createPrivateKey, X509Certificate } from "node:crypto";
import { decodeUtf8, encodeUtf8, type Id } from "../base/mod.ts";
import { certificateToPem, parseMemberUri, pemToCertificates } from "../ca/mod.ts";
import type { Bytes } from "../base/mod.ts";
import type { ManagerAddress } from "../state/mod.ts";
import type { TlsIdentity, Trust } from "../tls/mod.ts";
import { NodeError } from "./node_error.ts";
import type { NodeFiles } from "./ports.ts";

const NODE_FILE = "node.json";
const IDENTITY_FILE = "tls/identity.pem";
const ROOTS_FILE = "tls/roots.pem";
const PENDING_FILE = "tls/pending.json";

/** A life of the cluster: a restore from a backup, or a recovery, begins another one. */
export interface Incarnation {
  /** How many there were before it. */
  readonly generation: number;
  /** Drawn: two recoveries of the same cluster are told apart by it. */
  readonly id: Id;
}

/** What a node knows of itself without asking anybody. */
export interface NodeRecord {
  /** Version of the format. */
  readonly v: 1;
  /** The cluster. */
  readonly clusterId: Id;
  /** The node. */
  readonly nodeId: Id;
  /** What it may be. */
  readonly role: "manager" | "worker";
  /** `192.0.2.1:7443`. */
  readonly controlAddress: string;
  /** Underlay address of its VXLAN devices. */
  readonly vtepAddress: string;
  /** The managers it last heard of. */
  readonly managers: readonly ManagerAddress[];
  /** Of the newest projection that it has taken; absent: of none yet. */
  readonly incarnation?: Incarnation;
}

/** A new key and the request to certify it. */
export interface PendingKey {
  /** PKCS #8 in PEM. */
  readonly privateKey: string;
  /** PKCS #10 DER, base64url. */
  readonly csr: string;
}

/**
 * The node's record, key, certificate and roots on disk. Key and certificate are one file, so a
 * crash in the middle of a renewal leaves a pair that fits.
 */
export class IdentityStore {
  readonly #files: NodeFiles;

  /** Stands on the files of the state directory. */
  constructor(files: NodeFiles) {
    this.#files = files;
  }

  /** Whether this host is a member of a cluster. */
  exists(): boolean {
    return this.#files.read(NODE_FILE) !== null;
  }

  /**
   * The node's record.
   *
   * @throws {NodeError} when there is none, or it cannot be read
   */
  readRecord(): NodeRecord {
    const bytes = this.#files.read(NODE_FILE);
    if (bytes === null) {
      throw new NodeError(
        "not-a-member",
        "This host is not a member of a cluster: run `agent init` or `agent join` first",
      );
    }
    const record = parseJson(bytes);
    if (!isNodeRecord(record)) {
      throw new NodeError("damaged", `${NODE_FILE} is not one that this agent can read`);
    }
    return record;
  }

  /** Durable when it returns. */
  writeRecord(record: NodeRecord): void {
    this.#files.write(NODE_FILE, encodeUtf8(JSON.stringify(record, null, 2) + "\n"));
  }

  /**
   * What the node shows and believes.
   *
   * @throws {NodeError} when it is not there
   */
  readTls(): {
    readonly identity: TlsIdentity;
    readonly trust: Trust;
    readonly certificate: Bytes;
    /** What the certificate makes of this node. */
    readonly role: NodeRecord["role"];
  } {
    const pem = decodeUtf8(this.#need(IDENTITY_FILE));
    const keyEnd = pem.indexOf("-----BEGIN CERTIFICATE-----");
    const certificatePem = pem.slice(keyEnd);
    const [certificate] = keyEnd < 0 ? [] : pemToCertificates(certificatePem);
    if (certificate === undefined) {
      throw new NodeError("damaged", `${IDENTITY_FILE} holds no certificate`);
    }
    return {
      identity: { privateKeyPem: pem.slice(0, keyEnd), certificatePem },
      trust: {
        clusterId: this.readRecord().clusterId,
        roots: pemToCertificates(decodeUtf8(this.#need(ROOTS_FILE))),
      },
      certificate,
      role: roleOf(certificate),
    };
  }

  /**
   * Durable when it returns.
   *
   * @throws {NodeError} when the certificate is not for this key: then the old pair stays
   */
  writeTls(privateKeyPem: string, certificate: Bytes, roots: readonly Bytes[]): void {
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKeyPem))) {
      throw new NodeError("damaged", "The certificate that came is for another key");
    }
    this.#files.write(ROOTS_FILE, encodeUtf8(roots.map(certificateToPem).join("")));
    this.#files.write(IDENTITY_FILE, encodeUtf8(privateKeyPem + certificateToPem(certificate)));
    this.#files.remove(PENDING_FILE);
  }

  /**
   * The key for which a certificate was asked and has not come yet, if any. It is asked for again:
   * the leader knows the last two keys of a node, and a lost answer must not push out the one in
   * use.
   */
  readPending(): PendingKey | null {
    const bytes = this.#files.read(PENDING_FILE);
    const pending = bytes === null ? null : parseJson(bytes);
    return isPendingKey(pending) ? pending : null;
  }

  /** Durable when it returns. */
  writePending(pending: PendingKey): void {
    this.#files.write(PENDING_FILE, encodeUtf8(JSON.stringify(pending)));
  }

  /** Forgets the cluster; the record goes first, for it is what says that there is one. */
  clear(): void {
    for (const name of [NODE_FILE, IDENTITY_FILE, ROOTS_FILE, PENDING_FILE]) {
      this.#files.remove(name);
    }
  }

  #need(name: string): Bytes {
    const bytes = this.#files.read(name);
    if (bytes === null) {
      throw new NodeError("damaged", `${name} is missing from the state directory`);
    }
    return bytes;
  }
}

/** @throws {NodeError} when it is no node's certificate */
function roleOf(certificate: Bytes): NodeRecord["role"] {
  const names = new X509Certificate(certificate).subjectAltName?.split(", ") ?? [];
  const [uri] = names.filter((name) => name.startsWith("URI:"));
  const role = uri === undefined ? undefined : parseMemberUri(uri.slice("URI:".length))?.role;
  if (role === "manager" || role === "worker") return role;
  throw new NodeError("damaged", `The certificate in ${IDENTITY_FILE} is not a node's`);
}

/** Undefined when the bytes are no JSON. */
function parseJson(bytes: Bytes): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes));
  } catch {
    return undefined;
  }
}

function isPendingKey(value: unknown): value is PendingKey {
  return value !== null && typeof value === "object" && "privateKey" in value && "csr" in value &&
    typeof value.privateKey === "string" && typeof value.csr === "string";
}

function isNodeRecord(value: unknown): value is NodeRecord {
  if (value === null || typeof value !== "object") return false;
  const record = value as Partial<Record<keyof NodeRecord, unknown>>;
  return record.v === 1 && typeof record.clusterId === "string" &&
    typeof record.nodeId === "string" && (record.role === "manager" || record.role === "worker") &&
    typeof record.controlAddress === "string" && typeof record.vtepAddress === "string" &&
    Array.isArray(record.managers) &&
    (record.incarnation === undefined || isIncarnation(record.incarnation));
}

function isIncarnation(value: unknown): value is Incarnation {
  if (value === null || typeof value !== "object") return false;
  const { generation, id } = value as Partial<Record<keyof Incarnation, unknown>>;
  return Number.isSafeInteger(generation) && Number(generation) >= 0 && typeof id === "string";
}
