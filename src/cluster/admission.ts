import {
  type Bytes,
  type Clock,
  decodeBase32,
  decodeBase64url,
  type Id,
  IpAddress,
  type Logger,
  type Principal,
} from "../base/mod.ts";
import { hashSecret } from "../ca/mod.ts";
import {
  type ClusterState,
  type Command,
  type CommandKind,
  type CommandValues,
  type JoinReply,
  type JoinRequest,
  type Token,
} from "../state/mod.ts";
import type { Issuer } from "./issuer.ts";
import { managerAddresses } from "./managers.ts";
import { answersProbe } from "./probe.ts";
import { RefusedError } from "./refused_error.ts";

const MAX_CLOCK_SKEW_MS = 5 * 60_000;
const PROBE_BYTES = 16;

/** What {@linkcode Admission} needs of the control plane. */
export interface AdmissionLedger {
  readonly state: ClusterState;
  newId(): Id;
  stateTimeMs(): number;
  writeOnce<Kind extends CommandKind>(
    principal: Principal,
    command: Command & { readonly kind: Kind },
  ): Promise<CommandValues[Kind]>;
}

/** Takes in new members. */
export class Admission {
  readonly #ledger: AdmissionLedger;
  readonly #issuer: Issuer;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(
    ledger: AdmissionLedger,
    issuer: Issuer,
    ports: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#ledger = ledger;
    this.#issuer = issuer;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /**
   * The certificate is signed before the command that records it commits, and leaves this process
   * only after it has: a certificate that nobody has recorded is never out there.
   *
   * @throws {RefusedError} when the joiner is not taken in
   */
  async join(request: JoinRequest, peerAddress: string): Promise<JoinReply> {
    const { facts } = request;
    const secretHash = hashSecret(decodeSecret(request.secret));
    const { role } = this.#findToken(secretHash);
    this.#checkClock(request.nowMs);
    const { publicKey } = this.#issuer.readRequest(request.csr);
    await this.#probe(request);
    const id = this.#ledger.newId();
    const certificate = await this.#issuer.issueNode(this.#ledger.state, { id, role, publicKey });
    const joined = await this.#ledger.writeOnce({ kind: "anonymous" }, {
      kind: "node.join",
      body: { secretHash, node: { id, role, labels: {}, facts, certificate } },
    });
    this.#logger.info("A node has joined", {
      node: joined.id,
      hostname: facts.hostname,
      role,
      peer: peerAddress,
    });
    return this.#reply(joined);
  }

  #reply(joined: CommandValues["node.join"]): JoinReply {
    const { state } = this.#ledger;
    return {
      v: 1,
      nodeId: joined.id,
      clusterId: state.clusterId,
      certificate: joined.certificate,
      roots: state.authority.roots,
      managers: managerAddresses(state),
      incarnation: state.incarnation,
      stateTimeMs: this.#ledger.stateTimeMs(),
    };
  }

  /** Asked again by `apply`: this early look spares a stranger's guess a signature and a probe. */
  #findToken(secretHash: string): Token {
    const token = this.#ledger.state.tokenBySecret(secretHash);
    if (token !== undefined) return token;
    throw new RefusedError({
      code: "token-unknown",
      message: "No such join token: it was deleted, or never made. Ask for a new one with " +
        "`agent token create` on a manager",
    });
  }

  /** Certificates are backdated by an hour; clocks that differ by more would refuse each other. */
  #checkClock(theirsMs: number): void {
    const aheadMs = theirsMs - this.#clock.nowMs();
    if (Math.abs(aheadMs) <= MAX_CLOCK_SKEW_MS) return;
    const minutes = Math.round(Math.abs(aheadMs) / 60_000);
    throw new RefusedError({
      code: "clock-skewed",
      message:
        `The joining host's clock is ${minutes} minutes ${aheadMs > 0 ? "ahead of" : "behind"} ` +
        "this manager's: set the clock that is wrong, then join again",
    });
  }

  async #probe(request: JoinRequest): Promise<void> {
    const { controlAddress, vtepAddress } = request.facts;
    const control = controlAddress.slice(0, controlAddress.lastIndexOf(":")).replace(
      /^\[|\]$/g,
      "",
    );
    const port = this.#ledger.state.settings.plainVxlanPort;
    const payload = decodeProbe(request.probe);
    const addresses = [...new Set([control, vtepAddress])].map(parseAddress);
    const answers = await Promise.all(
      addresses.map((address) => answersProbe({ address, port, payload, clock: this.#clock })),
    );
    const silent = addresses.find((_, index) => answers[index] === false);
    if (silent === undefined) return;
    throw new RefusedError({
      code: "address-unreachable",
      message: `This manager cannot reach ${silent} by UDP on port ${port}: give an address of ` +
        "the joining host that the others can reach (--advertise, --vtep), or open that port",
    });
  }
}

/** Short ones could be guessed, and so answered by a host that was not asked. */
function decodeProbe(text: string): Bytes {
  let probe: Bytes;
  try {
    probe = decodeBase64url(text);
  } catch (cause) {
    throw refuseValue("/probe", cause);
  }
  if (probe.length === PROBE_BYTES) return probe;
  throw refuseValue("/probe", new RangeError(`The probe has ${probe.length} bytes, not 16`));
}

function decodeSecret(text: string): Uint8Array {
  try {
    return decodeBase32(text);
  } catch (cause) {
    throw refuseValue("/secret", cause);
  }
}

function parseAddress(text: string): IpAddress {
  try {
    return IpAddress.parse(text);
  } catch (cause) {
    throw refuseValue("/facts", cause);
  }
}

function refuseValue(field: string, cause: unknown): RefusedError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new RefusedError({ code: "invalid-value", message, field });
}
