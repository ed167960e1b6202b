import type { DesiredNetwork } from "./desired.ts";
import type { HostIpsec, Note } from "./ipsec/host_ipsec.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { type Gate, OPEN_GATE, type SandboxApplier } from "./sandbox_applier.ts";

/**
 * Keeps an encrypted network off its VXLAN device while the host's settings have packets pass by its blocks,
 * and sees that the blocks stand before anything else is done to it.
 *
 * @param live as it was just seen; null when there is none
 * @param note told of what is done to the host
 * @returns why the network cannot be up; null when it can
 */
export async function holdBack(
  ipsec: HostIpsec,
  applier: SandboxApplier,
  network: DesiredNetwork,
  live: LiveSandbox | null,
  note: Note,
): Promise<string | null> {
  // What there is may be as it should be, so it is let alone.
  if (ipsec.fault !== null) return ipsec.fault;
  const refusal = ipsec.refusal(network);
  if (refusal !== null) {
    if (live !== null) await applier.cutOff(live);
    ipsec.noteDown(network.id);
    return refusal;
  }
  if (live === null || ipsec.isBlocked(network)) return null;
  const [failure] = await prepareOrCutOff(ipsec, applier, network, live, note);
  return failure ?? null;
}

/** @returns why its blocks or the guard do not stand; then the network is off its VXLAN device */
async function prepareOrCutOff(
  ipsec: HostIpsec,
  applier: SandboxApplier,
  network: DesiredNetwork,
  live: LiveSandbox | null,
  note: Note,
): Promise<readonly string[]> {
  const failures = await ipsec.prepare(network, note);
  if (failures.length > 0 && live !== null) await applier.cutOff(live);
  return failures;
}

/** What an encrypted network needs of the host between the steps of its sandbox. */
export function encryptedGate(
  ipsec: HostIpsec,
  applier: SandboxApplier,
  network: DesiredNetwork | null,
  live: LiveSandbox | null,
  note: Note,
): Gate {
  const beforeEnd: Gate["beforeEnd"] = (port) =>
    port === null ? Promise.resolve([]) : ipsec.closePeers(port, note);
  if (network === null || network.encryption === null) return { ...OPEN_GATE, beforeEnd };
  return {
    beforeEnd,
    beforeDevices: () => prepareOrCutOff(ipsec, applier, network, live, note),
    beforeEntries: () => ipsec.open(network, note),
  };
}
