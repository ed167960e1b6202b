/**
 * This machine behind the ports that `overlay` and `node` declare: thin adapters over `sys`, so
 * that neither of them knows how a namespace is opened or a file made durable.
 *
 * ```ts
 * const watcher = new Watcher();
 * const workloads = new MachineWorkloads(watcher);
 * const host = new MachineHost(watcher, workloads);
 * const files = new StateFiles("/var/lib/agent");
 * ```
 *
 * @module
 */
export { MachineHost } from "./host.ts";
export { StateFiles } from "./files.ts";
export { RunDirectory } from "./run_files.ts";
export { MachineWorkloads } from "./workloads.ts";
