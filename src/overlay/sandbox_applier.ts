import type { Id } from "../base/mod.ts";
import { setLink } from "../netlink/mod.ts";
import { type ApplyContext, applyOperations, throwFirst } from "./apply.ts";
import type { DesiredNetwork } from "./desired.ts";
import type { Host } from "./host.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { networkAlias } from "./names.ts";
import { type SandboxPlan, SETTINGS } from "./plan.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { Slicer } from "./slicer.ts";

/** Does what a plan says of a sandbox, its making and its end included. */
export class SandboxApplier {
  readonly #host: Host;
  readonly #sandboxes: Sandboxes;
  readonly #slicer: Slicer;

  constructor(host: Host, sandboxes: Sandboxes, slicer: Slicer) {
    this.#host = host;
    this.#sandboxes = sandboxes;
    this.#slicer = slicer;
  }

  /** What operations on this network's sandbox need. */
  context(network: DesiredNetwork): ApplyContext {
    const { hostConnection } = this.#sandboxes;
    const alias = networkAlias(network.id);
    const { port } = network;
    return { host: this.#host, hostConnection, slicer: this.#slicer, alias, port };
  }

  /**
   * @param found the sandbox that the plan was made for
   * @returns why it is not as it should be; nothing was done after the step that failed
   */
  async apply(
    name: string,
    network: DesiredNetwork | null,
    found: LiveSandbox | null,
    plan: SandboxPlan,
  ): Promise<readonly string[]> {
    if (plan.refusal !== null) return [plan.refusal];
    const ends = plan.removals.some(({ kind }) => kind === "remove-sandbox");
    if (ends && found !== null) await this.#sandboxes.remove(found);
    if (network === null) return [];
    const live = ends || found === null ? this.#make(name, network.id) : found;
    const context = this.context(network);
    for (const step of [plan.removals, plan.devices, plan.entries]) {
      const operations = step.filter(({ kind }) =>
        kind !== "make-sandbox" && kind !== "remove-sandbox"
      );
      const failures = await applyOperations(context, live, operations);
      await live.look(this.#sandboxes.hostNamespace, () => this.#slicer.pause());
      if (failures.length > 0) return failures;
    }
    return [];
  }

  /** An empty sandbox, marked as ours before anything else is in it. */
  #make(name: string, networkId: Id): LiveSandbox {
    const live = this.#sandboxes.make(name);
    try {
      throwFirst(live.connection.batch([setLink("lo", { alias: networkAlias(networkId) })]));
    } catch (error) {
      this.#sandboxes.release(live);
      this.#host.deleteNamed(name);
      throw error;
    }
    for (const [setting, value] of SETTINGS) {
      if (this.#host.readSysctl(live.namespace, setting) !== null) {
        this.#host.writeSysctl(live.namespace, setting, value);
      }
    }
    return live;
  }
}
