import type { Lifecycle } from "../cli/mod.ts";
import { dropTrustEnvironment } from "../sys/mod.ts";
import { runDaemon } from "./daemon.ts";
import { leaveHost } from "./leave.ts";
import { initCluster, joinExisting } from "./lifecycle.ts";

// Before the first connection: none of these may say whom this program trusts.
dropTrustEnvironment();

/** The life of an agent on this host, as the command line wants it. */
export const lifecycle: Lifecycle = {
  init: initCluster,
  join: joinExisting,
  run: runDaemon,
  leave: leaveHost,
};
