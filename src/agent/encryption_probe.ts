import type { Cancel, Clock, Logger } from "../base/mod.ts";

/** Somebody may install what is missing meanwhile. */
const TRY_AGAIN_MS = 60_000;
/** What an earlier process has found is looked at again when there is time for it. */
const CHECK_AGAIN_MS = 10_000;
/** Where modules have to be loaded it can take long; the rest of the agent does not wait for ever. */
const PATIENCE_MS = 1_000;
/** What a host says of itself that has not tried yet; it does as soon as its agent runs. */
export const ENCRYPTION_UNTRIED = "unavailable (it is tried when the agent starts)";

/** What {@linkcode EncryptionProbe} works with. */
export interface EncryptionProbeOptions {
  /** Tries it: `ok`, or why not and what to do about it. */
  readonly probe: () => string | Promise<string>;
  /** What an earlier process has found. */
  readonly memory: EncryptionMemory;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The answer is another one than the one before. */
  readonly onChange: () => void;
}

/** Keeps, beyond the process, that the kernel could encrypt; for no longer than that kernel runs. */
export interface EncryptionMemory {
  /** Whether this kernel could when it was last tried. */
  read(): boolean;
  /** Whether it can. */
  write(able: boolean): void;
}

/**
 * Whether this kernel can encrypt as we do it: tried once, and again as long as it cannot.
 *
 * Where an earlier process has found that this very kernel can, that holds at once, and it is tried again a
 * little later: a trial takes as long as several messages to the leader, and a host whose boot key is lost
 * is cut off from its encrypted networks meanwhile. Nothing rests on the answer but what the host says of
 * itself: an SA that the kernel refuses keeps its pair closed, whatever the answer was.
 */
export class EncryptionProbe {
  readonly #options: EncryptionProbeOptions;
  #answer = ENCRYPTION_UNTRIED;
  #cancel: Cancel = () => {};
  #closed = false;
  /** Whoever started it goes by the answer already, so another one is news. */
  #isLate = false;

  private constructor(options: EncryptionProbeOptions) {
    this.#options = options;
  }

  /** Resolves when there is an answer, or that takes long. */
  static async start(options: EncryptionProbeOptions): Promise<EncryptionProbe> {
    const probe = new EncryptionProbe(options);
    if (options.memory.read()) {
      probe.#answer = "ok";
      probe.#isLate = true;
      probe.#cancel = options.clock.schedule(CHECK_AGAIN_MS, () => void probe.#try());
      return probe;
    }
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = options.clock.schedule(PATIENCE_MS, resolve);
    await Promise.race([probe.#try(), late]);
    cancel();
    probe.#isLate = true;
    return probe;
  }

  /** `ok`, or why not. */
  get answer(): string {
    return this.#answer;
  }

  /** Tries no more. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #try(): Promise<void> {
    const before = this.#answer;
    this.#answer = await this.#ask();
    if (this.#closed) return;
    const { clock, logger, memory, onChange } = this.#options;
    memory.write(this.#answer === "ok");
    if (this.#answer !== "ok") this.#cancel = clock.schedule(TRY_AGAIN_MS, () => void this.#try());
    if (this.#answer === before) return;
    logger.info("Whether this host can have encrypted networks", { encryption: this.#answer });
    if (this.#isLate) onChange();
  }

  async #ask(): Promise<string> {
    try {
      return await this.#options.probe();
    } catch (error) {
      return `unavailable (${error instanceof Error ? error.message : error})`;
    }
  }
}
