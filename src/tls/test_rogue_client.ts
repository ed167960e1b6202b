/**
 * A TLS 1.3 client (RFC 8446) that signs with whatever key it is given, whether or not that is the
 * key of the certificate it shows. Every library refuses to do this, and so nothing else can show
 * that the listener's side really checks.
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
} from "node:crypto";
import { connect, type Socket } from "node:net";

/** What the rogue shows, and with what it signs. */
export interface RogueCard {
  readonly certificate: Uint8Array;
  readonly privateKeyPem: string;
}

/** DER before the 32 bytes of an X25519 public key (RFC 8410). */
const X25519_SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");
const [HANDSHAKE, APPLICATION_DATA] = [22, 23];
const [SERVER_HELLO, NEW_SESSION_TICKET, CERTIFICATE_REQUEST, FINISHED] = [2, 4, 13, 20];

/** Sends one HTTP request as the holder of `card`; gives all that comes back. */
export async function askAsRogue(port: number, card: RogueCard, request: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  try {
    return await new Rogue(socket, card).run(request);
  } catch (error) {
    if (error instanceof EndedError) return "";
    throw error;
  } finally {
    socket.destroy();
  }
}

interface TlsRecord {
  readonly type: number;
  readonly header: Buffer;
  readonly body: Buffer;
}

class EndedError extends Error {}

class Rogue {
  readonly #socket: Socket;
  readonly #card: RogueCard;
  readonly #records: AsyncGenerator<TlsRecord>;
  readonly #transcript = createHash("sha256");

  constructor(socket: Socket, card: RogueCard) {
    this.#socket = socket;
    this.#card = card;
    this.#records = recordsOf(socket);
  }

  async run(request: string): Promise<string> {
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    const ours = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    this.#sendPlain(clientHello(ours));
    const theirs = keyShareOf(await this.#plainServerHello());
    const shared = diffieHellman({
      privateKey,
      publicKey: createPublicKey({
        key: Buffer.concat([X25519_SPKI_PREFIX, theirs]),
        format: "der",
        type: "spki",
      }),
    });
    // RFC 8446 section 7.1.
    const early = extract(Buffer.alloc(32), Buffer.alloc(32));
    const handshake = extract(expand(early, "derived", hash(Buffer.alloc(0))), shared);
    const clientSecret = expand(handshake, "c hs traffic", this.#transcriptHash());
    const reading = new Cipher(expand(handshake, "s hs traffic", this.#transcriptHash()));
    await this.#serverFlight(reading);
    const master = extract(expand(handshake, "derived", hash(Buffer.alloc(0))), Buffer.alloc(32));
    const writingData = new Cipher(expand(master, "c ap traffic", this.#transcriptHash()));
    const readingData = new Cipher(expand(master, "s ap traffic", this.#transcriptHash()));
    this.#clientFlight(clientSecret);
    this.#socket.write(writingData.seal(APPLICATION_DATA, Buffer.from(request)));
    let received = "";
    while (true) {
      const record = await this.#next();
      if (record === null) return received;
      const { type, header, body } = record;
      if (type !== APPLICATION_DATA) continue;
      const inner = readingData.open(header, body);
      if (inner.type === APPLICATION_DATA) received += inner.content.toString();
      else if (inner.type === HANDSHAKE && inner.content[0] === NEW_SESSION_TICKET) continue;
      else return received;
    }
  }

  /** Not by `for await`: leaving that loop would end the generator. */
  async #next(): Promise<TlsRecord | null> {
    const { value, done } = await this.#records.next();
    return done === true ? null : value;
  }

  #transcriptHash(): Buffer {
    return this.#transcript.copy().digest();
  }

  #sendPlain(message: Buffer): void {
    this.#transcript.update(message);
    this.#socket.write(
      Buffer.concat([Buffer.from([HANDSHAKE, 3, 1]), u16(message.length), message]),
    );
  }

  async #plainServerHello(): Promise<Buffer> {
    const record = await this.#next();
    if (record?.type !== HANDSHAKE || record.body[0] !== SERVER_HELLO) throw new EndedError();
    this.#transcript.update(record.body);
    return record.body;
  }

  /** Believes all that the server says, up to its Finished. */
  async #serverFlight(cipher: Cipher): Promise<void> {
    let pending = Buffer.alloc(0);
    let wasAsked = false;
    while (true) {
      const record = await this.#next();
      if (record === null) throw new EndedError();
      const { type, header, body } = record;
      if (type !== APPLICATION_DATA) continue;
      pending = Buffer.concat([pending, cipher.open(header, body).content]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readUIntBE(1, 3)) {
        const message = pending.subarray(0, 4 + pending.readUIntBE(1, 3));
        pending = pending.subarray(message.length);
        this.#transcript.update(message);
        wasAsked ||= message[0] === CERTIFICATE_REQUEST;
        if (message[0] !== FINISHED) continue;
        if (!wasAsked) throw new Error("The server did not ask for a certificate");
        return;
      }
    }
  }

  /** Certificate, CertificateVerify, Finished (RFC 8446 section 4.4). */
  #clientFlight(secret: Buffer): void {
    const cipher = new Cipher(secret);
    const send = (type: number, content: Buffer) => {
      const message = Buffer.concat([Buffer.from([type]), u24(content.length), content]);
      this.#transcript.update(message);
      this.#socket.write(cipher.seal(HANDSHAKE, message));
    };
    const { certificate, privateKeyPem } = this.#card;
    const entry = Buffer.concat([u24(certificate.length), certificate, u16(0)]);
    send(11, Buffer.concat([Buffer.from([0]), u24(entry.length), entry]));
    const signed = Buffer.concat([
      Buffer.alloc(64, 0x20),
      Buffer.from("TLS 1.3, client CertificateVerify\0"),
      this.#transcriptHash(),
    ]);
    const signature = sign("sha256", signed, createPrivateKey(privateKeyPem));
    send(15, Buffer.concat([u16(0x0403), u16(signature.length), signature]));
    const key = expand(secret, "finished", Buffer.alloc(0));
    send(FINISHED, createHmac("sha256", key).update(this.#transcriptHash()).digest());
  }
}

/** AES-128-GCM over records (RFC 8446 section 5). */
class Cipher {
  readonly #key: Buffer;
  readonly #iv: Buffer;
  #sequence = 0;

  constructor(secret: Buffer) {
    this.#key = expand(secret, "key", Buffer.alloc(0), 16);
    this.#iv = expand(secret, "iv", Buffer.alloc(0), 12);
  }

  seal(type: number, content: Buffer): Buffer {
    const header = Buffer.concat([Buffer.from([APPLICATION_DATA, 3, 3]), u16(content.length + 17)]);
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#nonce()).setAAD(header);
    const sealed = cipher.update(Buffer.concat([content, Buffer.from([type])]));
    return Buffer.concat([header, sealed, cipher.final(), cipher.getAuthTag()]);
  }

  open(header: Buffer, body: Buffer): { type: number; content: Buffer } {
    const cipher = createDecipheriv("aes-128-gcm", this.#key, this.#nonce()).setAAD(header);
    cipher.setAuthTag(body.subarray(-16));
    const inner = Buffer.concat([cipher.update(body.subarray(0, -16)), cipher.final()]);
    let end = inner.length - 1;
    while (inner[end] === 0) end--;
    return { type: inner[end] ?? 0, content: inner.subarray(0, end) };
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence++) >>> 0, 8);
    return nonce;
  }
}

async function* recordsOf(
  socket: Socket,
): AsyncGenerator<TlsRecord> {
  let pending = Buffer.alloc(0);
  try {
    for await (const part of socket) {
      pending = Buffer.concat([pending, part]);
      while (pending.length >= 5 && pending.length >= 5 + pending.readUInt16BE(3)) {
        const end = 5 + pending.readUInt16BE(3);
        const record = pending.subarray(0, end);
        pending = pending.subarray(end);
        yield { type: record[0] ?? 0, header: record.subarray(0, 5), body: record.subarray(5) };
      }
    }
  } catch {
    // A connection that was reset has ended.
  }
}

function clientHello(keyShare: Buffer): Buffer {
  const extension = (type: number, content: Buffer) =>
    Buffer.concat([u16(type), u16(content.length), content]);
  const extensions = Buffer.concat([
    extension(0x2b, Buffer.from([2, 3, 4])),
    extension(0x0a, Buffer.from([0, 2, 0, 0x1d])),
    extension(0x0d, Buffer.from([0, 4, 4, 3, 8, 4])),
    extension(0x33, Buffer.concat([u16(36), u16(0x1d), u16(32), keyShare])),
  ]);
  const body = Buffer.concat([
    u16(0x0303),
    randomBytes(32),
    Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0]),
    u16(extensions.length),
    extensions,
  ]);
  return Buffer.concat([Buffer.from([1]), u24(body.length), body]);
}

function keyShareOf(serverHello: Buffer): Buffer {
  let offset = 4 + 2 + 32;
  offset += 1 + (serverHello[offset] ?? 0) + 2 + 1 + 2;
  while (offset < serverHello.length) {
    const [type, length] = [serverHello.readUInt16BE(offset), serverHello.readUInt16BE(offset + 2)];
    if (type === 0x33) return serverHello.subarray(offset + 8, offset + 4 + length);
    offset += 4 + length;
  }
  throw new Error("The server sent no key share");
}

function hash(data: Buffer): Buffer {
  return createHash("sha256").update(data).digest();
}

function extract(salt: Buffer, key: Buffer): Buffer {
  return createHmac("sha256", salt).update(key).digest();
}

/** HKDF-Expand-Label; one block is enough for up to 32 bytes. */
function expand(secret: Buffer, label: string, context: Buffer, length = 32): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([
    u16(length),
    Buffer.from([name.length]),
    name,
    Buffer.from([context.length]),
    context,
    Buffer.from([1]),
  ]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function u24(value: number): Buffer {
  return Buffer.from([value >> 16, (value >> 8) & 0xff, value & 0xff]);
}
