import {
  type Bytes,
  canonicalJson,
  concatBytes,
  encodeFrame,
  encodeHex,
  encodeUtf8,
  type Frame,
  FrameDecoder,
  FrameError,
  type Id,
  type JsonObject,
  type Random,
  SecretBytes,
  sha256,
} from "../base/mod.ts";
import { type ClusterState, decodeSnapshot, encodeSnapshot } from "../state/mod.ts";
import { Sealer, UnsealError } from "../store/mod.ts";
import { BackupError } from "./backup_error.ts";
import { formatRecoveryKey, recoveryKeyCheck } from "./recovery_key.ts";

const FORMAT = "agent-backup";
const VERSION = 1;
/** So that a part, sealed, stays under the limit of a frame. */
const PART_BYTES = 512 * 1024;
const KEY_BYTES = 32;

/** Kinds of frames in a backup: the head first, then the parts in order, then nothing. */
const BackupFrame = { head: 1, part: 2 } as const;

/** A backup, and the only key that opens it. */
export interface Backup {
  /** `AGTBAK-1-…`: nobody keeps it but who asked. */
  readonly key: string;
  /** The file. */
  readonly bytes: Bytes;
  /** Whose it is. */
  readonly clusterId: Id;
  /** Of the state in it. */
  readonly revision: number;
  /** State time, ms, of the last entry in it. */
  readonly writtenAtMs: number;
}

/**
 * All of the state, sealed under a key that is drawn for it alone. The file is frames:
 *
 * | kind | header | body |
 * |---|---|---|
 * | 1, head | `format`, `v`, `clusterId`, `revision`, `writtenAtMs`, `keyCheck`, `parts` | none |
 * | 2, part | `part`, counted from 0 | a part of the snapshot, sealed |
 *
 * The head can be read by everybody; each part is sealed for its place and for this very head, so a
 * file with another head, or with parts that were left out, exchanged or cut off, does not open.
 */
export function makeBackup(state: ClusterState, random: Random): Backup {
  const { clusterId, revision, timeMs: writtenAtMs } = state;
  const secret = random.bytes(KEY_BYTES);
  const key = new SecretBytes(secret);
  const snapshot = encodeSnapshot(state);
  const parts = Math.ceil(snapshot.length / PART_BYTES);
  const head: JsonObject = {
    format: FORMAT,
    v: VERSION,
    clusterId,
    revision,
    writtenAtMs,
    keyCheck: recoveryKeyCheck(key),
    parts,
  };
  const sealer = new Sealer(secret, random);
  const frames = [encodeFrame({ kind: BackupFrame.head, header: head, body: new Uint8Array() })];
  for (let part = 0; part < parts; part++) {
    const plain = snapshot.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
    const body = sealer.seal(plain, placeOf(head, part));
    frames.push(encodeFrame({ kind: BackupFrame.part, header: { part }, body }));
  }
  const text = formatRecoveryKey(key);
  return { key: text, bytes: concatBytes(...frames), clusterId, revision, writtenAtMs };
}

/**
 * The state in a backup.
 *
 * @throws {BackupError} when the file is not a whole backup, or the key is another's
 * @throws {StateDecodeError} when a later version of agent has made it
 */
export function openBackup(bytes: Uint8Array, key: SecretBytes, random: Random): ClusterState {
  const [head, ...parts] = framesOf(bytes);
  const header = head?.kind === BackupFrame.head ? head.header : {};
  if (header.format !== FORMAT) {
    throw new BackupError("not-a-backup", "The file is no backup of an agent's cluster");
  }
  if (header.v !== VERSION) {
    throw new BackupError(
      "unknown-version",
      `The backup has version ${header.v}, and this agent reads ${VERSION}: run the agent that made it`,
    );
  }
  if (header.keyCheck !== recoveryKeyCheck(key)) {
    throw new BackupError(
      "wrong-key",
      `The recovery key is of another backup: the one for this file ends in ${header.keyCheck}`,
    );
  }
  const isWhole = parts.length === header.parts &&
    parts.every(({ kind, header: { part } }, place) => kind === BackupFrame.part && part === place);
  if (!isWhole) throw damaged(`${parts.length} of its ${header.parts} parts are there`);
  const sealer = new Sealer(key.reveal(), random);
  try {
    const opened = parts.map(({ body }, part) => sealer.open(body, placeOf(header, part)));
    return decodeSnapshot(concatBytes(...opened));
  } catch (error) {
    if (!(error instanceof UnsealError)) throw error;
    throw damaged("a part is not as it was written");
  }
}

function framesOf(bytes: Uint8Array): readonly Frame[] {
  const decoder = new FrameDecoder();
  let frames: readonly Frame[];
  try {
    frames = decoder.push(bytes);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    const beginning = String.fromCharCode(...bytes.subarray(0, 256));
    if (beginning.includes(FORMAT)) throw damaged(error.message);
    frames = [];
  }
  // Cut off within its first frame, or something else altogether: nothing of it can be told.
  if (frames.length === 0) {
    throw new BackupError(
      "not-a-backup",
      `The file (${bytes.length} bytes) is no backup of an agent's cluster, or only the beginning of one`,
    );
  }
  if (decoder.pendingBytes > 0) throw damaged("it ends in the middle of a part");
  return frames;
}

/** What a part is sealed for. */
function placeOf(head: JsonObject, part: number): Bytes {
  return encodeUtf8(`backup/${encodeHex(sha256(encodeUtf8(canonicalJson(head))))}/${part}`);
}

function damaged(why: string): BackupError {
  return new BackupError("damaged", `The backup is damaged or cut off (${why}): take another one`);
}
