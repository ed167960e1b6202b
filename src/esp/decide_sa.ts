import type { Installation, Journal } from "./journal.ts";

/** What the kernel has at an SA's place: destination, SPI and protocol. */
export type KernelSa = "absent" | "larval" | "present";

/**
 * What to do about an SA that should be there:
 *
 * - `adopt`: it is there, leave it alone;
 * - `install`: write the record, then `NEWSA`;
 * - `fill`: the same with `UPDSA`, for a larval SA is in the way;
 * - `replace`: another SA of ours is in the way, derived from something else (a peer has rebooted):
 *   delete it and wait for the ack, then write the record, then `NEWSA`. In this order, so that an SA
 *   that is there is always the last of the journal;
 * - `closed`: its key was, or may have been, installed before: no packet passes between the two on this
 *   epoch; ask for a rotation.
 *
 * What the kernel has refused in so many words was not installed, so the process that asked may look
 * again and go on. One that has only the journal cannot know.
 */
export type SaDecision = "adopt" | "install" | "fill" | "replace" | "closed";

/**
 * Decides about one SA.
 *
 * @param present what the kernel has there, with our reqid; what has another is not ours, and not to be
 *   touched
 */
export function decideSa(
  present: KernelSa,
  wanted: Installation,
  journal: Journal,
): SaDecision {
  const installed = journal.has(wanted);
  switch (present) {
    case "absent":
      return installed ? "closed" : "install";
    case "larval":
      return installed ? "closed" : "fill";
    case "present":
      if (!installed) return "replace";
      return journal.latest(wanted)?.context === wanted.context ? "adopt" : "closed";
  }
}
