/**
 * What the tests of this folder stand on: a cluster with its members' certificates, forgeries of
 * them, and clients that do what no well-behaved one would.
 */
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  Extension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { Buffer } from "node:buffer";
import { createPrivateKey, sign } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import {
  type Bytes,
  type Clock,
  concatBytes,
  encodeHex,
  type Id,
  type Logger,
  newId,
  type Random,
  type Role,
} from "../base/mod.ts";
import {
  certificateToPem,
  checkCsr,
  createKeyAndCsr,
  createRoot,
  issue,
  managerServerName,
  type Root,
} from "../ca/mod.ts";
import { type Listener, type ListenerOptions, startListener, type TlsIdentity } from "./mod.ts";

export const random: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  below: (limit) => Math.floor(Math.random() * limit),
};

export const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** A clock whose monotonic time and timers go by hand. */
export function handClock(): { clock: Clock; timers: Set<() => void>; pass(ms: number): void } {
  let monotonicMs = 0;
  const timers = new Set<() => void>();
  return {
    timers,
    clock: {
      nowMs: () => Date.now(),
      monotonicMs: () => monotonicMs,
      schedule(_delayMs, callback) {
        timers.add(callback);
        return () => void timers.delete(callback);
      },
    },
    pass(ms) {
      monotonicMs += ms;
      for (const timer of [...timers]) {
        timers.delete(timer);
        timer();
      }
    },
  };
}

/** A logger that keeps its lines. */
export function keepingLogger(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const at = (level: string): Logger["info"] => (message, fields) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  };
  const logger: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    with: () => logger,
  };
  return { logger, lines };
}

/** A certificate with its key, as bytes and as what the two ends of a connection take. */
export interface Card {
  readonly id: Id;
  readonly certificate: Bytes;
  readonly identity: TlsIdentity;
}

export const DAY_MS = 24 * 3_600_000;

export class TestCluster {
  readonly clusterId: Id = newId(random);
  readonly rootSerial: Bytes = random.bytes(16);
  readonly root: Root;

  private constructor(clusterId: Id, serial: Bytes, root: Root) {
    this.clusterId = clusterId;
    this.rootSerial = serial;
    this.root = root;
  }

  static async create(): Promise<TestCluster> {
    const [clusterId, serial] = [newId(random), random.bytes(16)];
    const nowMs = Date.now() - 30 * DAY_MS;
    return new TestCluster(clusterId, serial, await createRoot({ clusterId, serial, nowMs }));
  }

  get trust(): { clusterId: Id; roots: Bytes[] } {
    return { clusterId: this.clusterId, roots: [this.root.certificate] };
  }

  /** A cluster with the same id and the same name of its root, but other keys. */
  async impostor(): Promise<TestCluster> {
    const { clusterId, rootSerial: serial } = this;
    const nowMs = Date.now() - 30 * DAY_MS;
    return new TestCluster(clusterId, serial, await createRoot({ clusterId, serial, nowMs }));
  }

  /** A member's certificate as the authority makes it; `nowMs` and lifetime may be odd. */
  async card(
    role: Role,
    options: { id?: Id; nowMs?: number; lifetimeMs?: number } = {},
  ): Promise<Card> {
    const { id = newId(random), nowMs = Date.now(), lifetimeMs = DAY_MS } = options;
    const { csr, privateKey } = createKeyAndCsr();
    const certificate = await issue({
      root: this.root.certificate,
      rootKey: this.root.privateKey,
      publicKey: checkCsr(csr).publicKey,
      clusterId: this.clusterId,
      serial: random.bytes(16),
      role,
      id,
      nowMs,
      lifetimeMs,
    });
    return cardOf(id, certificate, privateKey);
  }

  /** One that its holder signed, with a manager's names. */
  async selfSigned(id: Id = newId(random)): Promise<Card> {
    const keys = await p256();
    const written = await X509CertificateGenerator.createSelfSigned({
      name: `CN=manager ${id}`,
      keys,
      extensions: [new BasicConstraintsExtension(false, undefined, true), this.#names(id)],
    });
    return await cardOfKeys(id, new Uint8Array(written.rawData), keys);
  }

  /** Signed by somebody else, with an extended key usage that cannot be read. */
  async malformedUsage(
    id: Id = newId(random),
    usage = new Uint8Array([0x30, 0x03, 0x02, 0x01, 0x01]),
  ): Promise<Card> {
    const [keys, stranger] = [await p256(), await p256()];
    const written = await X509CertificateGenerator.create({
      issuer: new X509Certificate(this.root.certificate).subjectName,
      subject: `CN=manager ${id}`,
      publicKey: keys.publicKey,
      signingKey: stranger.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new Extension("2.5.29.37", false, usage),
        this.#names(id),
      ],
    });
    return await cardOfKeys(id, new Uint8Array(written.rawData), keys);
  }

  /** X.509 version 1, so without extensions, signed by somebody else. */
  async versionOne(id: Id = newId(random)): Promise<Card> {
    const [keys, stranger] = [await p256(), await p256()];
    const written = await X509CertificateGenerator.create({
      issuer: new X509Certificate(this.root.certificate).subjectName,
      subject: `CN=manager ${id}`,
      publicKey: keys.publicKey,
      signingKey: stranger.privateKey,
    });
    const signer = await crypto.subtle.exportKey("pkcs8", stranger.privateKey);
    const certificate = downgrade(new Uint8Array(written.rawData), new Uint8Array(signer));
    return await cardOfKeys(id, certificate, keys);
  }

  #names(id: Id): SubjectAlternativeNameExtension {
    return new SubjectAlternativeNameExtension([
      { type: "url", value: `agent://${this.clusterId}/manager/${id}` },
      { type: "dns", value: managerServerName(this.clusterId) },
    ]);
  }
}

function cardOf(id: Id, certificate: Bytes, privateKeyPem: string): Card {
  return {
    id,
    certificate,
    identity: { privateKeyPem, certificatePem: certificateToPem(certificate) },
  };
}

async function cardOfKeys(id: Id, certificate: Bytes, keys: CryptoKeyPair): Promise<Card> {
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const base64 = btoa(String.fromCharCode(...der));
  const pem = `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
  return cardOf(id, certificate, pem);
}

function p256(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
}

/** Takes version and extensions ([0] and [3] of RFC 5280's TBSCertificate) out, and signs again. */
function downgrade(certificate: Bytes, signerPkcs8: Bytes): Bytes {
  const [outer] = tlvs(certificate);
  const [tbs, algorithm] = tlvs(outer?.content ?? new Uint8Array());
  const kept = tlvs(tbs?.content ?? new Uint8Array()).filter(({ tag }) =>
    tag !== 0xa0 && tag !== 0xa3
  );
  const newTbs = tlv(0x30, ...kept.map(({ whole }) => whole));
  const key = createPrivateKey({ key: Buffer.from(signerPkcs8), format: "der", type: "pkcs8" });
  const signature = new Uint8Array(sign("sha256", newTbs, key));
  const bits = tlv(0x03, new Uint8Array([0]), signature);
  return tlv(0x30, newTbs, algorithm?.whole ?? new Uint8Array(), bits);
}

interface Tlv {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

function tlvs(bytes: Uint8Array): Tlv[] {
  const found: Tlv[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const first = bytes[offset + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const start = offset + 2 + lengthBytes;
    const length = lengthBytes === 0
      ? first
      : Number.parseInt(encodeHex(bytes.subarray(offset + 2, start)), 16);
    const whole = bytes.subarray(offset, start + length);
    found.push({ tag: bytes[offset] ?? 0, content: bytes.subarray(start, start + length), whole });
    offset = start + length;
  }
  return found;
}

function tlv(tag: number, ...parts: Uint8Array[]): Bytes {
  const content = concatBytes(...parts);
  const { length } = content;
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  return concatBytes(new Uint8Array(header), content);
}

/** A listener on the loopback that lets in whoever verifies; options may say otherwise. */
export function listen(
  cluster: TestCluster,
  identity: TlsIdentity,
  options: Partial<ListenerOptions> = {},
): Promise<Listener> {
  return startListener({
    host: "127.0.0.1",
    port: 0,
    identity,
    trust: cluster.trust,
    clock,
    logger: keepingLogger().logger,
    authorize: (peer) => peer.identity !== null ? "member" : "stranger",
    handle: () => new Response("hello"),
    ...options,
  });
}

/** A client that believes anything and sends exactly what it is told. */
export class RawClient {
  readonly socket: TLSSocket;
  #received = "";
  readonly #closed: Promise<void>;
  readonly #connected: Promise<boolean>;

  constructor(listener: Listener, identity?: TlsIdentity, localAddress?: string) {
    this.socket = connect({
      host: "127.0.0.1",
      port: listener.port,
      rejectUnauthorized: false,
      ...(localAddress && { localAddress }),
      ...(identity && { key: identity.privateKeyPem, cert: identity.certificatePem }),
    });
    this.socket.on("data", (part: Uint8Array) => this.#received += new TextDecoder().decode(part));
    this.socket.on("error", () => {});
    this.#closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
    this.#connected = new Promise((resolve) => {
      this.socket.once("secureConnect", () => resolve(true));
      this.socket.once("close", () => resolve(false));
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Whether the handshake came to an end that lets data flow. */
  connected(): Promise<boolean> {
    return this.#connected;
  }

  /** What has been received, as soon as it contains `text` or the server has ended it. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text) && !this.socket.destroyed) {
      await Promise.race([
        new Promise<void>((resolve) => this.socket.once("data", () => resolve())),
        this.#closed,
      ]);
    }
    return this.#received;
  }

  /** All that was received when the server has ended the connection. */
  async rest(): Promise<string> {
    await this.#closed;
    return this.#received;
  }

  close(): Promise<void> {
    this.socket.destroy();
    return this.#closed;
  }
}

export const GET = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

/** Resolves when `condition` holds; the test's own time limit is the only one. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
