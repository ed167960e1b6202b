import {
  type Bytes,
  type Clock,
  type Id,
  newId,
  type Random,
  type SecretBytes,
} from "../base/mod.ts";
import { checkCsr } from "../ca/mod.ts";
import type { NodeFacts } from "../state/mod.ts";
import { openBackup } from "./backup.ts";
import { Issuer } from "./issuer.ts";
import { beginAnew, type Recovery } from "./recover.ts";

/** What {@linkcode restoreCluster} needs. */
export interface RestoreOptions {
  /** What `agent backup` has written. */
  readonly backup: Uint8Array;
  /** What it has printed. */
  readonly key: SecretBytes;
  /** Where the store is made; it must not be there yet. */
  readonly directory: string;
  /** PKCS #10 DER of the new manager's key. */
  readonly csr: Bytes;
  /** What the host says of itself. */
  readonly facts: NodeFacts;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
}

/** A cluster that was restored, and its only manager as it has to know itself. */
export interface Restored {
  /** What became of the cluster. */
  readonly recovery: Recovery;
  /** The node. */
  readonly nodeId: Id;
  /** DER, base64url. */
  readonly certificate: string;
  /** DER of each root, base64url. */
  readonly roots: readonly string[];
}

/**
 * Makes, of a backup, the store of the cluster's next incarnation, with a new host as its only manager:
 * its certificate is signed by the authority in the backup, so members believe it.
 *
 * @throws {BackupError} when the backup does not open
 * @throws {RefusedError} when the host cannot be a member: another one has its name
 */
export async function restoreCluster(options: RestoreOptions): Promise<Restored> {
  const { backup, key, directory, csr, facts, clock, random } = options;
  const state = openBackup(backup, key, random);
  const { publicKey } = checkCsr(csr);
  const nodeId = newId(random);
  const role = "manager";
  const { roots } = state.authority;
  const certificate = await new Issuer(clock, random).issueNode(state, {
    id: nodeId,
    role,
    publicKey,
  });
  const made = beginAnew(state, { to: directory, memberId: nodeId, clock, random }, {
    node: { id: nodeId, role, labels: {}, facts, certificate },
  });
  const recovery = { ...made, uncommitted: 0 };
  return { recovery, nodeId, certificate: certificate.certificate, roots };
}
