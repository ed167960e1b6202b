import type { Membership, RecoverOptions, RecoveryReport, Say } from "../cli/mod.ts";
import { type RecoverOptions as MakeOptions, recoverStore, type Recovery } from "../cluster/mod.ts";
import { StateFiles } from "../machine/mod.ts";
import { IdentityStore, type NodeRecord } from "../node/mod.ts";
import { isRoot, lockFile, systemClock, systemRandom } from "../sys/mod.ts";
import { LifecycleError } from "./lifecycle_error.ts";
import { pathsOf } from "./paths.ts";
import { AgentStart } from "./start.ts";
import { StoreExchange } from "./store_exchange.ts";

/**
 * Makes this manager the only one of its cluster, in a new incarnation. `tell` hears what is kept and
 * what is not, as soon as that is certain.
 *
 * @throws {LifecycleError | DataLostError} when that cannot be; then nothing has changed
 */
export async function recoverCluster(
  options: RecoverOptions,
  say: Say,
  tell: (report: RecoveryReport) => void,
): Promise<Membership | null> {
  if (!isRoot()) throw new LifecycleError("Run this as root, for example with sudo");
  const record = exchangeStore(options, say, tell);
  if (options.mode === "look") return null;
  const { clusterId, nodeId, controlAddress } = record;
  const runs = await new AgentStart(options).begin(say);
  return { clusterId, nodeId, controlAddress, runs, logPath: pathsOf(options).log };
}

function exchangeStore(
  options: RecoverOptions,
  say: Say,
  tell: (report: RecoveryReport) => void,
): NodeRecord {
  const store = new IdentityStore(new StateFiles(options.stateDir));
  const record = store.readRecord();
  if (record.role === "worker") {
    throw new LifecycleError(
      "This host is a worker, and has no copy of the cluster's state: recover on a manager, or restore a " +
        "backup on a fresh host with `agent init --restore FILE`",
    );
  }
  const paths = pathsOf(options);
  const answer = lockFile(paths.lock);
  if (answer.kind === "held") {
    const pid = answer.holderPid ?? "of unknown number";
    throw new LifecycleError(
      `The agent runs here (process ${pid}): stop it first, by \`systemctl stop agent\` or by ending the ` +
        "process; its networks go on. If the other managers only do not answer, start them instead: what " +
        "only they have is lost by this",
    );
  }
  try {
    const exchange = new StoreExchange(options);
    exchange.finish();
    say("Reading all that this manager's disk has");
    const to = options.mode === "look" ? null : exchange.newStore;
    const recovery = makeStore(exchange, { from: paths.store, to, nodeId: record.nodeId });
    if (options.mode === "recover") exchange.exchange();
    tell(recovery);
  } finally {
    answer.lock.release();
  }
  return record;
}

function makeStore(
  exchange: StoreExchange,
  options: Pick<MakeOptions, "from" | "to" | "nodeId">,
): Recovery {
  try {
    const recovery = recoverStore({ ...options, clock: systemClock, random: systemRandom });
    if (options.to !== null) exchange.complete(recovery);
    return recovery;
  } catch (error) {
    exchange.discard();
    throw error;
  }
}
