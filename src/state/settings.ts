import { Cidr } from "../base/mod.ts";
import { type Check, integer, object, oneOf } from "./check.ts";
import { rejectValue } from "./rejected.ts";
import { subnet } from "./subnet.ts";
import type { ManagerTiming, Settings } from "./types.ts";

const SECOND_MS = 1000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;
/** Slots of encrypted networks, each with a UDP port of its own. */
export const SLOTS = 8192;

const addressPool: Check<string> = (value, at) => subnet(8, 24)(value, at);

/** How often a network gets a new key. */
export const rotationIntervalMs: Check<number> = integer(5 * SECOND_MS, 30 * DAY_MS);

const managerTiming: Check<ManagerTiming> = oneOf("local", "wide-area");

const fields = {
  certificateValidityMs: integer(30 * SECOND_MS, 3650 * DAY_MS),
  keyRotationIntervalMs: rotationIntervalMs,
  epochLimitMs: integer(10 * SECOND_MS, 30 * DAY_MS),
  addressPool,
  subnetPrefixLength: integer(8, 29),
  controlPort: integer(1, 65535),
  plainVxlanPort: integer(1, 65535),
  encryptedVxlanPortBase: integer(1024, 65536 - SLOTS),
};

const checkSettings = object(fields, { managerTiming });

/** What a cluster begins with. */
export const DEFAULT_SETTINGS: Settings = {
  certificateValidityMs: 90 * DAY_MS,
  keyRotationIntervalMs: DAY_MS / 2,
  epochLimitMs: DAY_MS,
  managerTiming: "local",
  // Clear of the defaults of Docker, Kubernetes, k3s and the large clouds.
  addressPool: "10.64.0.0/11",
  subnetPrefixLength: 24,
  controlPort: 7443,
  // Not 4789, which Docker has, nor 8472, the kernel's and flannel's.
  plainVxlanPort: 19999,
  encryptedVxlanPortBase: 20000,
};

/** All settings, each by itself. */
export const settings: Check<Settings> = (value, at) => ({
  // A cluster that is older than this setting has it not.
  managerTiming: DEFAULT_SETTINGS.managerTiming,
  ...checkSettings(value, at),
});
/** Some settings, each by itself. */
export const partialSettings: Check<Partial<Settings>> = object({}, { ...fields, managerTiming });

/** Settings that are good one by one must go together too. `at` points to them. */
export function requireConsistent(all: Settings, at: string): void {
  const poolLength = Cidr.parse(all.addressPool).prefixLength;
  if (all.subnetPrefixLength < poolLength) {
    rejectValue(
      `${at}/subnetPrefixLength`,
      `Subnets of length ${all.subnetPrefixLength} are larger than the pool ${all.addressPool}`,
    );
  }
  if (all.controlPort === all.plainVxlanPort) {
    rejectValue(`${at}/plainVxlanPort`, `Port ${all.controlPort} is the control port`);
  }
  const slot = all.plainVxlanPort - all.encryptedVxlanPortBase;
  if (slot >= 0 && slot < SLOTS) {
    rejectValue(
      `${at}/plainVxlanPort`,
      `Port ${all.plainVxlanPort} is among those of encrypted networks, ` +
        `${all.encryptedVxlanPortBase} to ${all.encryptedVxlanPortBase + SLOTS - 1}`,
    );
  }
  if (all.controlPort === all.encryptedVxlanPortBase) {
    rejectValue(`${at}/encryptedVxlanPortBase`, `Port ${all.controlPort} is the control port`);
  }
}
