import {
  type Cancel,
  type Clock,
  encodeBase64url,
  type Id,
  type Logger,
  present,
  type Random,
} from "../base/mod.ts";
import {
  type MemberEpochs,
  NETWORK_SECRET_BYTES,
  type NextEpoch,
  nextEpoch,
  retiringEpochs,
} from "../esp/mod.ts";
import type { ClusterState, Command, CommandBodies, Network, NetworkKeys } from "../state/mod.ts";

/** How often everything is looked at: no interval is shorter than five of it. */
const TICK_MS = 1000;
/** What comes within this time is looked at together. */
const POKE_MS = 20;
/** Nodes that ask for a new epoch get one per network in this time. */
const WANTED_INTERVAL_MS = 10_000;
/** So many networks are seen to at once. */
const AT_ONCE = 64;

/** What {@linkcode KeyDuty} needs of the control plane. */
export interface KeyLedger {
  readonly state: ClusterState;
  stateTimeMs(): number;
  /** The leader's own write. @throws when it is rejected, or there is no leadership any more */
  writeOwn(command: Command): Promise<void>;
}

/** What {@linkcode KeyDuty} goes by, beside the state. */
export interface KeyReports {
  members(networkId: Id): readonly MemberEpochs[];
  wantsAfter(networkId: Id, epoch: number): boolean;
  /** Numbers that nobody has SAs of any more. */
  free(state: ClusterState): CommandBodies["numbers.free"] | null;
}

/** A network's next epoch, or who is in its way. */
export type Opening =
  | { readonly kind: "open"; readonly epoch: number }
  | { readonly kind: "wait"; readonly epoch: number; readonly lag: number; readonly nodes: Id[] };

/**
 * The leader's care for keys: it begins epochs, ends them, and gives numbers back. It keeps nothing that
 * a new leader would need: whatever is not done now is seen again at the next tick, here or there.
 */
export class KeyDuty {
  readonly #ledger: KeyLedger;
  readonly #reports: KeyReports;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #poked = new Set<Id>();
  readonly #wantedAtMs = new Map<Id, number>();
  readonly #troubled = new Set<string>();
  #all = true;
  #turn: Promise<unknown> = Promise.resolve();
  #cancel: Cancel | null = null;
  #wakesAtMs = Infinity;
  #closed = false;

  constructor(
    ledger: KeyLedger,
    reports: KeyReports,
    ports: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  ) {
    this.#ledger = ledger;
    this.#reports = reports;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#logger = ports.logger;
  }

  /** Looks at everything before long, if there is anything to look at. */
  begin(): void {
    if (this.#cancel === null && this.#isNeeded()) this.#wakeForAll();
  }

  /** Something about these networks has changed. */
  poke(networkIds: Iterable<Id>): void {
    for (const networkId of networkIds) this.#poked.add(networkId);
    if (this.#poked.size > 0) this.#wake(POKE_MS);
  }

  /** Something has changed that may concern any network, or a number that waits. */
  pokeAll(): void {
    this.#all = true;
    if (this.#isNeeded()) this.#wake(POKE_MS);
  }

  /** What is on its way is finished; nothing more begins. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  /** Done alone, so that no other epoch begins in between. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Whether a network's next epoch may begin. */
  opening({ id, keys }: Network & { readonly keys: NetworkKeys }): Opening {
    const members = this.#reports.members(id);
    const newest = present(keys.epochs[0], "The newest epoch").epoch;
    const next = nextEpoch(keys.epochs, members, newest);
    if (next.kind === "open") return next;
    return {
      kind: "wait",
      epoch: next.epoch,
      lag: next.lag.epoch,
      nodes: laggards(keys, members, next),
    };
  }

  /** 32 bytes that nobody knows, in base64url. */
  newSecret(): string {
    return encodeBase64url(this.#random.bytes(NETWORK_SECRET_BYTES));
  }

  #wake(delayMs: number): void {
    const atMs = this.#clock.monotonicMs() + delayMs;
    if (this.#closed || atMs >= this.#wakesAtMs) return;
    this.#cancel?.();
    this.#wakesAtMs = atMs;
    this.#cancel = this.#clock.schedule(delayMs, () => {
      this.#wakesAtMs = Infinity;
      this.#cancel = null;
      void this.exclusively(() => this.#look()).finally(() => {
        // Without encrypted networks and numbers that wait there is nothing that time alone brings.
        if (this.#isNeeded()) this.#wakeForAll();
      });
    });
  }

  #wakeForAll(): void {
    this.#all = true;
    this.#wake(TICK_MS);
  }

  #isNeeded(): boolean {
    const { state } = this.#ledger;
    for (const _ of state.waitingNumbers) return true;
    for (const { keys } of state.networks.values()) if (keys !== null) return true;
    return false;
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const { state } = this.#ledger;
    const ids = this.#all ? [...state.networks.keys()] : [...this.#poked];
    const numbers = this.#all ? this.#reports.free(state) : null;
    this.#all = false;
    this.#poked.clear();
    if (numbers !== null) await this.#write({ kind: "numbers.free", body: numbers }, "numbers");
    const encrypted = ids.filter((id) => (state.networks.get(id)?.keys ?? null) !== null);
    for (let start = 0; start < encrypted.length && !this.#closed; start += AT_ONCE) {
      await Promise.all(encrypted.slice(start, start + AT_ONCE).map((id) => this.#seeTo(id)));
    }
  }

  async #seeTo(id: Id): Promise<void> {
    const { state } = this.#ledger;
    const before = state.networks.get(id)?.keys ?? null;
    if (before === null) return;
    const epochs = retiringEpochs(before.epochs, this.#reports.members(id), {
      nowMs: this.#ledger.stateTimeMs(),
      limitMs: state.settings.epochLimitMs,
    });
    if (epochs.length > 0) await this.#write({ kind: "network.retire", body: { id, epochs } }, id);
    const network = state.networks.get(id);
    const keys = network?.keys ?? null;
    if (this.#closed || network === undefined || keys === null) return;
    const reason = this.#reasonToRotate(network, keys);
    if (reason === null) return;
    const opening = this.opening({ ...network, keys });
    if (opening.kind === "wait") {
      this.#trouble(`${id} waits for ${opening.epoch}`, "A network's next key has to wait", {
        network: network.name,
        epoch: opening.epoch,
        inUse: opening.lag,
        nodes: opening.nodes.map((nodeId) => hostnameOf(state, nodeId)).join(", "),
      });
      return;
    }
    const { epoch } = opening;
    if (reason === "wanted") this.#wantedAtMs.set(id, this.#clock.monotonicMs());
    const secret = this.newSecret();
    const done = await this.#write({ kind: "network.rotate", body: { id, epoch, secret } }, id);
    if (done) {
      this.#logger.info("A network has a new key", { network: network.name, epoch, reason });
    }
  }

  #reasonToRotate({ id }: Network, keys: NetworkKeys): "due" | "wanted" | "interval" | null {
    if (keys.rotation === "due") return "due";
    const newest = present(keys.epochs[0], "The newest epoch");
    if (this.#reports.wantsAfter(id, newest.epoch)) {
      const last = this.#wantedAtMs.get(id) ?? -Infinity;
      if (this.#clock.monotonicMs() - last >= WANTED_INTERVAL_MS) return "wanted";
    }
    // Nobody has the key of a network that nobody is on.
    if (keys.holders.length === 0) return null;
    const intervalMs = keys.rotationIntervalMs ?? this.#ledger.state.settings.keyRotationIntervalMs;
    return this.#ledger.stateTimeMs() - newest.sinceMs >= intervalMs ? "interval" : null;
  }

  /** Gives whether it was done; if not, the next tick tries again. */
  async #write(command: Command, subject: string): Promise<boolean> {
    const what = `${command.kind} ${subject}`;
    try {
      await this.#ledger.writeOwn(command);
      this.#troubled.delete(what);
      return true;
    } catch (error) {
      if (!this.#closed) {
        this.#trouble(what, "What is to be done about keys could not be done, and is tried again", {
          command: command.kind,
          subject,
          reason: error instanceof Error ? error.message : String(error),
        });
      }
      return false;
    }
  }

  /** Once, not each second. */
  #trouble(what: string, message: string, fields: Parameters<Logger["warn"]>[1]): void {
    if (this.#troubled.has(what)) return;
    if (this.#troubled.size > 10_000) this.#troubled.clear();
    this.#troubled.add(what);
    this.#logger.warn(message, fields);
  }
}

/** The hostname of a member, or its id. */
export function hostnameOf(state: ClusterState, nodeId: Id): string {
  return state.nodes.get(nodeId)?.facts.hostname ?? nodeId;
}

/**
 * Who is in the way, by name: of an epoch that lives, those who still send with it or may do so; of one
 * that has retired, those who have SAs of it. Everybody has the SAs of one that lives.
 */
function laggards(
  keys: NetworkKeys,
  members: readonly MemberEpochs[],
  { lag }: NextEpoch & { readonly kind: "wait" },
): Id[] {
  if (!keys.epochs.some(({ epoch }) => epoch === lag.epoch)) return [...lag.nodes];
  const sends = ({ report }: MemberEpochs) =>
    report === null || (report.oldestSending !== null && report.oldestSending <= lag.epoch);
  const sending = members.filter(sends).map(({ node }) => node);
  return sending.length > 0 ? sending : [...lag.nodes];
}
