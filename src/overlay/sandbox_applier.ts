import type { Id } from "../base/mod.ts";
import { setLink } from "../netlink/mod.ts";
import { type ApplyContext, applyOperations } from "./apply.ts";
import type { DesiredNetwork } from "./desired.ts";
import type { Host } from "./host.ts";
import type { LiveSandbox } from "./live_sandbox.ts";
import { linkNamed } from "./model.ts";
import { networkAlias, VXLAN } from "./names.ts";
import type { Operation } from "./operation.ts";
import { encryptedPort, type SandboxPlan, SETTINGS } from "./plan.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { Slicer } from "./slicer.ts";

/** What has to be done to the host between the steps of a sandbox; each answers why it was not. */
export interface Gate {
  /** Before the VXLAN device is there and up. */
  readonly beforeDevices: () => Promise<readonly string[]>;
  /** Before anything leads to peers. */
  readonly beforeEntries: () => Promise<readonly string[]>;
  /** When nothing leads to peers any more, and before the device goes; its port if it is encrypted. */
  readonly beforeEnd: (port: number | null) => Promise<readonly string[]>;
}

/** Of a network in the clear. */
export const OPEN_GATE: Gate = {
  beforeDevices: () => Promise.resolve([]),
  beforeEntries: () => Promise.resolve([]),
  beforeEnd: () => Promise.resolve([]),
};

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
    return { ...this.#anyContext, alias: networkAlias(network.id), port: network.port };
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
    gate: Gate,
  ): Promise<readonly string[]> {
    if (plan.refusal !== null) return [plan.refusal];
    const ends = plan.removals.some(({ kind }) => kind === "remove-sandbox");
    if (ends && found !== null) {
      const failures = await this.#end(found, plan.removals, gate);
      if (failures.length > 0) return failures;
    }
    if (network === null) return [];
    const live = ends || found === null ? this.#make(name, network.id) : found;
    const steps = [
      () => this.#do(network, live, ends ? [] : plan.removals),
      gate.beforeDevices,
      () => this.#do(network, live, plan.devices),
      gate.beforeEntries,
      () => this.#do(network, live, plan.entries),
    ];
    for (const step of steps) {
      const failures = await step();
      if (failures.length > 0) return failures;
    }
    return [];
  }

  /**
   * Takes the VXLAN device of an encrypted network off its bridge: no frame of a workload reaches it then,
   * nor comes in by it. It stays up, for with it goes the UDP socket: the kernel would answer decrypted
   * packets, which find none, by ICMP errors that quote them, where no policy holds those back in the clear.
   */
  async cutOff(live: LiveSandbox): Promise<void> {
    const vxlan = linkNamed(live.sandbox.links, VXLAN);
    if (vxlan === null || vxlan.master === null) return;
    await this.#slicer.offThread(async () => {
      const [error] = await live.connection.batchOffThread([
        setLink(vxlan.index, { master: null }),
      ]);
      if (error !== null && error !== undefined && error.code !== "ENODEV") throw error;
    });
    live.distrust();
    await live.look(this.#sandboxes.hostNamespace, () => this.#slicer.pause());
  }

  async #end(
    found: LiveSandbox,
    removals: readonly Operation[],
    gate: Gate,
  ): Promise<readonly string[]> {
    const entries = removals.filter(({ kind }) => kind === "delete-vxlan-entry");
    const context = { ...this.#anyContext, alias: "", port: encryptedPort(found.sandbox) ?? 0 };
    const failures = [
      ...await applyOperations(context, found, entries),
      ...await gate.beforeEnd(encryptedPort(found.sandbox)),
    ];
    if (failures.length === 0) await this.#sandboxes.remove(found);
    return failures;
  }

  async #do(
    network: DesiredNetwork,
    live: LiveSandbox,
    step: readonly Operation[],
  ): Promise<readonly string[]> {
    const operations = step.filter(({ kind }) =>
      kind !== "make-sandbox" && kind !== "remove-sandbox"
    );
    const failures = await applyOperations(this.context(network), live, operations);
    await live.look(this.#sandboxes.hostNamespace, () => this.#slicer.pause());
    return failures;
  }

  get #anyContext(): Pick<ApplyContext, "host" | "hostConnection" | "slicer"> {
    const { hostConnection } = this.#sandboxes;
    return { host: this.#host, hostConnection, slicer: this.#slicer };
  }

  /** An empty sandbox. What a kill leaves unset is set by the next round. */
  #make(name: string, networkId: Id): LiveSandbox {
    const live = this.#sandboxes.make(name, networkId);
    for (const [setting, value] of SETTINGS) {
      if (this.#host.readSysctl(live.namespace, setting) !== null) {
        this.#host.writeSysctl(live.namespace, setting, value);
      }
    }
    return live;
  }
}
