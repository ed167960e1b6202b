import type { IpAddress, IpFamily } from "../../base/mod.ts";
import type { GuardedPeers } from "./guard.ts";
import type { GuardedPort } from "./guard_plan.ts";
import type { IpsecOperation } from "./operation.ts";
import type { IpsecPicture } from "./picture.ts";
import { planPolicySweep, planSaSweep, planStrays } from "./plan_slot.ts";
import type { SlotWant, Wants } from "./want.ts";

/**
 * What nobody wants of policies and SAs, the blocks aside. Each step is to be planned when those before it
 * are done, for a policy has to go before the SA that it leads to.
 */
export function sweepSteps(
  { slots }: Wants,
  picture: IpsecPicture,
): readonly (() => readonly IpsecOperation[])[] {
  const byPort = new Map([...slots.values()].map((want) => [want.port, want]));
  return [
    ...picture.ports.map((port) => () => {
      const want = byPort.get(port);
      return planPolicySweep(port, want === undefined || isLeft(want) ? null : want, picture);
    }),
    () => planStrays(picture),
    ...picture.slots.map((slot) => () => planSaSweep(slot, slots.get(slot) ?? null, picture)),
  ];
}

function isLeft({ network }: SlotWant): boolean {
  return network === null;
}

/** Networks that this host has left and of which there are SAs: their blocks have to stand. */
export function keptSlots({ slots }: Wants, picture: IpsecPicture): readonly SlotWant[] {
  return [...slots.values()].filter((want) => isLeft(want) && picture.sas(want.slot).size > 0);
}

/** Ports that the guard has to stand for: of networks that are there, and wherever blocks are. */
export function guardedPorts(wants: Wants, picture: IpsecPicture): readonly GuardedPort[] {
  const ports = new Map<number, GuardedPort>();
  const add = (slot: number, port: number, family: IpFamily) => {
    ports.set(port, { slot, port, family });
  };
  const live = [...wants.slots.values()].filter((want) => !isLeft(want));
  for (const { slot, port, self } of [...live, ...keptSlots(wants, picture)]) {
    add(slot, port, self.address.family);
  }
  for (const port of picture.ports) {
    for (const { kind, slot, place } of picture.policies(port).values()) {
      if (kind === "block" && slot !== null) add(slot, port, place.family);
    }
  }
  return [...ports.values()];
}

/** Whom packets go to, so by which devices; null when nothing is encrypted. */
export function guardedPeers({ slots }: Wants): GuardedPeers | null {
  const addresses = new Map<number | bigint, IpAddress>();
  let own: IpAddress | null = null;
  for (const { self, byAddress } of slots.values()) {
    own = self.address;
    for (const [key, { address }] of byAddress) addresses.set(key, address);
  }
  return own === null ? null : { own, peers: addresses.values() };
}
