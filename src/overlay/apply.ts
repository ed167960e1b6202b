import { assert, IpAddress } from "../base/mod.ts";
import {
  addAddress,
  type BatchResult,
  type Connection,
  deleteLink,
  deleteLinkGroup,
  getLink,
  NetlinkError,
  type Request,
  setLink,
} from "../netlink/mod.ts";
import type { Host } from "./host.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { endpointAlias, LINK_GROUP, VXLAN } from "./names.ts";
import {
  type AttachOperation,
  formatOperation,
  formatTarget,
  type Operation,
} from "./operation.ts";
import { describePortHolder, describeVniHolder } from "./port_holder.ts";
import { attachRequests, linkChangesOf, sandboxRequests, vxlanRequest } from "./requests.ts";
import type { Slicer } from "./slicer.ts";
import { inTarget } from "./workload.ts";

/** What operations on a sandbox need. */
export interface ApplyContext {
  readonly host: Host;
  /** In the host's namespace. */
  readonly hostConnection: Connection;
  readonly slicer: Slicer;
  /** Alias of the network's own links. */
  readonly alias: string;
  /** UDP port of its VXLAN device, for the error that says who holds it. */
  readonly port: number;
}

/** So many requests take 2 ms or so, which is what another part of the program may have to wait. */
const BATCH = 100;

/** A namespace dies 20 ms and more after its name, and holds its VNI until then. */
const VNI_WAIT_MS = 25;
const VNI_ATTEMPTS = 40;

/**
 * Does the operations of one step, in their order, except `make-sandbox` and `remove-sandbox`.
 * Consecutive requests go in batches.
 *
 * @returns why some were not done; an operation that fails does not stop the others of its step
 */
export async function applyOperations(
  context: ApplyContext,
  live: LiveSandbox,
  operations: readonly Operation[],
): Promise<readonly string[]> {
  const failures: string[] = [];
  const done: Operation[] = [];
  let batch: { operation: Operation; requests: readonly Request[] }[] = [];
  const flush = async () => {
    const results = live.connection.batch(batch.flatMap(({ requests }) => requests));
    for (const { operation, requests } of batch) {
      const error = firstError(results.splice(0, requests.length));
      if (error === null) {
        record(live, operation);
        done.push(operation);
      } else if (!isGoneAlready(operation, error)) {
        failures.push(explain(context, operation, error));
      }
    }
    batch = [];
    await context.slicer.pause();
  };
  for (const operation of operations) {
    const requests = sandboxRequests(operation, context.alias);
    if (requests !== null) {
      batch.push({ operation, requests });
      if (batch.length >= BATCH) await flush();
      continue;
    }
    await flush();
    try {
      await applyOne(context, live, operation);
      done.push(operation);
    } catch (error) {
      failures.push(explain(context, operation, error));
    }
  }
  await flush();
  await announce(context, live, done);
  return failures;
}

/** Once all entries are in place: an address is announced that can be reached. */
async function announce(
  { slicer }: ApplyContext,
  live: LiveSandbox,
  operations: readonly Operation[],
): Promise<void> {
  for (const [place, operation] of operations.entries()) {
    if (operation.kind !== "replace-neighbour" && operation.kind !== "attach") continue;
    live.announce(operation);
    if (place % BATCH === 0) await slicer.pause();
  }
}

/** Deletes all our links in a sandbox; the name is not touched. */
export async function removeLinks(slicer: Slicer, connection: Connection): Promise<void> {
  const request = deleteLinkGroup(LINK_GROUP);
  await slicer.offThread(async () => {
    const [error] = await connection.batchOffThread([request]);
    // There is no link in the group.
    if (error !== null && error !== undefined && error.code !== "ENODEV") throw error;
  });
}

/** Keeps the picture of the sandbox right without asking the kernel again. */
function record(live: LiveSandbox, operation: Operation): void {
  switch (operation.kind) {
    case "replace-bridge-entry":
    case "delete-bridge-entry":
      live.recordEntry(
        {
          ...ENTRY,
          index: operation.device.index,
          table: "master",
          mac: operation.mac,
          state: "static",
        },
        operation.kind === "replace-bridge-entry" ? "set" : "removed",
      );
      break;
    case "replace-vxlan-entry":
      live.recordEntry({
        ...ENTRY,
        index: operation.device.index,
        table: "self",
        mac: operation.mac,
        destination: IpAddress.parse(operation.vtepAddress),
      }, "set");
      break;
    case "delete-vxlan-entry":
      live.recordEntry(
        { ...ENTRY, index: operation.device.index, table: "self", mac: operation.mac },
        "removed",
      );
      break;
    case "replace-neighbour":
    case "delete-neighbour":
      live.recordNeighbour({
        index: operation.device.index,
        address: IpAddress.parse(operation.ip),
        mac: operation.kind === "replace-neighbour" ? operation.mac : null,
        state: "permanent",
      }, operation.kind === "replace-neighbour" ? "set" : "removed");
      break;
    default:
      live.distrustLinks();
  }
}

const ENTRY = {
  state: "permanent",
  vlan: null,
  master: null,
  destination: null,
  externallyLearned: false,
} as const;

async function applyOne(
  context: ApplyContext,
  live: LiveSandbox,
  operation: Operation,
): Promise<void> {
  switch (operation.kind) {
    case "make-vxlan":
      live.distrust();
      return await makeVxlan(context, live, operation);
    case "delete-link":
      live.distrust();
      return await deleteOffThread(context, live, operation.device.index);
    case "set-setting":
      live.distrust();
      return context.host.writeSysctl(live.namespace, operation.name, operation.value);
    case "attach":
      live.distrustLinks();
      await attach(context, live, operation);
      return record(live, {
        kind: "replace-bridge-entry",
        mac: operation.mac,
        device: operation.port,
      });
    case "set-interface":
    case "add-address": {
      const requests = interfaceRequests(operation);
      const results = inTarget(context.host, operation.target, (inside) => inside.batch(requests));
      return throwFirst(results ?? []);
    }
    default:
      assert(false, `${operation.kind} is not done here`);
  }
}

function interfaceRequests(
  operation: Extract<Operation, { kind: "set-interface" | "add-address" }>,
): Request[] {
  const { index } = operation.device;
  if (operation.kind === "set-interface") {
    return [setLink(index, linkChangesOf(operation.changes))];
  }
  const address = IpAddress.parse(operation.ip);
  return [addAddress({ index, address, prefixLength: operation.prefixLength })];
}

async function makeVxlan(
  { hostConnection, slicer }: ApplyContext,
  live: LiveSandbox,
  operation: Extract<Operation, { kind: "make-vxlan" }>,
): Promise<void> {
  const request = vxlanRequest(operation, live.namespace.fd);
  for (let attempt = 1;; attempt++) {
    const [error] = hostConnection.batch([request]);
    if (error === null || error === undefined) return;
    if (error.code !== "EEXIST" || attempt === VNI_ATTEMPTS) throw error;
    await slicer.sleep(VNI_WAIT_MS);
  }
}

async function deleteOffThread(
  { slicer }: ApplyContext,
  live: LiveSandbox,
  index: number,
): Promise<void> {
  await slicer.offThread(async () => {
    const [error] = await live.connection.batchOffThread([deleteLink(index)]);
    if (error !== null && error !== undefined && error.code !== "ENODEV") throw error;
  });
}

async function attach(
  context: ApplyContext,
  live: LiveSandbox,
  operation: AttachOperation,
): Promise<void> {
  const { host } = context;
  const { port, target, interfaceName, endpointId, prefixLength } = operation;
  let made = false;
  try {
    const done = inTarget(host, target, (inside, namespace) => {
      const results = live.connection.batch(attachRequests(operation, namespace.fd));
      made = results[0] === null;
      throwFirst(results);
      const { index } = inside.get(getLink(interfaceName));
      const address = IpAddress.parse(operation.ip);
      throwFirst(inside.batch([
        // The kernel takes no notice of "up" in the peer's part of the request above.
        setLink(index, { alias: endpointAlias(endpointId), up: true }),
        addAddress({ index, address, prefixLength }),
      ]));
      return true;
    });
    if (done === null) throw new Error(`${formatTarget(target)} is gone`);
  } catch (error) {
    if (made) await deleteOffThread(context, live, port.index);
    throw error;
  }
}

function firstError(results: readonly BatchResult[]): NetlinkError | null {
  return results.find((result) => result !== null) ?? null;
}

/** @throws {NetlinkError} the first of a batch, if there is any */
export function throwFirst(results: readonly BatchResult[]): void {
  const error = firstError(results);
  if (error !== null) throw error;
}

/** Somebody was quicker, or it went with its device. */
function isGoneAlready(operation: Operation, error: NetlinkError): boolean {
  return operation.kind.startsWith("delete-") &&
    (error.code === "ENOENT" || error.code === "ENODEV");
}

function explain(context: ApplyContext, operation: Operation, error: unknown): string {
  const { host, hostConnection, port } = context;
  const reason = error instanceof Error ? error.message : String(error);
  const what = `${formatOperation(operation)} failed: ${reason}`;
  if (!(error instanceof NetlinkError)) return what;
  if (operation.kind === "make-vxlan" && error.code === "EEXIST") {
    return `${what}; ${describeVniHolder(hostConnection, operation.vni, port)}`;
  }
  const goesUp = operation.kind === "set-link" && operation.device.name === VXLAN &&
    operation.changes.up === true;
  if (goesUp && error.code === "EADDRINUSE") {
    return `${what}; ${describePortHolder(host, hostConnection, port)}`;
  }
  return what;
}
