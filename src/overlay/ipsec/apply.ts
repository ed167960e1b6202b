import { assert } from "../../base/mod.ts";
import type { NetlinkError, Request } from "../../netlink/mod.ts";
import type { Slicer } from "../slicer.ts";
import type { LiveIpsec } from "./live.ts";
import { formatIpsecOperation, type IpsecOperation } from "./operation.ts";
import type { IpsecPicture } from "./picture.ts";
import { type XfrmOperation, xfrmRequest } from "./requests.ts";

/** So many requests are quicker done at once than off the thread. */
const FEW = 16;

/** So many are encoded, and their acks read, in a few ms. */
const MANY = 500;

/** Sends requests about policies, or that delete: a few of them at once, many off the thread. */
async function sendAll(
  live: LiveIpsec,
  slicer: Slicer,
  requests: readonly Request[],
): Promise<readonly (NetlinkError | null)[]> {
  if (requests.length <= FEW) return live.connection.batch(requests);
  return await sendOffThread(live, slicer, requests);
}

/** Sends requests off the thread: many, or such that may have the kernel load modules. */
export async function sendOffThread(
  live: LiveIpsec,
  slicer: Slicer,
  requests: readonly Request[],
): Promise<readonly (NetlinkError | null)[]> {
  return await slicer.offThread(() => live.connection.batchOffThread(requests));
}

/**
 * Does operations on policies, and deletes SAs. All are tried.
 *
 * @returns why some were not done
 */
export async function applyXfrm(
  live: LiveIpsec,
  slicer: Slicer,
  operations: readonly IpsecOperation[],
): Promise<readonly string[]> {
  const failures: string[] = [];
  for (let start = 0; start < operations.length; start += MANY) {
    const part = operations.slice(start, start + MANY).map(asXfrm);
    const results = await sendAll(live, slicer, part.map(xfrmRequest));
    for (const [place, operation] of part.entries()) {
      const error = results[place] ?? null;
      if (error === null || isGoneAlready(operation, error)) recordXfrm(live.picture, operation);
      else failures.push(`${formatIpsecOperation(operation)} failed: ${error.message}`);
    }
    await slicer.pause();
  }
  return failures;
}

/** @throws when it is of another kind */
export function asXfrm(operation: IpsecOperation): XfrmOperation {
  switch (operation.kind) {
    case "set-block":
    case "delete-block":
    case "set-policy":
    case "delete-policy":
    case "delete-stray":
    case "delete-sa":
      return operation;
    default:
      assert(false, `${operation.kind} is not done here`);
  }
}

function isGoneAlready({ kind }: XfrmOperation, { code }: NetlinkError): boolean {
  return kind.startsWith("delete-") && (code === "ENOENT" || code === "ESRCH");
}

/** Takes into the picture what has been done. */
export function recordXfrm(picture: IpsecPicture, operation: XfrmOperation): void {
  switch (operation.kind) {
    case "set-block": {
      const { slot, ...place } = operation.block;
      return picture.setPolicy({ kind: "block", slot, right: true, place });
    }
    case "delete-block": {
      const { slot, ...place } = operation.block;
      return picture.removePolicy({ kind: "block", slot, right: true, place });
    }
    case "set-policy": {
      const { slot, ...place } = operation.policy;
      return picture.setPolicy({ kind: "peer", slot, right: true, place });
    }
    case "delete-policy": {
      const { slot, ...place } = operation.policy;
      return picture.removePolicy({ kind: "peer", slot, right: true, place });
    }
    case "delete-stray":
      return picture.removePolicy({
        kind: "stray",
        slot: null,
        right: false,
        place: operation.policy,
      });
    case "delete-sa":
      return picture.removeSa(operation.slot, operation.place);
  }
}
