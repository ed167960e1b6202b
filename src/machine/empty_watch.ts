import type { Cancel } from "../base/mod.ts";
import {
  type NetworkNamespace,
  openNamespaceOfPid,
  pidsInNamespace,
  sameNamespace,
  SyscallError,
  type Watcher,
} from "../sys/mod.ts";

const RETRY_MS = 1_000;

/**
 * Waits until no process is left in a namespace: the kernel tells of a process's end, not of a
 * namespace's emptiness, so it waits for one of them, then looks for another.
 */
export class EmptyWatch {
  readonly #watcher: Watcher;
  readonly #namespace: NetworkNamespace;
  readonly #callback: () => void;
  #cancelWatch: Cancel = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Takes over `namespace`. Calls `callback` once, from the event loop. */
  constructor(watcher: Watcher, namespace: NetworkNamespace, callback: () => void) {
    this.#watcher = watcher;
    this.#namespace = namespace;
    this.#callback = callback;
    this.#lookIn(0);
  }

  /** Waits no more. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#cancelWatch();
    this.#namespace.close();
  }

  #lookIn(delayMs: number): void {
    this.#timer = setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    try {
      const [pid] = pidsInNamespace(this.#namespace.identity);
      if (pid === undefined) {
        this.cancel();
        return this.#callback();
      }
      this.#cancelWatch = this.#watcher.watchProcess(pid, () => this.#look());
      // Between the two calls the pid may have become another process's, which is elsewhere.
      if (this.#isElsewhere(pid)) {
        this.#cancelWatch();
        this.#lookIn(0);
      }
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      // It has ended between the two calls, or some process does not let itself be looked at:
      // not seen is not ended, so look again.
      this.#lookIn(error.errnoName === "ESRCH" ? 0 : RETRY_MS);
    }
  }

  #isElsewhere(pid: number): boolean {
    try {
      using namespace = openNamespaceOfPid(pid);
      return !sameNamespace(namespace.identity, this.#namespace.identity);
    } catch (error) {
      // Its end, or that of its first thread: the watch tells when all of it has ended.
      if (error instanceof SyscallError && error.errnoName === "ESRCH") return false;
      throw error;
    }
  }
}
