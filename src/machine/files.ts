import type { Bytes } from "../base/mod.ts";
import type { NodeFiles } from "../node/mod.ts";
import { fsyncDirectory, writeFileDurably } from "../sys/mod.ts";

/** Files of the state directory, readable by root alone. */
export class StateFiles implements NodeFiles {
  readonly #directory: string;

  /** Stands on a directory that exists. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The file's bytes, or null when there is none. */
  read(name: string): Bytes | null {
    try {
      return Deno.readFileSync(`${this.#directory}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /** Replaces the file; durable when it returns. */
  write(name: string, bytes: Uint8Array): void {
    const path = `${this.#directory}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    writeFileDurably(path, bytes, 0o600);
  }

  /** Nothing happens when it is not there. */
  remove(name: string): void {
    const path = `${this.#directory}/${name}`;
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    fsyncDirectory(path.slice(0, path.lastIndexOf("/")));
  }
}
