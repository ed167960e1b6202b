import {
  concatBytes,
  decodeBase32,
  encodeBase32,
  encodeUtf8,
  SecretBytes,
  sha256,
} from "../base/mod.ts";
import { BackupError } from "./backup_error.ts";

const PREFIX = "AGTBAK";
const VERSION = "1";
const KEY_BYTES = 32;
const CHECK_BYTES = 4;
const LABEL = "agent/recovery-key/1";

/** `AGTBAK-1-<key>-<checksum>`, both in base32: what a backup is opened with. */
export function formatRecoveryKey(key: SecretBytes): string {
  return [PREFIX, VERSION, encodeBase32(key.reveal()), recoveryKeyCheck(key)].join("-");
}

/**
 * Tells keys apart without telling anything of them: of 256 random bits a short hash is no help.
 */
export function recoveryKeyCheck(key: SecretBytes): string {
  const hash = sha256(concatBytes(encodeUtf8(LABEL), key.reveal()));
  return encodeBase32(hash.subarray(0, CHECK_BYTES));
}

/**
 * Reads what {@linkcode formatRecoveryKey} has written.
 *
 * @throws {BackupError} `bad-key`, which quotes nothing of it
 */
export function parseRecoveryKey(text: string): SecretBytes {
  const [prefix, version, key, check, ...more] = text.trim().split("-");
  if (prefix !== PREFIX || key === undefined || check === undefined || more.length > 0) {
    throw badKey(`it is not of the form ${PREFIX}-${VERSION}-<key>-<checksum>`);
  }
  if (version !== VERSION) throw badKey(`its version is not ${VERSION}`);
  let secret: SecretBytes;
  try {
    secret = new SecretBytes(decodeBase32(key));
  } catch {
    throw badKey("its third part is not lower-case base32");
  }
  if (secret.length !== KEY_BYTES || recoveryKeyCheck(secret) !== check) {
    throw badKey("its checksum does not fit: a character was changed or left out");
  }
  return secret;
}

function badKey(why: string): BackupError {
  return new BackupError(
    "bad-key",
    `This is no recovery key (${why}): copy it as \`agent backup\` printed it`,
  );
}
