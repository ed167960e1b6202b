import { createDecipheriv } from "node:crypto";
import type { EspPacket } from "./frames.ts";

const ICV_BYTES = 16;
const KEY_BYTES = 32;

/**
 * Whether a key opens a packet: AES-256-GCM as RFC 4106 says, with a sequence number of 64 bits of which
 * the high half is 0.
 */
export function opens(key: string, { spi, sequence, iv, sealed }: EspPacket): boolean {
  const bytes = Uint8Array.fromHex(key);
  const nonce = new Uint8Array([...bytes.subarray(KEY_BYTES), ...iv]);
  const associated = new DataView(new ArrayBuffer(12));
  associated.setUint32(0, spi);
  associated.setUint32(8, sequence);
  const decipher = createDecipheriv("aes-256-gcm", bytes.subarray(0, KEY_BYTES), nonce);
  decipher.setAAD(new Uint8Array(associated.buffer));
  decipher.setAuthTag(sealed.subarray(-ICV_BYTES));
  try {
    decipher.update(sealed.subarray(0, -ICV_BYTES));
    decipher.final();
    return true;
  } catch {
    return false;
  }
}
