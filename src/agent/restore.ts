import { createKeyAndCsr } from "../ca/mod.ts";
import type { Membership, RecoveryReport, RestoreOptions, Say } from "../cli/mod.ts";
import { parseRecoveryKey, restoreCluster } from "../cluster/mod.ts";
import { systemClock, systemRandom } from "../sys/mod.ts";
import { becomeMember, describeHost, removeIfThere, writeOnlyManager } from "./lifecycle.ts";
import { LifecycleError } from "./lifecycle_error.ts";
import { pathsOf } from "./paths.ts";

/**
 * Makes this host, which is no member yet, the only manager of the cluster in a backup.
 *
 * @throws {BackupError | LifecycleError | RefusedError} when that cannot be; then nothing is left of it
 */
export function restoreBackup(
  options: RestoreOptions,
  say: Say,
  tell: (report: RecoveryReport) => void,
): Promise<Membership> {
  return becomeMember(options, say, async (store) => {
    const key = parseRecoveryKey(options.key);
    const backup = readBackup(options.file);
    const facts = await describeHost(options, null);
    say("Opening the backup, and making this host its cluster's only manager");
    const { privateKey, csr } = createKeyAndCsr();
    const { store: directory } = pathsOf(options);
    // Of one that was killed before this host counted as a member.
    removeIfThere(directory);
    const ports = { clock: systemClock, random: systemRandom };
    const { recovery, nodeId, certificate, roots } = await restoreCluster(
      { backup, key, directory, csr, facts, ...ports },
    );
    const { clusterId, incarnation } = recovery;
    const about = { clusterId, nodeId, certificate, roots, incarnation };
    const membership = writeOnlyManager(store, privateKey, facts, about);
    tell(recovery);
    return membership;
  });
}

function readBackup(path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LifecycleError(`The backup cannot be read: ${reason}`, { cause });
  }
}
