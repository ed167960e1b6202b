import { resolve } from "node:path";
import { isUnitOf, READY_STATUS, UNIT, unitText } from "./service_unit.ts";
import type { Directories } from "./paths.ts";

const READY_DEADLINE_MS = 30_000;
const LOOK_AGAIN_MS = 50;

/** How a command ended. */
export interface CommandResult {
  /** Exit status. */
  readonly status: number;
  /** What it wrote, both outputs. */
  readonly text: string;
}

/** What of the machine a service needs. */
export interface ServiceMachine {
  /**
   * Whether systemd is this host's first process, and would start the agent where this program is:
   * in the same network and mount namespaces.
   */
  hasSystemd(): boolean;
  /** The unit's file, or null when there is none. */
  readUnit(): string | null;
  /** Replaces it. */
  writeUnit(text: string): void;
  /** Nothing happens when it is gone already. */
  removeUnit(): void;
  /** Runs `systemctl`. */
  systemctl(...args: readonly string[]): Promise<CommandResult>;
  /** Lets time go by. */
  pause(ms: number): Promise<void>;
}

/** The service could not be made, started or taken away. */
export class ServiceError extends Error {
  /** `ServiceError`. */
  override name = "ServiceError";
}

/** `agent.service` on a host whose first process is systemd. */
export class Service {
  readonly #machine: ServiceMachine;
  readonly #directories: Directories;

  constructor(machine: ServiceMachine, directories: Directories) {
    this.#machine = machine;
    // A service's own directory is the root.
    this.#directories = {
      stateDir: resolve(directories.stateDir),
      runDir: resolve(directories.runDir),
    };
  }

  /**
   * Whether this agent can be a service: there is systemd, and the name is not taken by another
   * agent of this host, or by something else.
   */
  isPossible(): boolean {
    if (!this.#machine.hasSystemd()) return false;
    const text = this.#machine.readUnit();
    return text === null || isUnitOf(text, this.#directories);
  }

  /**
   * Installs the service, enables it, starts it, and waits until the agent is ready.
   *
   * @param command what starts this very program
   * @throws {ServiceError} when it does not become ready; then there is no service
   */
  async start(command: readonly string[]): Promise<void> {
    this.#machine.writeUnit(unitText(command, this.#directories));
    try {
      await this.#must("daemon-reload");
      await this.#must("enable", UNIT);
      await this.#startAndWait();
    } catch (error) {
      await this.#takeAway();
      throw error;
    }
  }

  /**
   * Stops the service and removes it; nothing happens where this agent is none.
   *
   * @throws {ServiceError} when systemd does not do it
   */
  async remove(): Promise<void> {
    const text = this.#machine.readUnit();
    if (text === null || !isUnitOf(text, this.#directories)) return;
    if (this.#machine.hasSystemd()) await this.#must("disable", "--now", UNIT);
    await this.#takeAway();
  }

  async #startAndWait(): Promise<void> {
    const started = await this.#machine.systemctl("start", UNIT);
    if (started.status !== 0) throw await this.#notStarted();
    for (let waitedMs = 0; await this.#statusText() !== READY_STATUS; waitedMs += LOOK_AGAIN_MS) {
      if (waitedMs >= READY_DEADLINE_MS) throw await this.#notStarted();
      await this.#machine.pause(LOOK_AGAIN_MS);
    }
  }

  async #notStarted(): Promise<ServiceError> {
    const said = await this.#statusText();
    const reason = said === "" ? "The agent ended before it was ready" : said;
    return new ServiceError(`${reason}; \`journalctl -u ${UNIT}\` says more`);
  }

  async #statusText(): Promise<string> {
    const { text } = await this.#machine.systemctl(
      "show",
      "--property=StatusText",
      "--value",
      UNIT,
    );
    return text.trim();
  }

  /** Whatever state it is in: none of these has to succeed. */
  async #takeAway(): Promise<void> {
    if (this.#machine.hasSystemd()) await this.#machine.systemctl("disable", "--now", UNIT);
    this.#machine.removeUnit();
    if (!this.#machine.hasSystemd()) return;
    await this.#machine.systemctl("daemon-reload");
    // A unit that failed would be listed until the next boot.
    await this.#machine.systemctl("reset-failed", UNIT);
  }

  async #must(...args: readonly string[]): Promise<void> {
    const { status, text } = await this.#machine.systemctl(...args);
    if (status === 0) return;
    throw new ServiceError(
      `systemd refused \`systemctl ${args.join(" ")}\`: ${text.trim() || `status ${status}`}; ` +
        "mend that, or go without it by --no-service",
    );
  }
}
