/** Where one agent keeps its things. */
export interface Directories {
  /** What survives a reboot: `/var/lib/agent`. */
  readonly stateDir: string;
  /** What does not: `/run/agent`. */
  readonly runDir: string;
}

/** From the most to the least important. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** How a host begins as a node. */
export interface BeginOptions extends Directories {
  /** Where the others reach this host, `192.0.2.1` or with a port; absent: found by its routes. */
  readonly advertise?: string | undefined;
  /** Underlay address of the overlay's packets; absent: as `advertise`. */
  readonly vtep?: string | undefined;
  /** `background`: the agent runs, and is ready, when the promise resolves. */
  readonly start: "background" | "none";
  /** Whether a service manager, where there is one, is to keep the agent over a reboot. */
  readonly service: "if-available" | "never";
}

/** How to found a cluster. */
export interface InitOptions extends BeginOptions {
  /** Where subnets come from; absent: the default pool. */
  readonly pool?: string | undefined;
}

/** How to join one. */
export interface JoinOptions extends BeginOptions {
  /** A manager: `192.0.2.1`, or with a port. */
  readonly address: string;
  /** `AGTKN-1-…`: a secret. */
  readonly token: string;
}

/** How to recover the cluster of this manager, of which too few others are left. */
export interface RecoverOptions extends Directories, Pick<BeginOptions, "start" | "service"> {
  /** `look`: only say what would be kept and what not. */
  readonly mode: "recover" | "look";
}

/** How to restore a cluster on a fresh host. */
export interface RestoreOptions extends BeginOptions {
  /** Path of what `agent backup` has written. */
  readonly file: string;
  /** `AGTBAK-1-…`: a secret. */
  readonly key: string;
}

/** What becomes of a cluster that is recovered or restored. */
export interface RecoveryReport {
  /** The cluster. */
  readonly clusterId: string;
  /** The life that begins, and how many there were before it. */
  readonly incarnation: { readonly generation: number; readonly id: string };
  /** What goes on. */
  readonly kept: {
    /** Of the state before. */
    readonly revision: number;
    /** When its last entry was written, ms. */
    readonly writtenAtMs: number;
    /** How many. */
    readonly nodes: number;
    /** How many. */
    readonly networks: number;
    /** How many. */
    readonly endpoints: number;
  };
  /** What does not. */
  readonly discarded: {
    /** Hostnames. */
    readonly managers: readonly string[];
    /** On those managers. */
    readonly endpoints: number;
    /** How many. */
    readonly tokens: number;
  };
  /** How many encrypted networks begin with new keys. */
  readonly rekeyed: number;
  /** Entries that are kept, though nobody may have been told that they were done. */
  readonly uncommitted: number;
}

/** How to run. */
export interface RunOptions extends Directories {
  /** The least important lines that are still logged. */
  readonly logLevel: LogLevel;
  /**
   * Called when all is loaded and before anything is done. With "never" it is not: then the exit code
   * is 0 and nothing has happened.
   */
  readonly mayBegin: () => Promise<"now" | "never">;
  /** Called once, when the kernel has what the cluster wants of this node. */
  readonly onReady: () => void;
}

/** What a host has become. */
export interface Membership {
  /** Which cluster. */
  readonly clusterId: string;
  /** Which node of it. */
  readonly nodeId: string;
  /** Where the others reach it, with a port. */
  readonly controlAddress: string;
  /** How the agent was started; `not` with `start: "none"`. */
  readonly runs: "as-service" | "as-process" | "not";
  /** Where it logs when it runs as a process. */
  readonly logPath: string;
}

/** Says a step in words for a person. */
export type Say = (step: string) => void;

/**
 * The life of an agent on this host. Whatever cannot be done is an `Error` whose message is a
 * sentence for a person; nothing has been left behind then.
 */
export interface Lifecycle {
  /** Founds a cluster with this host as its first manager. */
  init(options: InitOptions, say: Say): Promise<Membership>;
  /** Makes this host a node of an existing cluster. */
  join(options: JoinOptions, say: Say): Promise<Membership>;
  /**
   * Makes this manager the only one of its cluster. `tell` hears what is kept and what not, before the
   * agent is started. Null when it was only to look.
   */
  recover(
    options: RecoverOptions,
    say: Say,
    tell: (report: RecoveryReport) => void,
  ): Promise<Membership | null>;
  /** Makes this host the only manager of the cluster in a backup. `tell` is as in `recover`. */
  restore(
    options: RestoreOptions,
    say: Say,
    tell: (report: RecoveryReport) => void,
  ): Promise<Membership>;
  /** Runs the node until it is told to stop; resolves with the exit code. */
  run(options: RunOptions): Promise<number>;
  /**
   * Takes everything of ours off this host: the agent, if it still runs (one that the cluster has
   * removed ends by itself), what it made in the kernel, its service and its files. What the
   * cluster knows of the node is not its concern.
   */
  leave(directories: Directories, say: Say): Promise<void>;
}

/** A connection that holds the thread while it waits. */
export interface BlockingStream {
  /** Its descriptor, the same in the command that this process becomes. */
  readonly fd: number;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array): void;
  /** At least one byte and at most `maxBytes`; none at the end of the stream. */
  read(maxBytes: number): Uint8Array;
  /** Closing it again does nothing. */
  close(): void;
}

/** What `exec` becomes. */
export interface BecomeOptions {
  /** The program, looked up in `PATH` unless it has a slash, and its arguments. */
  readonly argv: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors above 2 that it inherits. */
  readonly keepFds: readonly number[];
  /** Runs in the new namespace, before the command; synchronous. */
  prepare(): void;
}

/**
 * What of the machine `exec` needs. A system call that fails throws an `Error` with the kernel's
 * name of it as `errnoName` and the call's name as `call`: `{call: "execvpe", errnoName: "ENOENT"}`.
 */
export interface ExecHost {
  /** Connects to a unix socket. */
  connectUnix(path: string): BlockingStream;
  /** Becomes a command in a network namespace of its own; does not return. */
  becomeCommand(options: BecomeOptions): never;
}

/** One stream of text to a person or a program. */
export interface TextOutput {
  /** Writes all of `text`; a reader that is gone is no error. */
  write(text: string): void;
}

/** The process that the command line runs in. */
export interface Process {
  /** Its number, as the processes of this host count. */
  readonly pid: number;
  /** As a command gets it. */
  environment(): Readonly<Record<string, string>>;
  /** A secret from the environment, which no process that is started from now on inherits. */
  takeVariable(name: string): string | undefined;
  /** For what was asked for. */
  readonly stdout: TextOutput;
  /** For everything else. */
  readonly stderr: TextOutput;
  /** The whole of a text file; of standard input for `-`. */
  readText(path: string): string;
  /**
   * Makes a file that only its owner may read; whole and durable when it returns. Throws when there is
   * one; no part of a file is left then.
   */
  writeNewFile(path: string, bytes: Uint8Array): void;
  /** Resolves with true when anything comes on standard input, with false at its end. */
  inputComes(): Promise<boolean>;
  /** Writes a few bytes to an inherited descriptor, and closes it. */
  writeLast(fd: number, text: string): Promise<void>;
}

/**
 * What the command line stands on. What is heavy comes by functions, so that it is loaded only for
 * a command that needs it.
 */
export interface Ports {
  /** The process. */
  readonly process: Process;
  /** Of this program. */
  readonly version: string;
  /** Loads what founds, joins and runs. */
  lifecycle(): Promise<Lifecycle>;
  /** Loads what becomes another command. */
  execHost(): Promise<ExecHost>;
}
