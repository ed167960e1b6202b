import type { Clock, Id, Random } from "../base/mod.ts";
import type { WantedEndpoint } from "./attachment_draft.ts";
import type { AttachmentStore } from "./attachment_store.ts";
import type { NewestProjection } from "./newest_projection.ts";
import type { RequestKey } from "./once_by_request.ts";
import type { Overlay, Workloads } from "./ports.ts";

/** What `Attachments` stands on. */
export interface AttachmentsOptions {
  readonly store: AttachmentStore;
  readonly projection: NewestProjection;
  readonly workloads: Workloads;
  readonly overlay: Overlay;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Asks the leader for endpoints on this node, all or none; answers the ids of their networks, in
   * order. Throws a {@linkcode HostError}: `unavailable` when it is not known whether they were
   * made, anything else when the leader refuses.
   */
  readonly createEndpoints: (
    wanted: readonly WantedEndpoint[],
    signal: AbortSignal,
  ) => Promise<readonly Id[]>;
  /** Something that the leader should hear of has changed. */
  readonly onChange: () => void;
  /** Tells the leader now; resolves when it was told, or cannot be. */
  readonly tellLeader: () => Promise<void>;
}

/** What makes a second try the same request, and ends a try. */
export interface AttachOrigin extends RequestKey {
  readonly signal: AbortSignal;
}
