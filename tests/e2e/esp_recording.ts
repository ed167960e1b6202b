import assert from "node:assert/strict";
import type { TestLab } from "../lab/hosts.ts";
import { espOf } from "./frames.ts";
import { FrameSocket } from "./sockets.ts";

/** What somebody on the underlay has recorded, to send it again. */
export class EspRecording {
  readonly frames: readonly Uint8Array<ArrayBuffer>[];

  /** Those of `frames` that are ESP to this address. */
  constructor(frames: readonly Uint8Array<ArrayBuffer>[], to: string) {
    this.frames = frames.filter((frame) => espOf(frame)?.to === to);
  }

  /** Sends them all, as they were, over the cable of the host that they are for. */
  sendAgain(lab: TestLab, port: string): void {
    using socket = FrameSocket.open(lab.underlay.netns, port);
    for (const frame of this.frames) assert(socket.send(frame.slice()));
  }
}
