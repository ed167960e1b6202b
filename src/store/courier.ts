import type { Clock, Frame, Id, Logger } from "../base/mod.ts";
import type { MemberId, Message } from "../raft/mod.ts";
import { decodeMessage, encodeMessage, MessageError } from "./message_codec.ts";
import type { RaftTransport } from "./port.ts";

/** A peer that repeats what it must not say gets a line this often. */
const COMPLAINT_INTERVAL_MS = 60_000;

/** What a store has to do with others. */
export interface Network {
  readonly clock: Clock;
  readonly transport: RaftTransport;
  readonly logger: Logger;
}

/** Takes messages to the transport, and frames from it. */
export class Courier {
  readonly #network: Network;
  readonly #self: MemberId;
  readonly #incarnation: Id;
  readonly #complainedAtMs = new Map<MemberId, number>();

  constructor(network: Network, self: MemberId, incarnation: Id) {
    this.#network = network;
    this.#self = self;
    this.#incarnation = incarnation;
  }

  /** Gives what comes to `step`, which says what is wrong with it, if an honest member cannot have sent it. */
  listen(step: (message: Message) => string | null): void {
    this.#network.transport.listen((from, frame) => {
      const fault = this.#read(from, frame, step);
      if (fault !== null) this.#complain(from, fault);
    });
  }

  send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const { transport } = this.#network;
    const byReceiver = new Map<MemberId, Frame[]>();
    for (const message of messages) {
      const frame = encodeMessage(message, this.#incarnation);
      if (message.kind === "snapshot-part") {
        transport.send(message.to, [frame], "snapshot");
        continue;
      }
      const frames = byReceiver.get(message.to);
      if (frames === undefined) byReceiver.set(message.to, [frame]);
      else frames.push(frame);
    }
    for (const [to, frames] of byReceiver) transport.send(to, frames, "log");
  }

  setMembers(members: readonly MemberId[]): void {
    this.#network.transport.setPeers(members.filter((id) => id !== this.#self));
  }

  close(): void {
    this.#network.transport.listen(null);
  }

  #read(from: MemberId, frame: Frame, step: (message: Message) => string | null): string | null {
    let message: Message;
    try {
      message = decodeMessage(frame, { from, to: this.#self, incarnation: this.#incarnation });
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      return error.message;
    }
    return step(message);
  }

  #complain(from: MemberId, reason: string): void {
    const nowMs = this.#network.clock.monotonicMs();
    const lastMs = this.#complainedAtMs.get(from) ?? -Infinity;
    if (nowMs - lastMs < COMPLAINT_INTERVAL_MS) return;
    this.#complainedAtMs.set(from, nowMs);
    this.#network.logger.warn("A manager sent what cannot be taken", { manager: from, reason });
  }
}
