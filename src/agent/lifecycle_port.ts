import type { Lifecycle } from "../cli/mod.ts";
import { dropTrustEnvironment } from "../sys/mod.ts";
import { leaveHost } from "./leave.ts";
import { initCluster, joinExisting } from "./lifecycle.ts";

// Before the first connection: none of these may say whom this program trusts.
dropTrustEnvironment();

/** The life of an agent on this host, as the command line wants it. */
export const lifecycle: Lifecycle = {
  init: initCluster,
  join: joinExisting,
  // The API's schemas take 40 ms to load, and a host that joins needs none of them.
  run: async (options) => (await import("./daemon.ts")).runDaemon(options),
  leave: leaveHost,
};
