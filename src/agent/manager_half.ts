import type { Id, Logger } from "../base/mod.ts";
import type { OwnManager } from "../api/mod.ts";
import type { StateFiles } from "../machine/mod.ts";
import { IdentityStore, type OwnLeader } from "../node/mod.ts";
import type { TlsIdentity, Trust } from "../tls/mod.ts";
import type { Manager } from "./manager.ts";

/** What {@linkcode ManagerHalf} needs. */
export interface ManagerHalfOptions {
  readonly files: StateFiles;
  /** Of the store. */
  readonly directory: string;
  readonly logger: Logger;
  /** Ends the process: its disk refuses to work, so it can be relied on for nothing. */
  readonly stop: (code: number) => void;
}

/** The half that only managers have: there while this host is one, and not even loaded before. */
export class ManagerHalf implements OwnLeader {
  readonly #options: ManagerHalfOptions;
  readonly #identity: IdentityStore;
  #manager: Manager | null = null;
  /** One change after the other. */
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Its disk has lost what was promised: it is no manager, whatever its certificate says. */
  #isLost = false;

  constructor(options: ManagerHalfOptions) {
    this.#options = options;
    this.#identity = new IdentityStore(options.files);
  }

  /**
   * Takes up what this host is.
   *
   * @throws {DataLostError} when this is the only manager, and its disk has lost what was promised with it
   */
  async start(): Promise<void> {
    const { role, managers, nodeId } = this.#identity.readRecord();
    if (role === "worker") return this.#forget();
    // Demoted, and killed before it had done what belongs to it.
    if (this.#identity.readTls().role === "worker") return;
    try {
      await this.#begin();
    } catch (error) {
      const others = managers.filter(({ id }) => id !== nodeId);
      if (!isDataLost(error) || others.length === 0) throw error;
      this.#isLost = true;
      this.#options.logger.error(
        `${error.message}. The rest of this host goes on; the other managers decide without it`,
      );
    }
  }

  /**
   * Makes of this host what its certificate says: the cluster has promoted or demoted it. `incarnation`
   * is the cluster's. Only when the leader has agreed with the certificate: one that was long under way,
   * and has been overtaken by another change, must not make a manager that votes throw its disk away.
   */
  settle(incarnation: Id): void {
    const { role } = this.#identity.readTls();
    const isSettled = role === this.#identity.readRecord().role;
    if (isSettled && (role === "worker" || this.#manager !== null || this.#isLost)) return;
    // Its networks go on whatever becomes of it: a port that is taken is no reason to end an agent.
    this.#turn = this.#turn.then(() => this.#settle(incarnation)).catch((error: unknown) => {
      this.#options.logger.error("This host cannot become what the cluster wants it to be", {
        reason: error instanceof Error ? error.message : String(error),
      });
    });
  }

  certify(...[request]: Parameters<OwnLeader["certify"]>): ReturnType<OwnLeader["certify"]> {
    if (this.#manager !== null) return this.#manager.certify(request);
    return Promise.reject(new Error("This host is no manager"));
  }

  fetch(request: Request): Promise<Response | null> {
    return this.#manager?.fetch(request) ?? Promise.resolve(null);
  }

  /** Null while there is none. */
  status(): OwnManager | null {
    return this.#manager?.status() ?? null;
  }

  setIdentity(identity: TlsIdentity, trust: Trust): void {
    this.#manager?.setIdentity(identity, trust);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    await this.#end();
  }

  async #settle(incarnation: Id): Promise<void> {
    const { logger, directory } = this.#options;
    const record = this.#identity.readRecord();
    const { role } = this.#identity.readTls();
    if (this.#isClosed) return;
    if (role === record.role) {
      // It had begun as a worker, with a certificate that has been overtaken.
      if (role === "manager" && this.#manager === null && !this.#isLost) await this.#begin();
      return;
    }
    logger.info("The cluster has given this host another role", { role });
    if (role === "worker") {
      // First: a store that is gone must never be looked for.
      this.#identity.writeRecord({ ...record, role });
      await this.#end();
      this.#forget();
      return;
    }
    // One that is left over is of a time in which this host was another member.
    this.#forget();
    const [{ createStore }, { systemRandom }] = await Promise.all([
      import("../store/mod.ts"),
      import("../sys/mod.ts"),
    ]);
    createStore({ directory, incarnation, random: systemRandom, begin: "join" });
    this.#identity.writeRecord({ ...record, role });
    this.#isLost = false;
    await this.#begin();
  }

  async #begin(): Promise<void> {
    const { files, directory, logger, stop } = this.#options;
    const { Manager } = await import("./manager.ts");
    this.#manager = await Manager.start({
      record: this.#identity.readRecord(),
      files,
      directory,
      logger,
      onFailure: (kind) => {
        if (kind === "failed") return stop(1);
        this.#isLost = true;
        this.#turn = this.#turn.then(() => this.#end());
      },
    });
  }

  async #end(): Promise<void> {
    const manager = this.#manager;
    this.#manager = null;
    await manager?.close();
  }

  /** It holds the authority's key and every network's secrets, which are no worker's to keep. */
  #forget(): void {
    try {
      Deno.removeSync(this.#options.directory, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Without loading the store to find out. */
function isDataLost(error: unknown): error is Error {
  return error instanceof Error && error.name === "DataLostError";
}
