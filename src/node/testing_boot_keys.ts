// Boot keys on real files, with a process that can be killed at any of its writes.
import { type Bytes, encodeBase64url, type Id } from "../base/mod.ts";
import { keepingLogger, type LogLine, testRandom } from "../cluster/testing_plane.ts";
import type { Installation } from "../esp/mod.ts";
import { RunDirectory } from "../machine/mod.ts";
import { BootKeys, type RunFiles } from "./mod.ts";

export const CLUSTER_LIFE: Id = "aaaaaaaaaaaaaaaaaaaaaaaaae";
export const OTHER_LIFE: Id = "aaaaaaaaaaaaaaaaaaaaaaaaai";
export const NETWORK: Id = "aaaaaaaaaaaaaaaaaaaaaaaaam";
export const PEER: Id = "aaaaaaaaaaaaaaaaaaaaaaaaaq";
export const NODE: Id = "aaaaaaaaaaaaaaaaaaaaaaaaau";

/** The process is no more: nothing after the step is done. */
export class Killed extends Error {
  override name = "Killed";
}

/**
 * The files of one process, which is killed before its nth write, after it, or in the middle of it if it
 * is an append. (A replacement is whole or not there: `rename` sees to that.)
 */
export class KillableFiles implements RunFiles {
  readonly #files: RunFiles;
  /** Writes that are still done. */
  left = Infinity;
  /** What is done of the last one. */
  last: "nothing" | "half" = "nothing";
  #dead = false;

  constructor(files: RunFiles) {
    this.#files = files;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  read(name: string): Bytes | null {
    return this.#files.read(name);
  }

  size(name: string): number | null {
    return this.#files.size(name);
  }

  replace(name: string, bytes: Uint8Array): void {
    this.#step(() => {});
    this.#files.replace(name, bytes);
  }

  append(name: string, bytes: Uint8Array, length: number): "appended" | "other-file" {
    this.#step(() => this.#files.append(name, bytes.subarray(0, bytes.length / 2), length));
    return this.#files.append(name, bytes, length);
  }

  remove(name: string): void {
    this.#step(() => {});
    this.#files.remove(name);
  }

  #step(half: () => void): void {
    if (this.#dead) throw new Killed();
    if (this.left-- > 0) return;
    this.#dead = true;
    if (this.last === "half") half();
    throw new Killed();
  }
}

/** A kernel's run directory, and processes of an agent on it one after the other. */
export class TestRun implements Disposable {
  // In memory, as /run is.
  readonly #root = Deno.makeTempDirSync({ dir: "/dev/shm", prefix: "agent-boot-keys-" });
  readonly directory = `${this.#root}/agent`;
  readonly disk = new RunDirectory(this.directory);
  readonly lines: LogLine[] = [];
  bootId = "boot-1";

  /** Another process. */
  start(firstReportNumber = 1000): { readonly keys: BootKeys; readonly files: KillableFiles } {
    const files = new KillableFiles(this.disk);
    const logger = keepingLogger(this.lines);
    const { bootId } = this;
    const keys = new BootKeys({ files, bootId, firstReportNumber, random: testRandom, logger });
    return { keys, files };
  }

  /** Another process, and all that it takes until its key is usable. */
  ready(): { readonly keys: BootKeys; readonly files: KillableFiles } {
    const process = this.start();
    becomeReady(process.keys);
    return process;
  }

  wipe(): void {
    Deno.removeSync(this.directory, { recursive: true });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#root, { recursive: true });
  }
}

/** The managers commit what is reported, and tell the node so. */
export function becomeReady(keys: BootKeys, incarnation = CLUSTER_LIFE): void {
  keys.projected(projection(null, incarnation));
  const { number, bootKey } = keys.nextReport();
  keys.answered(number, { seenBefore: 0 });
  keys.projected(projection(bootKey?.publicKey ?? null, incarnation));
}

export function projection(bootKey: string | null, incarnation = CLUSTER_LIFE) {
  return { incarnation, node: { id: NODE, index: 1, vtepAddress: "192.0.2.1", bootKey } };
}

export function installation(spi: number, epoch = 1): Installation {
  const context = encodeBase64url(new Uint8Array(32).fill(spi));
  return { direction: "out", peer: PEER, network: NETWORK, epoch, spi, context };
}

/** Why keys were made, in order. */
export function reasons(run: TestRun): unknown[] {
  return run.lines.filter(({ message }) => message === "This host has a new boot key")
    .map(({ fields }) => fields.reason);
}
