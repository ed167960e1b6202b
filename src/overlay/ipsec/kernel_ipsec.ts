import type { Connection } from "../../netlink/mod.ts";
import type { Host, Namespace } from "../host.ts";
import { Guard } from "./guard.ts";
import { LiveIpsec } from "./live.ts";

/** What {@linkcode openKernelIpsec} works with. */
export interface KernelIpsecOptions {
  readonly host: Host;
  /** The host's. */
  readonly namespace: Namespace;
  /** rtnetlink in it. */
  readonly connection: Connection;
  readonly portId: number;
  /** Called when the kernel tells of a change that makes a round necessary. */
  readonly onNews: () => void;
}

/** The host's IPsec state and the guard beside it. */
export interface KernelIpsec {
  readonly live: LiveIpsec;
  readonly guard: Guard;
}

/** @throws when the kernel has no IPsec */
export function openKernelIpsec(options: KernelIpsecOptions): KernelIpsec {
  const { host, namespace, connection, portId, onNews } = options;
  const live = new LiveIpsec(host, namespace, onNews);
  try {
    return { live, guard: new Guard(host, namespace, { connection, portId }, onNews) };
  } catch (error) {
    live.close();
    throw error;
  }
}

/** Stops following; the kernel goes on. */
export function closeKernelIpsec({ live, guard }: KernelIpsec): void {
  live.close();
  guard.close();
}
