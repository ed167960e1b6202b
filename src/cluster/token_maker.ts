import { createHmac } from "node:crypto";
import {
  type Bytes,
  decodeBase32,
  decodeBase64url,
  encodeUtf8,
  type Id,
  present,
} from "../base/mod.ts";
import { hashSecret, makeToken, rootPinOf } from "../ca/mod.ts";
import { type ClusterState, type Command, type Outcome, valueOf } from "../state/mod.ts";
import type { TokenOutcome, TokenWriteRequest, WriteRequest } from "./calls.ts";

const TOKEN_LABEL = encodeUtf8("agent/token/1");
const SECRET_BYTES = 16;

/** What {@linkcode TokenMaker} needs of the control plane. */
export interface TokenLedger {
  readonly state: ClusterState;
  write(request: WriteRequest): Promise<Outcome>;
}

/**
 * Makes join tokens. A token's secret is derived from the root key and the token's id, so a request
 * that is repeated after a lost reply gets the same token, though only the hash is stored.
 */
export class TokenMaker {
  readonly #ledger: TokenLedger;

  constructor(ledger: TokenLedger) {
    this.#ledger = ledger;
  }

  async create(request: TokenWriteRequest): Promise<TokenOutcome> {
    const { token, ...origin } = request;
    const secretHash = hashSecret(this.#secretOf(token.id));
    const command: Command = { kind: "token.create", body: { ...token, secretHash } };
    const outcome = await this.#ledger.write({ ...origin, command });
    if (!outcome.ok) return { outcome, text: null };
    const made = valueOf("token.create", outcome.value);
    const secret = this.#secretOf(made.id);
    // Made under another root key than today's: nobody knows its secret any more.
    if (hashSecret(secret) !== made.secretHash) return { outcome, text: null };
    const { roots } = this.#ledger.state.authority;
    const root = decodeBase64url(present(roots[0], "the root certificate"));
    return { outcome, text: makeToken({ rootSpkiPin: rootPinOf(root), secret }) };
  }

  #secretOf(tokenId: Id): Bytes {
    const mac = createHmac("sha256", decodeBase64url(this.#ledger.state.authority.rootKey));
    const digest = mac.update(TOKEN_LABEL).update(decodeBase32(tokenId)).digest();
    return new Uint8Array(digest).slice(0, SECRET_BYTES);
  }
}
