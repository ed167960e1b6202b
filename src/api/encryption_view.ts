import type { Id } from "../base/mod.ts";
import type { NetworkKeys, Settings } from "../state/mod.ts";
import type { MemberReport } from "./ports.ts";
import { formatTime } from "./time.ts";
import type { EncryptionView } from "./types.ts";

/** How far the members of an encrypted network are, by what they have told. */
export function encryptionView(
  keys: NetworkKeys,
  settings: Settings,
  members: readonly MemberReport[],
): EncryptionView {
  const attached = members.filter(({ state }) => state === "attached");
  return {
    slot: keys.slot,
    port: settings.encryptedVxlanPortBase + keys.slot,
    rotationIntervalMs: keys.rotationIntervalMs,
    rotation: keys.rotation,
    epochs: keys.epochs.map(({ epoch, sinceMs }) => ({
      epoch,
      since: formatTime(sinceMs),
      installed: idsOf(attached, ({ report }) => report?.installed.includes(epoch) === true),
      missing: idsOf(attached, ({ report }) => report?.installed.includes(epoch) === false),
      sending: idsOf(members, ({ report }) => report?.oldestSending === epoch),
    })),
    silent: idsOf(attached, ({ report }) => report === null),
  };
}

function idsOf(members: readonly MemberReport[], is: (member: MemberReport) => boolean): Id[] {
  return members.filter(is).map(({ nodeId }) => nodeId);
}
