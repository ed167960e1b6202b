// What the tests of this folder stand on: a machine that keeps what it is given, and directories.
import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8, newId, type Random } from "../base/mod.ts";
import { createStore, openSingleStore, type StateMachine, type Store } from "./mod.ts";

export const random: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  below: (limit) => Math.floor(Math.random() * limit),
};

/** A machine that keeps the entries it was given, and answers with their count. */
export class Recorder implements StateMachine<number> {
  readonly entries: string[] = [];
  restored = 0;

  apply(entry: Uint8Array): number {
    return this.entries.push(decodeUtf8(entry));
  }

  encodeSnapshot(): Uint8Array {
    return encodeUtf8(JSON.stringify(this.entries));
  }

  restoreSnapshot(snapshot: Uint8Array): void {
    this.restored++;
    this.entries.splice(0, Infinity, ...JSON.parse(decodeUtf8(snapshot)));
  }
}

/** A directory for as long as `body` takes. */
export async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "agent-store-" });
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A new store for as long as `body` takes. */
export function withStore(body: (directory: string) => Promise<void>): Promise<void> {
  return withDirectory(async (parent) => {
    const directory = `${parent}/store`;
    createStore({ directory, incarnation: newId(random), random });
    await body(directory);
  });
}

/** Opens a store that is alone. */
export function openAlone(
  directory: string,
  machine: Recorder,
  snapshotEvery = 1000,
): Store<number> {
  return openSingleStore<number>({
    directory,
    machine,
    random,
    snapshotEvery,
    keepEntries: 5,
    onFailure: () => {},
  });
}

/** Flips a bit of a file. */
export function damage(path: string, offset: number): void {
  const bytes = Deno.readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  Deno.writeFileSync(path, bytes);
}

export async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, `${command} ${args.join(" ")}: ${decodeUtf8(stderr)}`);
}
