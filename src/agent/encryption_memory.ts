import { encodeUtf8, equalBytes } from "../base/mod.ts";
import type { NodeFiles } from "../node/mod.ts";
import type { EncryptionMemory } from "./encryption_probe.ts";

/** Its name in the state directory: the run directory may be the very thing that was lost. */
export const ENCRYPTION_FILE = "encryption";

/** What an answer holds for: another kernel, or an agent that asks for something else, tries anew. */
export interface TriedBy {
  /** Of the kernel that runs. */
  readonly bootId: string;
  readonly agentVersion: string;
}

/** Keeps in a file that this kernel can encrypt: the file names the kernel and the agent that tried it. */
export class EncryptionFile implements EncryptionMemory {
  readonly #files: NodeFiles;
  readonly #content: Uint8Array;

  /** Stands on the files of the state directory. */
  constructor(files: NodeFiles, { bootId, agentVersion }: TriedBy) {
    this.#files = files;
    this.#content = encodeUtf8(`${JSON.stringify({ v: 1, bootId, agentVersion })}\n`);
  }

  /** Whether the file says so of this kernel and this agent. */
  read(): boolean {
    const bytes = this.#files.read(ENCRYPTION_FILE);
    return bytes !== null && equalBytes(bytes, this.#content);
  }

  /** Never throws: without the file it is tried anew at the next start. */
  write(able: boolean): void {
    try {
      if (!able) this.#files.remove(ENCRYPTION_FILE);
      else if (!this.read()) this.#files.write(ENCRYPTION_FILE, this.#content);
    } catch {
      // A full disk is told by whatever needs it more.
    }
  }
}
