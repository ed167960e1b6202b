import type { BeginOptions, Membership, Say } from "../cli/mod.ts";
import { BackgroundAgent, ownCommand } from "./background.ts";
import type { Directories } from "./paths.ts";
import { Service } from "./service.ts";
import { systemd } from "./systemd.ts";

/** How an agent is to run. */
export type StartOptions = Directories & Pick<BeginOptions, "start" | "service">;

/** The start of the agent of a host that becomes a member, or comes back as one. */
export class AgentStart {
  readonly #options: StartOptions;
  readonly #service: Service;
  readonly #process: BackgroundAgent | null;

  /** Loads the agent already: it touches nothing before {@linkcode AgentStart.begin}. */
  constructor(options: StartOptions) {
    this.#options = options;
    this.#service = new Service(systemd, options);
    const asService = options.service === "if-available" && this.#service.isPossible();
    this.#process = options.start === "background" && !asService
      ? BackgroundAgent.load(options)
      : null;
  }

  /**
   * Starts it; the lock of its directories must be free. Ready when it resolves.
   *
   * @throws {StartError | ServiceError} when it does not become ready
   */
  async begin(say: Say): Promise<Membership["runs"]> {
    if (this.#options.start === "none") return "not";
    if (this.#process === null) {
      say("Installing and starting agent.service");
      await this.#service.start(ownCommand());
      return "as-service";
    }
    say("Starting the agent");
    await this.#process.begin();
    return "as-process";
  }

  /** There is nothing to start. */
  async dismiss(): Promise<void> {
    await this.#process?.dismiss();
  }
}
