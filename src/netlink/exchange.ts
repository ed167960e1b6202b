import { ERRNO } from "./constants.ts";
import { NetlinkError } from "./errors.ts";
import type { Ack, Message } from "./message.ts";
import type { Request } from "./request.ts";

/** One request that has been sent, and what has come back for it. */
export interface Exchange {
  readonly request: Request;
  readonly sequence: number;
  readonly replies: Message[];
  ack: Ack | null;
  /** The table changed while it was dumped, or parts of the dump were lost. */
  interrupted: boolean;
}

/** One request or more. */
export type Requests = readonly [Request, ...Request[]];

/** What has been opened for them, in their order. */
export type Exchanges = readonly [Exchange, ...Exchange[]];

/** The kernel's refusal; null when it did what was asked, or has not answered yet. */
export function refusal({ request, ack }: Exchange): NetlinkError | null {
  if (ack === null || ack.errno === 0) return null;
  return new NetlinkError(request.describe(), ack.errno, ack.extendedAck);
}

/** The kernel answers before `send` returns, so a missing answer was thrown away for want of room. */
export function unanswered(request: Request): NetlinkError {
  return new NetlinkError(request.describe(), ERRNO.ENOBUFS, null, {
    detail:
      "the kernel's answer was lost, so the request may have been done; read the state again, " +
      "and use a larger receive buffer or smaller batches",
  });
}
