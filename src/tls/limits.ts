/** How much the listener takes from whom. The defaults are what a cluster runs with. */
export interface ListenerLimits {
  /** Connections whose TLS handshake is not done; one more ends the oldest of them. */
  readonly handshakes: number;
  /** The same, per IP address. */
  readonly handshakesPerAddress: number;
  /** How long one may take. */
  readonly handshakeTimeoutMs: number;
  /** Connections of strangers, recovering and refused peers; one more is closed. */
  readonly strangers: number;
  /** The same, per IP address. */
  readonly strangersPerAddress: number;
  /** How long a stranger's connection lives, however busy. */
  readonly strangerLifetimeMs: number;
  /** The longest body of a request of theirs. */
  readonly strangerBodyBytes: number;
  /** Connections of one member; one more is closed. */
  readonly connectionsPerMember: number;
  /** Requests of one connection that are not answered yet; one more ends the connection. */
  readonly requestsPerConnection: number;
  /** The longest body of a member's request. */
  readonly memberBodyBytes: number;
  /** Until a request's headers are there, from its first byte. */
  readonly headersTimeoutMs: number;
  /** Until the request with its body is there; a long response is not limited. */
  readonly requestTimeoutMs: number;
  /** How long a connection stays open on which no request is under way. */
  readonly idleTimeoutMs: number;
}

/**
 * A member's handshake takes milliseconds, so even under a flood of 700 handshakes a second the
 * oldest of 128 unfinished ones is not a member's. Dialers keep an idle connection for less than
 * `idleTimeoutMs`, so that it is never the server who ends one just when it is used again.
 */
export const DEFAULT_LIMITS: ListenerLimits = {
  handshakes: 128,
  handshakesPerAddress: 32,
  handshakeTimeoutMs: 5_000,
  strangers: 64,
  strangersPerAddress: 8,
  strangerLifetimeMs: 5_000,
  strangerBodyBytes: 64 * 1024,
  connectionsPerMember: 64,
  requestsPerConnection: 2,
  memberBodyBytes: 1024 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
};
