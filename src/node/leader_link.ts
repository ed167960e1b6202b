import { type Clock, type Id, type Logger, type Random } from "../base/mod.ts";
import type { ManagerAddress } from "../state/mod.ts";
import {
  type Dialer,
  type DialRequest,
  type DialResponse,
  type DialStream,
  TlsDialError,
} from "../tls/mod.ts";
import { NodeError } from "./node_error.ts";

/** How a manager that does not lead names the one that does. */
export const LEADER_HEADER = "agent-leader";
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** What {@linkcode LeaderLink} needs. */
export interface LeaderLinkOptions {
  readonly dialer: Dialer;
  readonly nodeId: Id;
  /** The managers that this node knows of, at least one. */
  readonly managers: readonly ManagerAddress[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A request to whoever leads. */
export type LeaderRequest = Omit<DialRequest, "address">;

/** How long to look for a leader. */
export interface Patience {
  /** From now, over all tries. */
  readonly deadlineMs: number;
  /**
   * Whether the request may be made again when its answer did not come: only where the leader
   * knows a request that it has seen, or where asking twice does no harm.
   */
  readonly repeatable: "yes" | "no";
}

/**
 * Finds the leader among the managers and talks to it: in one hop while it stays, and again when
 * another one answers 421 with the leader's address, or nobody answers at all.
 */
export class LeaderLink {
  readonly #options: LeaderLinkOptions;
  #managers: readonly ManagerAddress[];
  #leader: string | null = null;

  /** Knows nothing of a leader yet. */
  constructor(options: LeaderLinkOptions) {
    this.#options = options;
    this.#managers = options.managers;
  }

  /** Where the leader was last heard, or null. */
  get leaderAddress(): string | null {
    return this.#leader;
  }

  /** The managers as a leader has just named them. */
  setManagers(managers: readonly ManagerAddress[]): void {
    if (managers.length > 0) this.#managers = managers;
  }

  /**
   * Sends a request to the leader and gives the complete answer, whatever its status.
   *
   * @throws {NodeError} `unavailable` when no leader has answered in time
   */
  request(request: LeaderRequest, patience: Patience): Promise<DialResponse> {
    return this.#seek(patience, request.signal, (address) => {
      return this.#options.dialer.request({ ...request, address });
    });
  }

  /**
   * Opens a long answer from the leader.
   *
   * @throws {NodeError} `unavailable` when no leader has answered in time
   */
  openStream(request: LeaderRequest, patience: Patience): Promise<DialStream> {
    return this.#seek(patience, request.signal, (address) => {
      return this.#options.dialer.openStream({ ...request, address });
    });
  }

  async #seek<Answer extends { readonly status: number; readonly headers: Headers }>(
    patience: Patience,
    signal: AbortSignal | undefined,
    ask: (address: string) => Promise<Answer>,
  ): Promise<Answer> {
    const { clock, random } = this.#options;
    const endMs = clock.monotonicMs() + patience.deadlineMs;
    let pauseMs = FIRST_PAUSE_MS;
    let lastError: unknown = null;
    for (let turn = 0;; turn++) {
      signal?.throwIfAborted();
      const address = this.#candidate(turn);
      try {
        const answer = await ask(address);
        if (answer.status !== 421) {
          this.#leader = address;
          return answer;
        }
        const elsewhere = answer.headers.get(LEADER_HEADER);
        this.#leader = elsewhere;
        lastError = new Error(`${address} does not lead`);
        if (elsewhere !== null && elsewhere !== address) continue;
      } catch (error) {
        if (!(error instanceof TlsDialError)) throw error;
        if (this.#leader === address) this.#leader = null;
        if (patience.repeatable === "no" && wasSent(error)) throw error;
        lastError = error;
      }
      if (clock.monotonicMs() + pauseMs >= endMs) throw noLeader(lastError);
      await pause(clock, pauseMs / 2 + random.below(Math.ceil(pauseMs / 2)));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  #candidate(turn: number): string {
    if (this.#leader !== null) return this.#leader;
    const manager = this.#managers[turn % this.#managers.length];
    if (manager === undefined) throw new NodeError("unavailable", "This node knows of no manager");
    return manager.address;
  }
}

/** Whether the manager may have acted on the request. */
function wasSent(error: TlsDialError): boolean {
  return error.code === "closed" || error.code === "timeout" || error.code === "response-too-large";
}

function noLeader(lastError: unknown): NodeError {
  const reason = lastError instanceof Error ? lastError.message : String(lastError);
  return new NodeError("unavailable", `No manager leads that this node can reach: ${reason}`, {
    cause: lastError,
  });
}

/** Resolves after a while. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.schedule(delayMs, resolve));
}
