import {
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  type Id,
  isId,
  SecretBytes,
} from "../base/mod.ts";
import { PUBLIC_KEY_BYTES } from "../esp/mod.ts";
import type { RunFiles } from "./ports.ts";

/** Its name in the run directory. */
export const BOOT_KEY_FILE = "boot.key";

/** A boot key as it is kept, with the number of the last report: the two are one fact. */
export interface StoredBootKey {
  readonly privateKey: SecretBytes;
  /** The kernel's boot id when it was made. */
  readonly bootId: string;
  /** The cluster's incarnation when it was made. */
  readonly incarnation: Id;
  /** Of the last report that may have been sent. */
  readonly reportNumber: number;
}

/** Replaces the file. */
export function writeBootKey(files: RunFiles, key: StoredBootKey): void {
  const { bootId, incarnation, reportNumber } = key;
  const privateKey = encodeBase64url(key.privateKey.reveal());
  const text = JSON.stringify({ v: 1, bootId, incarnation, reportNumber, privateKey });
  files.replace(BOOT_KEY_FILE, encodeUtf8(`${text}\n`));
}

/** Null when there is none, or not a whole one of this version. */
export function readBootKey(files: RunFiles): StoredBootKey | null {
  const bytes = files.read(BOOT_KEY_FILE);
  if (bytes === null) return null;
  try {
    const value: unknown = JSON.parse(decodeUtf8(bytes));
    if (!isFile(value)) return null;
    const { bootId, incarnation, reportNumber } = value;
    const privateKey = new SecretBytes(decodeBase64url(value.privateKey));
    if (privateKey.length !== PUBLIC_KEY_BYTES) return null;
    return { privateKey, bootId, incarnation, reportNumber };
  } catch {
    // Nothing of it may be shown, and an error of the parser quotes what it read.
    return null;
  }
}

interface File {
  readonly bootId: string;
  readonly incarnation: Id;
  readonly reportNumber: number;
  readonly privateKey: string;
}

function isFile(value: unknown): value is File {
  if (value === null || typeof value !== "object") return false;
  const file = value as Partial<Record<keyof File | "v", unknown>>;
  return file.v === 1 && typeof file.bootId === "string" && typeof file.privateKey === "string" &&
    typeof file.incarnation === "string" && isId(file.incarnation) &&
    typeof file.reportNumber === "number" && Number.isSafeInteger(file.reportNumber);
}
