/** Where one agent keeps its things. */
export interface Directories {
  /** What survives a reboot: `/var/lib/agent`. */
  readonly stateDir: string;
  /** What does not: `/run/agent`. */
  readonly runDir: string;
}

/** Files of an agent, by what they are for. */
export function pathsOf({ stateDir, runDir }: Directories) {
  return {
    lock: `${stateDir}/lock`,
    store: `${stateDir}/store`,
    /** A recovery makes it, and puts it in the place of the store. */
    newStore: `${stateDir}/store.new`,
    /** What was the store before; there until the recovery is complete. */
    oldStore: `${stateDir}/store.old`,
    attachments: `${stateDir}/attachments.db`,
    log: `${stateDir}/agent.log`,
    socket: `${runDir}/agent.sock`,
  };
}

/** Entries of the state directory that belong to a membership, and go with it. */
export const MEMBERSHIP_ENTRIES = [
  "node.json",
  "tls",
  "store",
  "store.new",
  "store.old",
  "attachments.db",
  "attachments.db-wal",
  "attachments.db-shm",
  "agent.log",
  "encryption",
] as const;

/** Files of the run directory that belong to a membership, beside the socket. */
export const RUN_ENTRIES = ["boot.key", "journal"] as const;
