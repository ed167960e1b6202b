import { type Clock, type Logger, type Random } from "../base/mod.ts";
import type { ManagerAddress } from "../state/mod.ts";
import {
  type Dialer,
  type DialRequest,
  type DialResponse,
  type DialStream,
  TlsDialError,
} from "../tls/mod.ts";
import { pause } from "./abort.ts";
import { INCARNATION_HEADER } from "./known_incarnation.ts";
import { NodeError } from "./node_error.ts";

/** How a manager that does not lead names the one that does. */
export const LEADER_HEADER = "agent-leader";
/**
 * 421: another one leads; 503: none does at the moment, or the leader does not know what became of the
 * request. All are asked again: whoever leads knows a request that was done already.
 */
const NO_LEADER: readonly number[] = [421, 503];
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** One manager that swallows packets must not take all the time that there is. */
const TRY_TIMEOUT_MS = 4_000;

/** What {@linkcode LeaderLink} needs. */
export interface LeaderLinkOptions {
  readonly dialer: Dialer;
  /** The managers that this node knows of, at least one. */
  readonly managers: readonly ManagerAddress[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What each request says of the incarnation that this node lives in; null: nothing. */
  readonly incarnation?: () => string | null;
}

/**
 * A request to whoever leads. It is made again when its answer did not come, so it must be one that
 * the leader knows when it has seen it, or that does no harm the second time.
 */
export type LeaderRequest = Omit<DialRequest, "address" | "timeoutMs" | "body"> & {
  /** Sent whole; a function makes another one for each try. */
  readonly body?: Uint8Array | (() => Uint8Array);
  /** How long to look for a leader who answers, over all tries. */
  readonly deadlineMs: number;
  /** The longest pause between two tries; a second by default. Short where a person waits. */
  readonly longestPauseMs?: number;
};

interface Answer {
  readonly status: number;
  readonly headers: Headers;
}

/** A long answer, and where it comes from. */
export interface LeaderStream {
  readonly stream: DialStream;
  readonly address: string;
}

/**
 * Finds the leader among the managers and talks to it: in one hop while it stays, and again when
 * another one answers 421 with the leader's address, 503, or nobody answers at all.
 */
export class LeaderLink {
  readonly #options: LeaderLinkOptions;
  readonly #closing = new AbortController();
  #managers: readonly ManagerAddress[];
  #leader: string | null = null;
  /** Managers of another incarnation: they are told nothing and asked for nothing but a stream. */
  readonly #shunned = new Set<string>();

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
    // One that has joined again is another.
    this.#shunned.clear();
  }

  /**
   * Who speaks there speaks for another incarnation. Should it be the only one that is known, streams
   * are still tried: it may join the right cluster again.
   */
  shun(address: string): void {
    this.#shunned.add(address);
    if (this.#leader === address) this.#leader = null;
  }

  /** What the leader said was not to be believed: the next request goes to any manager. */
  forgetLeader(): void {
    this.#leader = null;
  }

  /**
   * Sends a request to the leader and gives the complete answer, whatever its status.
   *
   * @throws {NodeError} `unavailable` when no leader has answered in time
   */
  request(request: LeaderRequest): Promise<DialResponse> {
    return this.#seek(request, "trusted", (dialled) => this.#options.dialer.request(dialled));
  }

  /**
   * Opens a long answer from the leader.
   *
   * @throws {NodeError} `unavailable` when no leader has answered in time
   */
  async openStream(request: LeaderRequest): Promise<LeaderStream> {
    return await this.#seek(request, "all", async (dialled) => {
      const stream = await this.#options.dialer.openStream(dialled);
      const { status, headers } = stream;
      if (NO_LEADER.includes(status)) stream.close();
      return { stream, address: dialled.address, status, headers };
    });
  }

  /** Gives up what is under way. */
  close(): void {
    this.#closing.abort(new NodeError("unavailable", "The agent is stopping"));
  }

  async #seek<Found extends Answer>(
    { deadlineMs, body, longestPauseMs = LONGEST_PAUSE_MS, ...request }: LeaderRequest,
    among: "trusted" | "all",
    ask: (request: DialRequest) => Promise<Found>,
  ): Promise<Found> {
    const { clock, random } = this.#options;
    const incarnation = this.#options.incarnation?.() ?? null;
    const said = incarnation === null ? {} : { [INCARNATION_HEADER]: incarnation };
    const headers = { ...request.headers, ...said };
    const closing = this.#closing.signal;
    const signal = request.signal ? AbortSignal.any([request.signal, closing]) : closing;
    const endMs = clock.monotonicMs() + deadlineMs;
    let pauseMs = FIRST_PAUSE_MS;
    let isRedirected = false;
    let turn = random.below(Math.max(1, this.#managers.length));
    for (;;) {
      signal.throwIfAborted();
      // Who is said to lead takes nobody's turn: he may be dead, and all others name him still.
      const address = this.#leader ?? this.#managerAt(turn++, among);
      const leftMs = endMs - clock.monotonicMs();
      let failure: Error;
      try {
        const timeoutMs = Math.max(1, Math.min(leftMs, TRY_TIMEOUT_MS));
        const sent = typeof body === "function" ? body() : body;
        const whole = sent === undefined ? request : { ...request, body: sent };
        const answer = await ask({ ...whole, headers, address, signal, timeoutMs });
        if (!NO_LEADER.includes(answer.status)) {
          this.#leader = address;
          return answer;
        }
        const leader = answer.headers.get(LEADER_HEADER);
        this.#leader = leader !== null && this.#shunned.has(leader) ? null : leader;
        failure = new Error(
          answer.status === 421 ? `${address} does not lead` : `${address} can decide nothing now`,
        );
        // At once, but not in a circle of managers who name each other while one is elected.
        isRedirected = !isRedirected && this.#leader !== null && this.#leader !== address;
        if (isRedirected) continue;
      } catch (error) {
        if (!(error instanceof TlsDialError)) throw error;
        if (this.#leader === address) this.#leader = null;
        failure = error;
      }
      if (clock.monotonicMs() + pauseMs >= endMs) throw noLeader(failure);
      await pause(clock, pauseMs / 2 + random.below(Math.ceil(pauseMs / 2)), signal);
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }

  /** @throws {NodeError} `unavailable` when there is nobody that may be asked */
  #managerAt(turn: number, among: "trusted" | "all"): string {
    const trusted = this.#managers.filter(({ address }) => !this.#shunned.has(address));
    const asked = trusted.length === 0 && among === "all" ? this.#managers : trusted;
    const manager = asked[turn % asked.length];
    if (manager !== undefined) return manager.address;
    throw new NodeError(
      "unavailable",
      this.#managers.length === 0
        ? "This node knows of no manager"
        : "Every manager that this node knows of speaks for an earlier incarnation of the cluster",
    );
  }
}

function noLeader(cause: Error): NodeError {
  const message = `No manager leads that this node can reach: ${cause.message}`;
  return new NodeError("unavailable", message, { cause });
}
