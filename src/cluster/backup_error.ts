/**
 * Why a backup cannot be opened:
 *
 * - `bad-key`: the text is no recovery key;
 * - `wrong-key`: it is one of another backup;
 * - `not-a-backup`, `unknown-version`: the file is something else, or too new;
 * - `damaged`: it is not as it was written, or not all of it is there.
 */
export type BackupErrorCode =
  | "bad-key"
  | "wrong-key"
  | "not-a-backup"
  | "unknown-version"
  | "damaged";

/** A backup cannot be opened; nothing has been changed. */
export class BackupError extends Error {
  /** `BackupError`. */
  override name = "BackupError";
  /** For programs. */
  readonly code: BackupErrorCode;

  /** Makes an error with a sentence for a person. */
  constructor(code: BackupErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
