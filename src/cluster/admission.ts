import {
  assert,
  type Clock,
  decodeBase32,
  decodeBase64url,
  type Id,
  IpAddress,
  type Logger,
} from "../base/mod.ts";
import { hashSecret } from "../ca/mod.ts";
import {
  type ClusterState,
  type Command,
  type CommandValues,
  type JoinReply,
  type JoinRequest,
  type Outcome,
  type Token,
  valueOf,
} from "../state/mod.ts";
import type { Issuer } from "./issuer.ts";
import { managerAddresses } from "./node_streams.ts";
import { answersProbe } from "./probe.ts";
import { RefusedError } from "./refused_error.ts";

const MAX_CLOCK_SKEW_MS = 5 * 60_000;

/** What {@linkcode Admission} needs of the control plane. */
export interface AdmissionLedger {
  readonly state: ClusterState;
  newId(): Id;
  stateTimeMs(): number;
  writeOnce(principal: { readonly kind: "anonymous" }, command: Command): Promise<Outcome>;
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
    const secretHash = hashSecret(decodeSecret(request.secret));
    const token = this.#findToken(secretHash);
    this.#checkClock(request.nowMs);
    await this.#probe(request);
    const id = this.#ledger.newId();
    const certificate = await this.#issuer.issueNode(this.#ledger.state, {
      id,
      role: token.role,
      csr: request.csr,
    });
    const node = { id, role: token.role, labels: {}, facts: request.facts, certificate };
    const command: Command = { kind: "node.join", body: { secretHash, node } };
    const outcome = await this.#ledger.writeOnce({ kind: "anonymous" }, command);
    if (!outcome.ok) throw new RefusedError(outcome.rejection);
    return this.#reply(valueOf("node.join", outcome.value), peerAddress);
  }

  #reply(joined: CommandValues["node.join"], peerAddress: string): JoinReply {
    const { state } = this.#ledger;
    const node = state.nodes.get(joined.id);
    assert(node !== undefined, "a node that has joined is there");
    this.#logger.info("A node has joined", {
      node: node.id,
      hostname: node.facts.hostname,
      role: node.role,
      peer: peerAddress,
    });
    return {
      v: 1,
      nodeId: node.id,
      clusterId: state.clusterId,
      certificate: joined.certificate,
      roots: state.authority.roots,
      managers: managerAddresses(state),
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
    const payload = decodeBase64url(request.probe);
    const addresses = [...new Set([control, vtepAddress])];
    await Promise.all(addresses.map(async (text) => {
      const address = parseAddress(text);
      if (await answersProbe({ address, port, payload, clock: this.#clock })) return;
      throw new RefusedError({
        code: "address-unreachable",
        message: `This manager cannot reach ${text} by UDP on port ${port}: give an address of ` +
          "the joining host that the others can reach (--advertise, --vtep), or open that port",
      });
    }));
  }
}

function decodeSecret(text: string): Uint8Array {
  try {
    return decodeBase32(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new RefusedError({ code: "invalid-value", message, field: "/secret" });
  }
}

function parseAddress(text: string): IpAddress {
  try {
    return IpAddress.parse(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new RefusedError({ code: "invalid-value", message, field: "/facts" });
  }
}
