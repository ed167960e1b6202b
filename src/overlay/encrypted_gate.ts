import type { DesiredNetwork } from "./desired.ts";
import type { HostIpsec, Note } from "./ipsec/host_ipsec.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { type Gate, OPEN_GATE, type SandboxApplier } from "./sandbox_applier.ts";

/**
 * Has the VXLAN device of an encrypted network down while its packets could leave in the clear, so while
 * its blocks do not stand or the host's settings pass by them.
 *
 * @param live as it was just seen; null when there is none
 * @param note told of what is done to the host
 * @returns why the network cannot be up; null when it can
 */
export async function holdDown(
  ipsec: HostIpsec,
  applier: SandboxApplier,
  network: DesiredNetwork,
  live: LiveSandbox | null,
  note: Note,
): Promise<string | null> {
  // What there is may be as it should be, so it is let alone.
  if (ipsec.fault !== null) return ipsec.fault;
  const refusal = ipsec.refusal(network);
  // While policies are passed by on the way out, a decrypted packet that finds no socket is answered by an
  // ICMP error in the clear that quotes it: so none may be let in before the device's socket goes.
  if (live !== null && refusal !== null) await ipsec.closePeers(network.port, note);
  if (live !== null && (refusal !== null || !ipsec.isBlocked(network))) {
    await applier.takeDown(live);
  }
  if (refusal !== null) ipsec.noteDown(network.id);
  return refusal;
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
    beforeDevices: async () => {
      const failures = await ipsec.prepare(network, note);
      if (failures.length > 0 && live !== null) await applier.takeDown(live);
      return failures;
    },
    beforeEntries: () => ipsec.open(network, note),
  };
}
