/**
 * A manager's half of the control plane: founding a cluster, taking in members, signing their
 * certificates, telling each node what it should have, and hearing how it is.
 *
 * {@linkcode ControlPlane} is what the API stands on. It writes by proposing commands to the store
 * and reads the state that they make; what only this leader knows (who is alive, which streams are
 * open) is never in the log and is lost with the leadership. On a manager that follows, all that only a
 * leader may do is refused with `not-leader` and the leader's address, or `unavailable` while there is none.
 *
 * ```ts
 * const machine = new ClusterMachine();
 * const store = openSingleStore({ directory, machine, random, onFailure });
 * const plane = new ControlPlane({ store, machine, clock, random, logger, onRemoved });
 * (await plane.read()).state.networks.size; // 0
 * ```
 *
 * @module
 */
export { type Backup, makeBackup, openBackup } from "./backup.ts";
export { BackupError, type BackupErrorCode } from "./backup_error.ts";
export type {
  CaReply,
  CertifiedPrincipal,
  MemberReport,
  NetworkWriteRequest,
  Quorum,
  RotateRequest,
  TokenOutcome,
  TokenWriteRequest,
  View,
  WriteRequest,
} from "./calls.ts";
export { ControlPlane, type ControlPlaneOptions } from "./control_plane.ts";
export { foundCluster, type Founded, type FoundOptions } from "./found.ts";
export { ClusterMachine } from "./machine.ts";
export { type Liveness } from "./presence.ts";
export { type RecoverOptions, recoverStore, type Recovery } from "./recover.ts";
export { RefusedError } from "./refused_error.ts";
export { parseRecoveryKey } from "./recovery_key.ts";
export { restoreCluster, type Restored, type RestoreOptions } from "./restore.ts";
