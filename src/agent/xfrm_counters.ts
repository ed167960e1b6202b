import { parseXfrmStat } from "../netlink/mod.ts";
import type { ReportedRefusal } from "../state/mod.ts";

/**
 * What it means when IPsec has refused a packet, by the kernel's counters (its
 * `Documentation/networking/xfrm_proc.rst`), in the words of what we use it for. They count everything of
 * the host's network namespace, other programs' IPsec too.
 */
const MEANINGS: Readonly<Record<string, string>> = {
  XfrmInError: "received ESP was refused for another reason than those below",
  XfrmInBufferError: "received ESP was dropped for want of memory",
  XfrmInHdrError: "received ESP had a broken header",
  XfrmInNoStates: "ESP came for which this host has no key: of an epoch that it does not have",
  XfrmInStateProtoError:
    "received ESP was not intact: forged or damaged on the way, or the two hosts have other keys",
  XfrmInStateModeError: "ESP came in another mode than transport",
  XfrmInStateSeqError: "ESP came again, or much too late: it was refused as a replay",
  XfrmInStateExpired: "ESP came for a key whose time was over",
  XfrmInStateMismatch: "ESP came with a key that is for other addresses, ports or another network",
  XfrmInStateInvalid: "ESP came for a key that is just being deleted",
  XfrmInTmplMismatch: "cleartext came for an encrypted network, or was forged, and was dropped",
  XfrmInNoPols: "a packet was decrypted for which there is no policy",
  XfrmInPolBlock: "cleartext came from or for a port of an encrypted network and was dropped",
  XfrmInPolError: "the policy for a received packet could not be found out",
  XfrmOutError: "a packet could not be sent encrypted for another reason than those below",
  XfrmOutBundleGenError: "a packet could not be sent: no way to send it encrypted could be made",
  XfrmOutBundleCheckError: "a packet could not be sent: the way to send it has changed meanwhile",
  XfrmOutNoStates: "a packet was dropped because there is no key to send it with",
  XfrmOutStateProtoError: "a packet could not be encrypted",
  XfrmOutStateModeError: "a packet could not be put into transport mode",
  XfrmOutStateSeqError: "a key has no sequence numbers left",
  XfrmOutStateExpired: "a packet was to be sent with a key whose time was over",
  XfrmOutPolBlock:
    "cleartext was offered for an encrypted network and dropped: to a host with which no key is agreed",
  XfrmOutPolDead: "a packet met a policy that is just being deleted",
  XfrmOutPolError: "the policy for a packet to be sent could not be found out",
  XfrmOutStateInvalid: "a packet was to be sent with a key that is just being deleted",
  XfrmAcquireError: "the kernel could not ask for a key",
  XfrmFwdHdrError: "a packet that was to be passed on encrypted had a broken header",
  XfrmOutStateDirError: "a packet was to be sent with a key that is for receiving",
  XfrmInStateDirError: "ESP came with a key that is for sending",
  XfrmInIptfsError: "received ESP with aggregated packets was broken; it is not ours",
  XfrmOutNoQueueSpace: "a packet to be sent encrypted found its queue full",
};

/** What it means that one of these counters has counted. */
export function refusalOf(name: string, packets: number): ReportedRefusal {
  const meaning = MEANINGS[name] ?? "see the kernel's xfrm_proc.rst";
  return { name, networkName: null, packets, meaning };
}

/** How often IPsec has refused packets since the agent began to look. */
export class XfrmCounters {
  readonly #read: () => string | null;
  readonly #atStart: ReadonlyMap<string, number>;

  /** @param read the text of `/proc/net/xfrm_stat`; null when the kernel has none */
  constructor(read: () => string | null) {
    this.#read = read;
    this.#atStart = this.#now();
  }

  /** Those that have counted, each with what it means. */
  refusals(): readonly ReportedRefusal[] {
    const refusals: ReportedRefusal[] = [];
    for (const [name, count] of this.#now()) {
      const packets = count - (this.#atStart.get(name) ?? 0);
      if (packets <= 0) continue;
      refusals.push(refusalOf(name, packets));
    }
    return refusals;
  }

  #now(): ReadonlyMap<string, number> {
    const text = this.#read();
    return text === null ? new Map() : parseXfrmStat(text);
  }
}
