/**
 * One manager as a process of its own, to be killed and stopped. It is told on standard input what
 * to do, one JSON line each, and answers on standard output.
 */
import { decodeBase64url, decodeUtf8, encodeUtf8, type Id } from "../base/mod.ts";
import { createManagerStreams, Dialer, startListener, type TlsIdentity } from "../tls/mod.ts";
import { openStore, type Timing } from "./mod.ts";
import { clock, keepingLogger } from "./testing_managers.ts";
import { random, Recorder } from "./testing_store.ts";

/** What the process begins with. */
export interface ChildOptions {
  readonly id: Id;
  readonly directory: string;
  readonly identity: TlsIdentity;
  readonly clusterId: Id;
  /** base64url */
  readonly root: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly timing: Timing;
  readonly snapshotEvery: number;
  /** Whether entries are kept in the state, or only counted. */
  readonly record: boolean;
}

/** What it is told. */
export type ChildCommand =
  | { readonly op: "ports"; readonly ports: Readonly<Record<Id, number>> }
  | { readonly op: "propose"; readonly text: string }
  | { readonly op: "read" | "status" | "entries" | "close" }
  | { readonly op: "addLearner" | "promote" | "remove" | "pending"; readonly id: Id }
  | {
    readonly op: "load";
    readonly proposers: number;
    readonly ms: number;
    readonly bytes: number;
    readonly kind: "write" | "read";
  };

/** What a load of requests came to. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function main(options: ChildOptions): Promise<void> {
  const { id, directory, identity, clusterId, timing, snapshotEvery } = options;
  const trust = { clusterId, roots: [decodeBase64url(options.root)] };
  const logger = keepingLogger([]);
  const ports = new Map<Id, number>();
  const addressOf = (of: Id) => {
    const port = ports.get(of);
    return port === undefined ? null : `127.0.0.1:${port}`;
  };
  const dialer = new Dialer({ identity, trust, clock });
  const streams = await createManagerStreams({
    selfId: id,
    dialer,
    clock,
    random,
    logger,
    addressOf,
    ownAddress: () => null,
  });
  const listener = await startListener({
    host: "127.0.0.1",
    port: options.port,
    identity,
    trust,
    clock,
    logger,
    authorize: (peer) => peer.identity === null ? "refused" : "member",
    handle: () => new Response(null, { status: 404 }),
    upgrade: streams.upgrade,
  });
  const machine = options.record ? new Recorder() : new Counter();
  const store = openStore<number>({
    directory,
    machine,
    memberId: id,
    random,
    clock,
    transport: streams,
    logger,
    timing,
    snapshotEvery,
    addressOf,
    onFailure: (error) => {
      console.error(error.message);
      Deno.exit(3);
    },
  });
  say({ ready: listener.port });

  const load = async ({ proposers, ms, bytes, kind }: ChildCommand & { op: "load" }) => {
    const latenciesMs: number[] = [];
    const text = "x".repeat(bytes);
    const begunMs = performance.now();
    const worker = async () => {
      while (performance.now() - begunMs < ms) {
        const askedMs = performance.now();
        await (kind === "write" ? store.propose(encodeUtf8(text)) : store.read());
        latenciesMs.push(performance.now() - askedMs);
      }
    };
    await Promise.all(Array.from({ length: proposers }, worker));
    latenciesMs.sort((left, right) => left - right);
    const at = (share: number) => latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? 0;
    return {
      perSecond: latenciesMs.length / ((performance.now() - begunMs) / 1000),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    } satisfies LoadResult;
  };
  const perform = async (command: ChildCommand): Promise<unknown> => {
    switch (command.op) {
      case "ports":
        for (const [of, port] of Object.entries(command.ports)) ports.set(of, port);
        return null;
      case "propose":
        return await store.propose(encodeUtf8(command.text));
      case "read":
        return await store.read();
      case "status":
        return { ...store.status(), leads: store.isLeader };
      case "entries":
        return machine.entries;
      case "pending":
        return streams.stats(command.id)?.log ?? null;
      case "addLearner":
      case "promote":
      case "remove":
        return await store[command.op](command.id);
      case "load":
        return await load(command);
      case "close":
        await store.close();
        streams.close();
        await listener.close();
        dialer.closeAll();
        return null;
    }
  };
  for await (const line of lines(Deno.stdin.readable)) {
    const { number, command } = JSON.parse(line) as { number: number; command: ChildCommand };
    perform(command).then(
      (value) => say({ number, value: value ?? null }),
      (error: Error) => say({ number, error: error.name, message: error.message }),
    ).finally(() => command.op === "close" && Deno.exit(0));
  }
  Deno.exit(0);
}

/** A machine whose state is a number: what the store itself costs is measured with it. */
class Counter extends Recorder {
  #count = 0;

  override apply(): number {
    return ++this.#count;
  }

  override encodeSnapshot(): Uint8Array<ArrayBuffer> {
    return encodeUtf8(String(this.#count));
  }

  override restoreSnapshot(snapshot: Uint8Array): void {
    this.#count = Number(decodeUtf8(snapshot));
  }
}

/** Whole, so that the reader never sees half a line of a killed process as a line. */
function say(value: unknown): void {
  const bytes = encodeUtf8(`${JSON.stringify(value)}\n`);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}

/** The lines of a stream of UTF-8; what is after the last line's end is none. */
export async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

if (import.meta.main) await main(JSON.parse(Deno.readTextFileSync(Deno.args[0] ?? "")));
