/**
 * The only door: every byte that one host's control plane sends to another's goes through here.
 * TLS 1.3 with certificates of the cluster's own CA on both sides, over `node:https`.
 *
 * The runtime's verdict about a peer is never read. On a resumed session it calls a self-signed
 * certificate authorised, and as a client it accepts certificates whose issuer only has the right
 * *name*. So {@linkcode Listener} and {@linkcode Dialer} take the certificate itself and run
 * `ca.verifyPeer` on it, on every connection, before a byte of a request is handed on or leaves.
 * No other TLS server may run in the process, for all of them would share session tickets.
 *
 * - {@linkcode Listener} serves a `fetch` handler to members, and, with narrow limits that members
 *   never feel, to strangers. Who a request comes from is a fact about its connection.
 * - {@linkcode Dialer} makes requests and opens streams to managers, and to nobody else. Without
 *   an identity it is a stranger that still verifies the server: that is how a node joins.
 * - {@linkcode ManagerStreams} keeps streams of frames between managers, on the same port.
 * - {@linkcode fetchRootUnverified} is the one exchange with a server that nobody has verified.
 *
 * Reading from TLS has no back-pressure here: a reader that pauses still receives. A protocol with
 * long streams needs a window of its own; this folder only ends what exceeds its byte limits.
 *
 * ```ts
 * const listener = await startListener({
 *   port: 7443,
 *   identity: { privateKeyPem, certificatePem },
 *   trust: { clusterId, roots: [rootDer] },
 *   clock,
 *   logger,
 *   authorize: (peer) => peer.identity === null ? "stranger" : "member",
 *   handle: (request, peer) => app.fetch(request, { peer }),
 * });
 *
 * const dialer = new Dialer({ identity, trust, clock });
 * const answer = await dialer.request({ address: "192.0.2.1:7443", method: "GET", path: "/healthz" });
 * answer.status; // 200
 * ```
 *
 * @module
 */
export type { PeerIdentity, Trust } from "../ca/mod.ts";
export type { TlsIdentity } from "./identity.ts";
export type { PeerInfo, Standing } from "./peer.ts";
export type { ListenerLimits } from "./limits.ts";
export type { Listener, ListenerOptions } from "./listener.ts";
export { startListener } from "./start_listener.ts";
export {
  Dialer,
  type DialerOptions,
  type DialRequest,
  type DialResponse,
  type DialStream,
  type UpgradeRequest,
} from "./dialer.ts";
export { TlsDialError, type TlsDialErrorCode } from "./dial_error.ts";
export { fetchRootUnverified, type RootFetchOptions, type UnverifiedRoot } from "./root_fetch.ts";
export type { Lane, ManagerStreams, ManagerStreamsOptions } from "./manager_streams.ts";
export { createManagerStreams } from "./create_manager_streams.ts";
export type { StreamStats } from "./outgoing_stream.ts";
export type { StreamLimits } from "./stream_limits.ts";
export type { ByteReceiver, ByteStream, Upgrade } from "./upgrade.ts";
