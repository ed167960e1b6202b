import assert from "node:assert/strict";
import type { TestLab } from "../lab/hosts.ts";
import { Capture } from "./capture.ts";
import {
  classify,
  contains,
  describeFrame,
  EXPERIMENT,
  type FrameKind,
  isExperiment,
  MARKER,
  parsePcap,
} from "./frames.ts";
import { FrameSocket } from "./sockets.ts";
import { waitFor } from "./wait.ts";

/** What an underlay has carried. */
export interface Sighting {
  readonly counts: Readonly<Record<FrameKind, number>>;
  /** What has no business there, in words. */
  readonly leaks: readonly string[];
}

/** More than the largest packet of ESP; only TCP's, of the control plane, may be larger. */
const SNAP_BYTES = 2048;
const CONTROL_PORT = 7443;
const PLAIN_PORT = 19999;
/** A leak that goes on is told by its first packets. */
const LEAKS_TOLD = 10;

/**
 * Watches everything that the hosts of a lab send to each other: tcpdump on the bridge between them,
 * which therefore sees what really left a host, whatever the host itself thinks of it.
 */
export class UnderlayWatch {
  readonly #capture: Capture;
  readonly #lab: TestLab;
  readonly #plain: readonly number[];
  #signs = 0;

  private constructor(capture: Capture, lab: TestLab, plain: readonly number[]) {
    this.#capture = capture;
    this.#lab = lab;
    this.#plain = plain;
  }

  /** `plain`: whether there are networks without encryption, too. */
  static async start(lab: TestLab, options: { plain?: boolean } = {}): Promise<UnderlayWatch> {
    const capture = await Capture.start({
      host: lab.underlay,
      device: "underlay",
      snapBytes: SNAP_BYTES,
    });
    return new UnderlayWatch(capture, lab, options.plain ? [PLAIN_PORT] : []);
  }

  /** The frames so far: all that were sent before this is called. */
  async frames(): Promise<Uint8Array<ArrayBuffer>[]> {
    const sign = `sign ${++this.#signs}`;
    const frame = new Uint8Array(60);
    new DataView(frame.buffer).setUint16(12, EXPERIMENT);
    frame.set(new TextEncoder().encode(sign), 14);
    const { netns } = this.#lab.underlay;
    {
      using socket = FrameSocket.open(netns, "underlay");
      assert(socket.send(frame));
    }
    return await waitFor("the capture to have come so far", () => {
      const frames = parsePcap(this.#capture.bytes());
      const end = frames.findLastIndex((seen) => isExperiment(seen) && contains(seen, sign));
      return end >= 0 && frames.slice(0, end).filter((seen) => !isExperiment(seen));
    });
  }

  /** How many there are now, to be given to {@linkcode look} as the place to begin at. */
  async mark(): Promise<number> {
    return (await this.frames()).length;
  }

  /** What was seen, from a {@linkcode mark} on. */
  async look(from = 0): Promise<Sighting> {
    return this.#judge((await this.frames()).slice(from));
  }

  #judge(frames: readonly Uint8Array<ArrayBuffer>[]): Sighting {
    const counts = { esp: 0, control: 0, neighbours: 0, icmp: 0, vxlan: 0, cleartext: 0 };
    const leaks: string[] = [];
    for (const frame of frames) {
      const kind = classify(frame, { controlPort: CONTROL_PORT, plainPorts: this.#plain });
      counts[kind]++;
      const readable = kind !== "vxlan" && contains(frame, MARKER);
      if (kind === "cleartext" || readable) leaks.push(`${kind}: ${describeFrame(frame)}`);
    }
    return { counts, leaks: leaks.slice(0, LEAKS_TOLD) };
  }

  /** Asserts that nothing was readable, and that there was ESP: silence is no success. */
  async assertEspOnly(
    options: { readonly from?: number; readonly atLeast: number },
  ): Promise<void> {
    const { counts, leaks } = await this.look(options.from);
    assert.deepEqual(leaks, []);
    assert(counts.esp >= options.atLeast, `${counts.esp} ESP packets, not ${options.atLeast}`);
  }

  /** Ends it; it must have seen every packet. */
  async stop(): Promise<void> {
    await this.#capture.end();
  }
}
