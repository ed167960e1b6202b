/** A root, keys, and what to do with them, for the tests of the peer check. */
import assert from "node:assert/strict";
import { readCertificate } from "../certificate.ts";
import { type PeerRejectedCode, PeerRejectedError, type Trust, verifyPeer } from "../mod.ts";
import {
  CLUSTER,
  forge,
  type Forgery,
  makeKey,
  makeRoot,
  NOW_MS,
  workerExtensions,
} from "./forge.ts";

export const root = await makeRoot();
export const trust: Trust = { clusterId: CLUSTER, roots: [root.certificate] };
export const key = await makeKey();
export const attacker = await makeKey();
export const rootName = readCertificate(root.certificate).subject;

/** Signed by the root: what a faulty authority, or a thief of its key, could make. */
export function signedByRoot(changes: Partial<Forgery>): Uint8Array<ArrayBuffer> {
  return forge({ issuer: rootName, signer: root.privateKey, spki: key.spki, ...changes });
}

export function withExtensions(
  changes: Partial<ReturnType<typeof workerExtensions>>,
): Uint8Array<ArrayBuffer> {
  return signedByRoot({ extensions: Object.values({ ...workerExtensions(), ...changes }) });
}

export function rejects(
  der: Uint8Array,
  code: PeerRejectedCode,
  options: { trust?: Trust; chain?: readonly Uint8Array[]; nowMs?: number } = {},
): void {
  assert.throws(
    () => verifyPeer(der, options.trust ?? trust, options.nowMs ?? NOW_MS, options.chain),
    (error) => {
      assert(error instanceof PeerRejectedError, String(error));
      assert.equal(error.code, code, error.message);
      return true;
    },
  );
}
