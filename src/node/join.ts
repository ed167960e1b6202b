import {
  type Bytes,
  type Clock,
  decodeBase64url,
  encodeBase32,
  encodeBase64url,
  encodeUtf8,
  type Id,
  type Random,
} from "../base/mod.ts";
import {
  clusterIdOfRoot,
  createKeyAndCsr,
  parseToken,
  PeerRejectedError,
  rootMatchesPin,
  RootRejectedError,
  TokenRejectedError,
  verifyPeer,
} from "../ca/mod.ts";
import type { JoinReply, JoinRequest, NodeFacts } from "../state/mod.ts";
import {
  Dialer,
  type DialResponse,
  fetchRootUnverified,
  type PeerIdentity,
  TlsDialError,
  type Trust,
} from "../tls/mod.ts";
import type { IdentityStore, NodeRecord } from "./identity.ts";
import { LEADER_HEADER } from "./leader_link.ts";
import { JoinError, NodeError } from "./node_error.ts";
import { ProbeResponder } from "./probe_responder.ts";

const TIMEOUT_MS = 10_000;
/** A leader that is being elected is not far; more hops mean that nobody leads. */
const MAX_HOPS = 3;
/** To one that does not answer: more than this would try a person's patience. */
const MAX_TRIES = 2;
/** Between two looks whether the managers have a leader. */
const ELECTION_PAUSE_MS = 200;

/** What a host needs to join. */
export interface JoinOptions {
  /** A manager, `192.0.2.1:7443`. */
  readonly address: string;
  /** `AGTKN-1-…`. */
  readonly token: string;
  /** What the host says of itself. */
  readonly facts: NodeFacts;
  /** UDP port at which the manager will look for this host: that of plain networks. */
  readonly probePort: number;
  /** Where the membership is kept. */
  readonly store: IdentityStore;
  /** Time. */
  readonly clock: Clock;
  /** Randomness. */
  readonly random: Random;
  /** Says each step before it is done, in words for a person. */
  readonly onStep: (step: string) => void;
  /**
   * The host is to be a manager: makes what only a manager has, in this incarnation. Called before the
   * membership is on disk, for with that the host counts as one.
   */
  readonly becomeManager: (incarnation: Id) => Promise<void>;
}

/**
 * Takes a host into a cluster: fetches the root certificate from a server that nobody has
 * verified, compares it with the token's pin, and only then, over TLS that is verified against
 * that root and reaches a manager, sends the token's secret and a CSR. What it gets is on disk
 * when this resolves.
 *
 * @throws {JoinError} in one sentence; nothing has been left behind
 */
export async function joinCluster(options: JoinOptions): Promise<NodeRecord> {
  const token = parseTokenText(options.token);
  options.onStep(`Fetching the cluster's root certificate from ${options.address}`);
  const shown = await fetchRoots(options);
  options.onStep("Checking it against the pin in the token");
  const { root, clusterId } = checkPin(shown, token.pin, options);
  options.onStep("Asking for a certificate");
  const { privateKey, csr } = createKeyAndCsr();
  const probe = options.random.bytes(16);
  const request: JoinRequest = {
    v: 1,
    secret: encodeBase32(token.secret),
    csr: encodeBase64url(csr),
    facts: options.facts,
    probe: encodeBase64url(probe),
    nowMs: options.clock.nowMs(),
  };
  const responder = await ProbeResponder.start(options.facts, options.probePort, probe);
  const trust = { clusterId, roots: [root] };
  const dialer = new Dialer({ identity: null, trust, clock: options.clock });
  try {
    return await keep(await postJoin(dialer, request, options), privateKey, options);
  } finally {
    responder.close();
    dialer.closeAll();
  }
}

function parseTokenText(text: string): { pin: Uint8Array; secret: Uint8Array } {
  try {
    const { rootSpkiPin, secret } = parseToken(text);
    return { pin: rootSpkiPin, secret };
  } catch (error) {
    if (!(error instanceof TokenRejectedError)) throw error;
    throw new JoinError("bad-token", error.message, { cause: error });
  }
}

async function fetchRoots(options: JoinOptions): Promise<Bytes[]> {
  let body: Bytes;
  try {
    ({ body } = await fetchRootUnverified({
      address: options.address,
      timeoutMs: TIMEOUT_MS,
      clock: options.clock,
    }));
  } catch (error) {
    if (!(error instanceof TlsDialError)) throw error;
    throw new JoinError("no-answer", error.message, { cause: error });
  }
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(body));
    if (
      answer !== null && typeof answer === "object" && "roots" in answer &&
      Array.isArray(answer.roots)
    ) {
      return answer.roots.map((root) => decodeBase64url(String(root)));
    }
  } catch {
    // Said below: it is no manager of ours, whatever it is.
  }
  throw new JoinError(
    "no-answer",
    `What answers at ${options.address} is not a manager of an agent cluster`,
  );
}

function checkPin(
  shown: readonly Bytes[],
  pin: Uint8Array,
  options: JoinOptions,
): { readonly root: Bytes; readonly clusterId: Id } {
  try {
    const root = shown.find((one) => rootMatchesPin(one, pin));
    if (root !== undefined) return { root, clusterId: clusterIdOfRoot(root) };
  } catch (error) {
    if (!(error instanceof RootRejectedError)) throw error;
  }
  throw new JoinError(
    "wrong-pin",
    `${options.address} shows a root certificate that is not the one that the token names: either ` +
      "the token is of another cluster, or somebody is in between. Nothing secret was sent",
  );
}

/** The same token and key get the same answer again, so a lost one is asked for once more. */
async function postJoin(
  dialer: Dialer,
  request: JoinRequest,
  { address: firstAddress, clock }: JoinOptions,
): Promise<JoinReply> {
  let address = firstAddress;
  let triesLeft = MAX_TRIES;
  const endMs = clock.monotonicMs() + TIMEOUT_MS;
  for (let hop = 0; hop < MAX_HOPS;) {
    const answer = await postOnce(dialer, request, address);
    if (answer instanceof TlsDialError) {
      if (--triesLeft === 0 || !isLost(answer)) throw dialFailure(answer);
      continue;
    }
    if (answer.status === 503 && clock.monotonicMs() < endMs) {
      await new Promise<void>((resolve) => void clock.schedule(ELECTION_PAUSE_MS, resolve));
      continue;
    }
    const leader = answer.headers.get(LEADER_HEADER);
    if (answer.status !== 421 || leader === null) return parseReply(answer);
    address = leader;
    hop++;
  }
  throw new JoinError("no-answer", `No manager leads: ${address} does not either. Try again`);
}

async function postOnce(
  dialer: Dialer,
  request: JoinRequest,
  address: string,
): Promise<DialResponse | TlsDialError> {
  try {
    return await dialer.request({
      address,
      method: "POST",
      path: "/v1/join",
      headers: { "content-type": "application/json" },
      body: encodeUtf8(JSON.stringify(request)),
      timeoutMs: TIMEOUT_MS,
    });
  } catch (error) {
    if (error instanceof TlsDialError) return error;
    throw error;
  }
}

function isLost({ code }: TlsDialError): boolean {
  return code === "closed" || code === "timeout";
}

function dialFailure(error: TlsDialError): JoinError {
  const { address, cause } = error;
  if (error.code === "not-a-manager") {
    return new JoinError(
      "not-a-manager",
      `${address} shows a certificate of a worker, not of a manager: join at a manager. ` +
        "Nothing secret was sent",
      { cause: error },
    );
  }
  if (error.code === "clock") return clockFailure(address, cause);
  if (error.code === "peer-rejected") {
    return new JoinError(
      "not-verified",
      `${address} cannot prove that it is a manager of this cluster: ${error.message}. ` +
        "Nothing secret was sent",
      { cause: error },
    );
  }
  return new JoinError("no-answer", error.message, { cause: error });
}

function clockFailure(address: string, cause: unknown): JoinError {
  const reason = cause instanceof PeerRejectedError ? ` (${cause.message})` : "";
  return new JoinError(
    "clock",
    `The clocks of this host and of ${address} differ by too much for certificates${reason}: set ` +
      "this host's clock (`date` shows it), then join again",
    { cause },
  );
}

function parseReply(answer: DialResponse): JoinReply {
  const body = answer.json();
  if (answer.status === 200 && isJoinReply(body)) return body;
  const detail = body !== null && typeof body === "object" && "detail" in body
    ? String(body.detail)
    : `it answered ${answer.status}`;
  throw new JoinError("refused", `The cluster does not take this host in: ${detail}`);
}

function isJoinReply(value: unknown): value is JoinReply {
  if (value === null || typeof value !== "object") return false;
  const reply = value as Partial<Record<keyof JoinReply, unknown>>;
  return reply.v === 1 && typeof reply.nodeId === "string" && typeof reply.clusterId === "string" &&
    typeof reply.certificate === "string" && Array.isArray(reply.roots) &&
    Array.isArray(reply.managers) && typeof reply.incarnation === "string";
}

async function keep(
  reply: JoinReply,
  privateKeyPem: string,
  options: JoinOptions,
): Promise<NodeRecord> {
  const { store, facts } = options;
  const roots = reply.roots.map((root) => decodeBase64url(root));
  const certificate = decodeBase64url(reply.certificate);
  const trust = { clusterId: reply.clusterId, roots };
  const { id, role } = verifyOwn(certificate, trust, options);
  if (id !== reply.nodeId) {
    throw new JoinError("not-verified", "The certificate that came is another node's");
  }
  const record: NodeRecord = {
    v: 1,
    clusterId: reply.clusterId,
    nodeId: reply.nodeId,
    role: role === "manager" ? "manager" : "worker",
    controlAddress: facts.controlAddress,
    vtepAddress: facts.vtepAddress,
    managers: reply.managers,
  };
  try {
    store.writeTls(privateKeyPem, certificate, roots);
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    throw new JoinError("not-verified", error.message, { cause: error });
  }
  if (record.role === "manager") await options.becomeManager(reply.incarnation);
  store.writeRecord(record);
  return record;
}

function verifyOwn(certificate: Bytes, trust: Trust, options: JoinOptions): PeerIdentity {
  try {
    return verifyPeer(certificate, trust, options.clock.nowMs());
  } catch (error) {
    if (!(error instanceof PeerRejectedError)) throw error;
    if (error.code === "expired" || error.code === "not-yet-valid") {
      throw clockFailure(options.address, error);
    }
    throw new JoinError("not-verified", `The certificate that came is no good: ${error.message}`, {
      cause: error,
    });
  }
}
