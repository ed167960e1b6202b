/**
 * Every key that the kernels of a test's hosts ever have, and how far its sequence number was: GCM's
 * nonce is that number, so a key that begins anew gives its traffic away, and its receiver takes
 * recorded packets again.
 *
 * @module
 */
import { createHash } from "node:crypto";
import assert from "node:assert/strict";
import { decodeMessages } from "../../src/netlink/mod.ts";
import { openNamespace, openNetlinkSocket } from "../../src/sys/mod.ts";
import type { TestHost, TestProcess } from "../lab/hosts.ts";
import { pause, waitFor } from "./wait.ts";

/** An SA as a host's kernel has it, its key included. */
export interface KeyedSa {
  readonly from: string;
  readonly to: string;
  readonly spi: number;
  /** 32 bytes of key and 4 of salt, in hex. */
  readonly key: string;
  /** Of the last packet that was sent, or the highest that was received. */
  readonly sequence: bigint;
  /** Whether that number is kept in 64 bits. */
  readonly esn: boolean;
}

const SAMPLE_MS = 500;
const XFRM_MSG_NEWSA = 16;
const XFRM_MSG_GETSA = 18;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_DONE = 3;
/** struct xfrm_usersa_info: selector 56, then daddr 16, spi 4, proto 4, saddr 16, and more. */
const SA_BYTES = 224;
const AF_INET = 2;
const XFRMA_ALG_AEAD = 18;
const XFRMA_REPLAY_ESN_VAL = 23;

/**
 * Reads the SAs of a namespace with their keys. Not with the product's decoder, which rightly has no way
 * to give a key out.
 */
export function readKeyedSas(netns: string): KeyedSa[] {
  using namespace = openNamespace(netns);
  const socket = openNetlinkSocket({ family: "xfrm", namespace });
  try {
    const request = new Uint8Array(16);
    const view = new DataView(request.buffer);
    view.setUint32(0, request.length, true);
    view.setUint16(4, XFRM_MSG_GETSA, true);
    view.setUint16(6, NLM_F_REQUEST_DUMP, true);
    view.setUint32(8, 1, true);
    socket.send(request);
    const sas: KeyedSa[] = [];
    for (;;) {
      const datagram = socket.receive();
      assert(datagram !== null, "a dump is answered to its end");
      for (const { type, payload } of decodeMessages(datagram)) {
        if (type === NLMSG_DONE) return sas;
        const sa = type === XFRM_MSG_NEWSA ? readSa(payload) : null;
        if (sa !== null) sas.push(sa);
      }
    }
  } finally {
    socket.close();
  }
}

/** Null for one without a key: an SA that an ACQUIRE has made is only a place for one. */
function readSa(payload: Uint8Array): KeyedSa | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const family = view.getUint16(212, true);
  const address = (at: number) =>
    family === AF_INET
      ? payload.subarray(at, at + 4).join(".")
      : toHex(payload.subarray(at, at + 16));
  let key: string | null = null;
  let sequence: bigint | null = null;
  for (let at = SA_BYTES; at + 4 <= payload.length;) {
    const length = view.getUint16(at, true);
    if (length < 4) break;
    const type = view.getUint16(at + 2, true) & 0x3fff;
    // struct xfrm_algo_aead: name 64, key bits 4, ICV bits 4, key.
    if (type === XFRMA_ALG_AEAD) {
      const bytes = view.getUint32(at + 4 + 64, true) / 8;
      key = toHex(payload.subarray(at + 4 + 72, at + 4 + 72 + bytes));
    }
    // struct xfrm_replay_state_esn: bmp_len, oseq, seq, oseq_hi, seq_hi, window.
    if (type === XFRMA_REPLAY_ESN_VAL) {
      const wide = (low: number, high: number) =>
        (BigInt(view.getUint32(at + 4 + high, true)) << 32n) |
        BigInt(view.getUint32(at + 4 + low, true));
      const [sent, received] = [wide(4, 12), wide(8, 16)];
      sequence = sent > received ? sent : received;
    }
    at += (length + 3) & ~3;
  }
  if (key === null) return null;
  const id = { from: address(80), to: address(56), spi: view.getUint32(72) };
  return { ...id, key, sequence: sequence ?? 0n, esn: sequence !== null };
}

/** What the ledger knows of a key on one host. */
interface Entry {
  readonly what: string;
  sequence: bigint;
  /** How often the monitor has seen it come. */
  installs: number;
}

let monitors = 0;

/**
 * Watches hosts from {@linkcode KeyLedger.watch} on: by `ip xfrm monitor`, which misses nothing, and
 * which the kernel counts as a listener for ACQUIRE; and by looking every half second.
 */
export class KeyLedger {
  readonly #hosts = new Map<string, { readonly host: TestHost; readonly file: string }>();
  readonly #monitors: TestProcess[] = [];
  /** By host and key. */
  readonly #entries = new Map<string, Entry>();
  /** Which SA a key is for, wherever it is. */
  readonly #meanings = new Map<string, string>();
  readonly #faults = new Set<string>();
  readonly #sampling: Promise<void>;
  #goesOn = true;
  #samples = 0;

  constructor() {
    this.#sampling = this.#sampleOften();
  }

  /** Resolves when the host's kernel tells all that it does from now on. */
  async watch(host: TestHost): Promise<void> {
    const file = `/run/xfrm-monitor-${monitors++}`;
    // All but `aevent`, of which there is one for each packet once replay states were set by hand.
    const process = host.spawn([
      "sh",
      "-c",
      `exec stdbuf -oL ip xfrm monitor acquire expire SA policy >${file} 2>&1`,
    ], {
      output: "null",
    });
    this.#monitors.push(process);
    this.#hosts.set(host.name, { host, file });
    // A policy that concerns nobody shows that it hears.
    const sign = "src 127.9.9.9/32 dst 127.9.9.9/32 dir fwd";
    await waitFor(`ip xfrm monitor on ${host.name}`, async () => {
      await host.exec(
        "sh",
        "-c",
        `ip xfrm policy add ${sign} action allow; ip xfrm policy delete ${sign}`,
      );
      return this.#heard(host.name).includes("127.9.9.9");
    });
    this.sample();
  }

  /** Looks at all hosts now: before and after what may replace SAs. */
  sample(): void {
    for (const [name, { host }] of this.#hosts) {
      for (const sa of readKeyedSas(host.netns)) this.#enter(name, sa);
    }
    this.#samples++;
  }

  /** Looks no more at a host: what is done there from now on is an attacker's doing. */
  forget(host: TestHost): void {
    this.#hosts.delete(host.name);
  }

  /** Keys that a host has had, in hex. */
  keysOf(host: TestHost): string[] {
    this.sample();
    this.#readMonitors();
    const prefix = `${host.name} `;
    return [...this.#entries.keys()].filter((name) => name.startsWith(prefix)).map((name) =>
      name.slice(prefix.length)
    );
  }

  /** How many times an SA was asked for by the kernel of a host because there was none. */
  acquires(host: TestHost): number {
    return this.#heard(host.name).split("\n").filter((line) => line.startsWith("acquire")).length;
  }

  /** Asserts that the monitors still run and that every key was used once; how many there were. */
  check(): number {
    this.sample();
    this.#readMonitors();
    assert.deepEqual([...this.#faults], []);
    return this.#meanings.size;
  }

  /** As {@linkcode KeyLedger.check}, and ends. */
  async close(): Promise<number> {
    this.#goesOn = false;
    await this.#sampling;
    try {
      for (const monitor of this.#monitors) await monitor.pid();
      return this.check();
    } finally {
      for (const monitor of this.#monitors) await monitor.kill().catch(() => {});
      await Promise.all(this.#monitors.map(({ status }) => status));
    }
  }

  async #sampleOften(): Promise<void> {
    while (this.#goesOn) {
      try {
        this.sample();
      } catch (error) {
        // The test that uses it may be at its end already; if not, this will be told.
        this.#faults.add(`the hosts cannot be looked at: ${error}`);
        return;
      }
      await pause(SAMPLE_MS);
    }
  }

  #enter(host: string, sa: KeyedSa): void {
    const what = `${sa.from} > ${sa.to} SPI ${sa.spi.toString(16)}`;
    this.#mean(sa.key, what);
    const entry = this.#entries.get(`${host} ${sa.key}`) ??
      { what, sequence: sa.sequence, installs: 0 };
    this.#entries.set(`${host} ${sa.key}`, entry);
    if (sa.sequence < entry.sequence) {
      this.#fault(host, sa.key, `${what} went back from ${entry.sequence} to ${sa.sequence}`);
    }
    entry.sequence = sa.sequence;
  }

  #mean(key: string, what: string): void {
    const before = this.#meanings.get(key);
    this.#meanings.set(key, what);
    if (before !== undefined && before !== what) {
      this.#faults.add(`the key ${nameOf(key)} is of ${before} and of ${what}`);
    }
  }

  #fault(host: string, key: string, what: string): void {
    this.#faults.add(`${host}, key ${nameOf(key)}: ${what}`);
  }

  #heard(name: string): string {
    const { host, file } = this.#hosts.get(name) ?? assert.fail(`${name} is not watched`);
    try {
      return Deno.readTextFileSync(host.path(file));
    } catch {
      return "";
    }
  }

  /** Counts from the beginning each time: an SA's lines may have been half written before. */
  #readMonitors(): void {
    for (const entry of this.#entries.values()) entry.installs = 0;
    for (const name of this.#hosts.keys()) {
      const heard = this.#heard(name);
      if (/receive error|terminated/.test(heard)) {
        this.#faults.add(`${name}: the monitor has missed`);
      }
      for (const { change, what, key } of parseMonitor(heard)) {
        if (change === "Deleted" || change === "Expired") continue;
        this.#mean(key, what);
        const entry = this.#entries.get(`${name} ${key}`) ?? { what, sequence: 0n, installs: 0 };
        this.#entries.set(`${name} ${key}`, entry);
        if (++entry.installs > 1) this.#fault(name, key, `${what} was installed twice`);
      }
    }
  }
}

/** What `ip xfrm monitor` says of SAs that have a key. */
function* parseMonitor(text: string) {
  const pattern =
    /^(Deleted |Updated |Expired )?src (\S+) dst (\S+)\n\s+proto esp spi 0x([0-9a-f]+)[^\n]*\n(?:[ \t]+[^\n]*\n)*?[ \t]+aead \S+ 0x([0-9a-f]+)/gm;
  for (const [, change = "", from, to, spi = "", key = ""] of text.matchAll(pattern)) {
    yield {
      change: change.trim(),
      what: `${from} > ${to} SPI ${Number.parseInt(spi, 16).toString(16)}`,
      key,
    };
  }
}

/** A name for a key that says nothing of it. */
function nameOf(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 8);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
