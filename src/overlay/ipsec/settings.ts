import type { IpFamily } from "../../base/mod.ts";
import type { Host, Namespace } from "../host.ts";
import type { Device } from "../operation.ts";

/** Settings by which a host or a device is left out of IPsec. IPv6 has no `disable_xfrm`. */
const SWITCHES: Readonly<Record<IpFamily, readonly string[]>> = {
  4: ["disable_xfrm", "disable_policy"],
  6: ["disable_policy"],
};

/**
 * The kernel's settings of the host that encryption depends on. Nothing tells of them, so they are read
 * every second.
 */
export class HostSettings {
  readonly #host: Host;
  readonly #namespace: Namespace;
  /** What the loopback link had before we changed it. */
  #loopbackBefore: string | null = null;
  #loopbackSeen: string | null = null;

  constructor(host: Host, namespace: Namespace) {
    this.#host = host;
    this.#namespace = namespace;
  }

  /** Why no network can be encrypted on this host now; null when it can. */
  refusal(family: IpFamily, devices: readonly Device[]): string | null {
    for (const where of ["all", ...devices.map(({ name }) => name)]) {
      for (const name of SWITCHES[family]) {
        const setting = `net/ipv${family}/conf/${where}/${name}`;
        const value = this.#host.readSysctl(this.#namespace, setting);
        if (value === null || value === "0") continue;
        return `the kernel's setting ${setting} is ${value}, so packets would pass by its IPsec ` +
          `policies: set it to 0 (sysctl -w ${setting.replaceAll("/", ".")}=0)`;
      }
    }
    return null;
  }

  /** Reads the loopback link's setting: seven system calls, too many to be made for each network of a round. */
  lookAtLoopback(family: IpFamily): void {
    this.#loopbackSeen = this.#host.readSysctl(this.#namespace, loopbackSetting(family));
  }

  /**
   * What to set so that policies hold for packets over the loopback link too; null when it was set when last
   * looked at.
   */
  loopbackChange(family: IpFamily): { readonly name: string; readonly value: string } | null {
    if (this.#loopbackSeen === null || this.#loopbackSeen === "0") return null;
    return { name: loopbackSetting(family), value: "0" };
  }

  /** Does that. */
  setLoopback(family: IpFamily): void {
    const name = loopbackSetting(family);
    this.#loopbackBefore ??= this.#host.readSysctl(this.#namespace, name);
    this.#host.writeSysctl(this.#namespace, name, "0");
    this.#loopbackSeen = "0";
  }

  /** What to set when no network is encrypted any more; null when it is as it was. */
  loopbackRestoration(
    family: IpFamily,
    found: "changed-by-us" | "unknown",
  ): { readonly name: string; readonly value: string } | null {
    const name = loopbackSetting(family);
    // An agent before this one may have changed it: then it was as the kernel makes it.
    const before = this.#loopbackBefore ?? (found === "changed-by-us" ? "1" : null);
    if (before === null) return null;
    const value = this.#host.readSysctl(this.#namespace, name);
    return value === null || value === before ? null : { name, value: before };
  }

  /** Does that. */
  restoreLoopback(change: { readonly name: string; readonly value: string }): void {
    this.#host.writeSysctl(this.#namespace, change.name, change.value);
    this.#loopbackBefore = null;
  }
}

function loopbackSetting(family: IpFamily): string {
  return `net/ipv${family}/conf/lo/disable_policy`;
}
