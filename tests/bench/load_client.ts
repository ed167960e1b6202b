/**
 * Sends the same request again and again over several connections, as fast as the answers come. A
 * program of its own, so that it runs on the host from which the load is to come; a
 * {@linkcode LoadPlan} is in the file that its argument names, a {@linkcode LoadResult} its output.
 *
 * HTTP is written and read by hand: a client with a library of its own would take more of the
 * machine than the server that it measures.
 *
 * @module
 */
import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Duplex } from "node:stream";
import { percentile } from "./statistics.ts";

/** What is sent, where to, for how long. */
export interface LoadPlan {
  readonly server: UnixServer | TlsServer;
  readonly method: string;
  /** `{connection}` in it stands for the number of the connection. */
  readonly path: string;
  /** Absent: no body. */
  readonly body?: string;
  readonly connections: number;
  readonly seconds: number;
}

/** A unix socket. */
export interface UnixServer {
  readonly kind: "unix";
  readonly path: string;
}

/** The control port of a manager, with mutual TLS. */
export interface TlsServer {
  readonly kind: "tls";
  readonly host: string;
  readonly port: number;
  readonly servername: string;
  /** Connections take them in turn: a server may limit how many one of them has. */
  readonly identities: readonly TlsIdentity[];
  readonly ca: readonly string[];
}

/** A private key and its certificate, in PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
}

/** What came of it. */
export interface LoadResult {
  readonly requestsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** So many connections are opened at a time. */
const HANDSHAKES = 16;

const decoder = new TextDecoder();

/** A connection on which one request is under way at a time. */
class Client {
  readonly #socket: Duplex;
  readonly #request: Uint8Array;
  #received = "";
  #answered: PromiseWithResolvers<void> | null = null;

  private constructor(socket: Duplex, request: Uint8Array) {
    this.#socket = socket;
    this.#request = request;
    socket.on("data", (part: Uint8Array) => this.#take(decoder.decode(part)));
    const fail = (reason: unknown) =>
      this.#answered?.reject(reason instanceof Error ? reason : new Error("Connection closed"));
    socket.on("error", fail);
    socket.on("close", fail);
  }

  /** @param place among all connections of the plan */
  static async open(plan: LoadPlan, place: number): Promise<Client> {
    const { server, method, path, body } = plan;
    const target = path.replace("{connection}", `${place}`);
    const head = [`${method} ${target} HTTP/1.1`, "host: agent"];
    if (body !== undefined) {
      head.push("content-type: application/json", `content-length: ${body.length}`);
    }
    const request = new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${body ?? ""}`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let socket: Duplex;
    if (server.kind === "unix") socket = connectPlain({ path: server.path }, resolve);
    else {
      const { host, port, servername, identities, ca } = server;
      const identity = identities[place % identities.length];
      const options = { host, port, servername, ca: [...ca], minVersion: "TLSv1.3" as const };
      socket = connectTls({ ...options, ...identity }, resolve);
    }
    socket.once("error", reject);
    await promise;
    return new Client(socket, request);
  }

  /** Resolves when the answer is there. @throws {Error} when it is no success */
  exchange(): Promise<void> {
    this.#answered = Promise.withResolvers();
    this.#socket.write(this.#request);
    return this.#answered.promise;
  }

  close(): void {
    this.#answered = null;
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const isChunked = /\r\ntransfer-encoding: *chunked/i.test(head);
    // The API answers in ASCII, so its characters are its bytes.
    const whole = length === undefined
      ? isChunked && this.#received.endsWith("\r\n0\r\n\r\n")
      : this.#received.length >= headEnd + 4 + Number(length);
    if (!whole) {
      if (length === undefined && !isChunked) {
        this.#answered?.reject(new Error(`An answer of unknown length: ${head}`));
      }
      return;
    }
    if (/^HTTP\/1\.1 2/.test(head)) this.#answered?.resolve();
    else this.#answered?.reject(new Error(this.#received));
    this.#received = "";
  }
}

async function run(plan: LoadPlan): Promise<LoadResult> {
  const clients: Client[] = [];
  // A server bounds the handshakes that one address has under way.
  while (clients.length < plan.connections) {
    const count = Math.min(HANDSHAKES, plan.connections - clients.length);
    const places = Array.from({ length: count }, (_, place) => clients.length + place);
    clients.push(...await Promise.all(places.map((place) => Client.open(plan, place))));
  }
  const latenciesMs: number[] = [];
  const drive = async (client: Client, seconds: number, note: (ms: number) => void) => {
    const endMs = performance.now() + seconds * 1000;
    for (let startMs = performance.now(); startMs < endMs;) {
      await client.exchange();
      const nowMs = performance.now();
      note(nowMs - startMs);
      startMs = nowMs;
    }
  };
  const WARM_UP_SECONDS = 1;
  await Promise.all(clients.map((client) => drive(client, WARM_UP_SECONDS, () => {})));
  const startMs = performance.now();
  const note = (ms: number) => latenciesMs.push(ms);
  await Promise.all(clients.map((client) => drive(client, plan.seconds, note)));
  const seconds = (performance.now() - startMs) / 1000;
  for (const client of clients) client.close();
  return {
    requestsPerS: latenciesMs.length / seconds,
    p50Ms: percentile(latenciesMs, 50),
    p99Ms: percentile(latenciesMs, 99),
  };
}

if (import.meta.main) {
  const [file = ""] = Deno.args;
  console.log(JSON.stringify(await run(JSON.parse(Deno.readTextFileSync(file)))));
}
