import type { Bytes, Cancel, Id } from "../base/mod.ts";
import type { BootKeyPair } from "../esp/mod.ts";
import type { CertifyReply, CertifyRequest, Projection } from "../state/mod.ts";

/** Small files of the node, by their names relative to the state directory. */
export interface NodeFiles {
  /** The file's bytes, or null when there is none. */
  read(name: string): Bytes | null;
  /** Replaces the file; durable when it returns. Only its owner may read it. */
  write(name: string, bytes: Uint8Array): void;
  /** Nothing happens when it is not there. */
  remove(name: string): void;
}

/**
 * Small files in memory, of the run directory: they live as long as the kernel that they tell of, or
 * shorter. Only their owner may read them.
 */
export interface RunFiles {
  /** The file's bytes, or null when there is none. */
  read(name: string): Bytes | null;
  /** How many bytes it has, or null when there is none. */
  size(name: string): number | null;
  /** Replaces it, or makes it, with its directory: at every moment there is the old one or the new one. */
  replace(name: string, bytes: Uint8Array): void;
  /**
   * Appends to a file that is `length` bytes long now. When it returns it is written, and a kill of
   * this process takes nothing back.
   *
   * @returns `other-file` when it is of another length, or not there: then nothing was done
   * @throws when not all could be written; some of it may have been
   */
  append(name: string, bytes: Uint8Array, length: number): "appended" | "other-file";
  /** Nothing happens when it is not there. */
  remove(name: string): void;
}

/** Where a workload is, as a person named it. */
export type WorkloadTarget =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "pid"; readonly pid: number; readonly startTicks: number };

/**
 * One network namespace of one boot, as text: boot id and the kernel's cookie for the namespace,
 * which, unlike its inode, is never given to another one.
 */
export type NamespaceKey = string;

/** What a person's words for a workload stand for. */
export interface LocatedWorkload {
  /** As a person named it. */
  readonly target: WorkloadTarget;
  /** The very namespace. */
  readonly namespace: NamespaceKey;
}

/** The host's workloads: processes in network namespaces. */
export interface Workloads {
  /**
   * Finds what is meant, and keeps its namespace at hand until it is released.
   *
   * @throws an error with code `invalid-value` and the field at fault when there is no such
   * workload, or its namespace is the host's own or a sandbox of the agent
   */
  locate(
    wanted: { readonly netns?: string | undefined; readonly pid?: number | undefined },
  ): LocatedWorkload;
  /** As {@linkcode Workloads.locate} after a restart; null when that very workload is gone. */
  adopt(workload: LocatedWorkload): LocatedWorkload | null;
  /** Lets go of what `locate` or `adopt` has kept; once for each of them. */
  release(workload: LocatedWorkload): void;
  /** Names of the interfaces that are in the workload now; none when it is gone. */
  interfaceNames(workload: LocatedWorkload): readonly string[];
  /** Calls once, later, when no process is left in the namespace, or it is gone. */
  onEmpty(workload: LocatedWorkload, callback: () => void): Cancel;
}

/** One endpoint that has to be put into a workload. */
export interface LocalEndpoint {
  /** The endpoint. */
  readonly endpointId: Id;
  /** Its network. */
  readonly networkId: Id;
  /** As a person named it. */
  readonly target: WorkloadTarget;
  /** Its name in the workload. */
  readonly interfaceName: string;
}

/** What the kernel has of an encrypted network's SAs, as the leader has to know it. */
export interface EncryptionStatus {
  /** Epochs of which it has SAs, ascending; of a live one all inbound SAs that it may have. */
  readonly installed: readonly number[];
  /** From all holders up to this revision of theirs. */
  readonly upTo: number;
  /** The oldest epoch that it still sends with, to any peer; null when it sends to nobody. */
  readonly oldestSending: number | null;
  /** A newer epoch than this one is needed; null: all is well. */
  readonly wantsAfter: number | null;
}

/** What the kernel has. */
export interface OverlayStatus {
  /** Digest of the projection that it has in full, or null. */
  readonly applied: string | null;
  /** Endpoints that are in their workload. */
  readonly attached: ReadonlySet<Id>;
  /** Endpoints whose workload is gone. */
  readonly gone: ReadonlySet<Id>;
  /** Why the kernel does not have what it should, by endpoint or network, in its own words. */
  readonly problems: ReadonlyMap<Id, string>;
  /** By network, those included that were left, as long as there are SAs of them. */
  readonly encryption: ReadonlyMap<Id, EncryptionStatus>;
  /** Why nothing stands behind the IPsec policies on this host; null: something does, or nothing has to. */
  readonly guardLack: string | null;
  /** The boot key that `encryption` tells of; null when there was none to work with. */
  readonly bootKey: BootKeyPair | null;
}

/**
 * A manager in this very process. Once its certificate has run out nobody takes a connection with it,
 * also not itself: the only manager of a cluster must be able to certify itself without one.
 */
export interface OwnLeader {
  /** Rejects when another manager leads. */
  certify(request: CertifyRequest): Promise<CertifyReply>;
  /** What it answers to this host's root as its leader; null: it cannot, ask whoever leads. */
  fetch(request: Request): Promise<Response | null>;
}

/** The data plane of this host. */
export interface Overlay {
  /** Latest wins; the work is done later. */
  setDesired(projection: Projection, local: readonly LocalEndpoint[]): void;
  /** Resolves when what was desired last has been tried in full. */
  settled(): Promise<OverlayStatus>;
  /** The newest status. */
  readonly status: OverlayStatus;
  /** One line for each operation that it would do now. */
  plan(): Promise<readonly string[]>;
}
