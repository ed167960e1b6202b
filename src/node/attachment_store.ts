import { DatabaseSync } from "node:sqlite";
import type { Id } from "../base/mod.ts";
import type { LocatedWorkload } from "./ports.ts";

/** One interface of an attachment. */
export interface AttachedEndpoint {
  readonly endpointId: Id;
  /** Null until the leader has said which network the name stands for. */
  readonly networkId: Id | null;
  /** In the workload: wanted by a person, or the first free `ethN` when it was attached. */
  readonly interfaceName: string;
  /** It was there before the attachment, and stays when the attachment goes. */
  readonly reserved: boolean;
}

/**
 * How far an attachment is:
 *
 * - `asking`: its endpoints may or may not exist at the leader;
 * - `present`: they exist, and belong into the kernel;
 * - `leaving`: they have to go, from the kernel and from the cluster;
 * - `abandoned`: the same, but the request that asks for them may still be on its way.
 */
export type AttachmentPhase = "asking" | "present" | "leaving" | "abandoned";

/** An attachment as it is kept: the host's own business, never in the log. */
export interface AttachmentRecord {
  readonly v: 1;
  readonly id: Id;
  readonly phase: AttachmentPhase;
  readonly requestId: string;
  readonly bodyHash: string;
  readonly workload: LocatedWorkload;
  readonly name: string | null;
  readonly lease: boolean;
  readonly endpoints: readonly AttachedEndpoint[];
  readonly createdAtMs: number;
}

/**
 * Attachments on disk, written before anything is asked of the leader or done to the kernel: a
 * crash at any moment leaves no endpoint that nobody remembers.
 */
export class AttachmentStore {
  readonly #database: DatabaseSync;

  /** Opens the file, or makes it. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS attachment (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    `);
  }

  /** All of them, ordered by id. */
  readAll(): AttachmentRecord[] {
    const rows = this.#database.prepare("SELECT record FROM attachment ORDER BY id").all();
    // The file is this program's own; `v` says which one wrote it.
    return rows.map((row) => JSON.parse(String(row.record)) as AttachmentRecord);
  }

  /** Adds or replaces; durable when it returns. */
  write(record: AttachmentRecord): void {
    this.#database.prepare("INSERT OR REPLACE INTO attachment (id, record) VALUES (?, ?)")
      .run(record.id, JSON.stringify(record));
  }

  /** Nothing happens when it is not there. */
  remove(id: Id): void {
    this.#database.prepare("DELETE FROM attachment WHERE id = ?").run(id);
  }

  /** Lets go of the file. */
  close(): void {
    this.#database.close();
  }
}
