import type { Bytes } from "../base/mod.ts";
import type { RunFiles } from "../node/mod.ts";
import { StateFiles } from "./files.ts";

/**
 * Files of the run directory, readable by root alone. The directory is a tmpfs, so "written" means that
 * the kernel has it: only the kernel's own end takes it away, and with it what the file tells of.
 */
export class RunDirectory implements RunFiles {
  readonly #directory: string;
  readonly #files: StateFiles;

  /** Stands on a directory that need not exist: it is made when something is written. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#files = new StateFiles(directory);
  }

  /** The file's bytes, or null when there is none. */
  read(name: string): Bytes | null {
    return this.#files.read(name);
  }

  /** How many bytes it has, or null when there is none. */
  size(name: string): number | null {
    return unlessMissing(() => Deno.statSync(this.#path(name)).size);
  }

  /** Replaces it, or makes it. */
  replace(name: string, bytes: Uint8Array): void {
    this.#files.write(name, bytes);
  }

  /** Appends in one write, to a file of this length only. */
  append(name: string, bytes: Uint8Array, length: number): "appended" | "other-file" {
    const options = { append: true, create: false };
    using file = unlessMissing(() => Deno.openSync(this.#path(name), options));
    if (file === null || file.statSync().size !== length) return "other-file";
    const written = file.writeSync(bytes);
    if (written !== bytes.length) {
      throw new Error(
        `Only ${written} of ${bytes.length} bytes could be appended to ${this.#path(name)}: ` +
          "make room there",
      );
    }
    return "appended";
  }

  /** Nothing happens when it is not there. */
  remove(name: string): void {
    this.#files.remove(name);
    // What a killed process has left of a replacement holds what the file holds.
    unlessMissing(() => Deno.removeSync(`${this.#path(name)}.new`));
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

function unlessMissing<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
