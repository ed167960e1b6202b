import type { IpFamily } from "../../base/mod.ts";
import { decodeSpi } from "../../esp/mod.ts";
import { blocksOf, type IpsecOperation } from "./operation.ts";
import { addressKey, blockKey, type IpsecPicture, type PictureSa } from "./picture.ts";
import type { SlotWant } from "./want.ts";

/** The blocks that a network lacks, or that are not as they should be. Pure. */
export function planBlocks(
  family: IpFamily,
  { slot, port }: Pick<SlotWant, "slot" | "port">,
  picture: IpsecPicture,
): readonly IpsecOperation[] {
  const policies = picture.policies(port);
  return blocksOf(family, slot, port).flatMap((block): IpsecOperation[] =>
    policies.get(blockKey(block))?.right === true ? [] : [{ kind: "set-block", block }]
  );
}

/**
 * SAs of a slot that nobody wants any more: of epochs that have retired, of nodes that are gone, of a
 * network that nobody lists. Pure.
 */
export function planSaSweep(
  slot: number,
  want: SlotWant | null,
  picture: IpsecPicture,
): readonly IpsecOperation[] {
  const operations: IpsecOperation[] = [];
  for (const sa of picture.sas(slot).values()) {
    if (want === null || !isWanted(sa, want)) {
      const { source, destination, spi } = sa;
      operations.push({ kind: "delete-sa", slot, place: { source, destination, spi } });
    }
  }
  return operations;
}

/** Whether it is at a place where one of the slot's is, whatever key it has. */
function isWanted({ spi, slot, source, destination }: PictureSa, want: SlotWant): boolean {
  const parts = decodeSpi(spi);
  if (parts === null || parts.slot !== slot || !want.tags.has(parts.tag)) return false;
  const { key, host } = want.self;
  if (addressKey(destination) === key) return want.byIndex.has(parts.sender);
  return parts.sender === host.index && addressKey(source) === key &&
    want.byAddress.has(addressKey(destination));
}

/** Policies about a port that are ours and lead to nobody: of peers that are gone. Pure. */
export function planPolicySweep(
  port: number,
  want: SlotWant | null,
  picture: IpsecPicture,
): readonly IpsecOperation[] {
  const operations: IpsecOperation[] = [];
  for (const { kind, place, slot } of picture.policies(port).values()) {
    if (kind !== "peer" || slot === null) continue;
    const [own, other] = place.direction === "out"
      ? [place.source, place.destination]
      : [place.destination, place.source];
    const peer = want?.byAddress.get(addressKey(other));
    const wanted = want !== null && want.slot === slot && peer?.attached === true &&
      addressKey(own) === want.self.key;
    if (!wanted) operations.push({ kind: "delete-policy", policy: { ...place, slot } });
  }
  return operations;
}

/** Policies of ours that stand nowhere where one should. Pure. */
export function planStrays(picture: IpsecPicture): readonly IpsecOperation[] {
  return [...picture.strays].flatMap((policy): IpsecOperation[] =>
    policy.kind === "stray" ? [{ kind: "delete-stray", policy: policy.place }] : []
  );
}

/** A block that goes. */
export type BlockDeletion = Extract<IpsecOperation, { readonly kind: "delete-block" }>;

/**
 * Blocks that are not needed any more: of a slot that nobody lists, or that this host has left, when no SA
 * of it is there. They are the last to go. Pure.
 *
 * @param wanted networks of this host, and those that it has left
 * @param portsInUse ports of VXLAN devices that are still there
 */
export function planBlockSweep(
  family: IpFamily | null,
  wanted: ReadonlyMap<number, SlotWant>,
  portsInUse: ReadonlySet<number>,
  picture: IpsecPicture,
): readonly BlockDeletion[] {
  const operations: BlockDeletion[] = [];
  for (const port of picture.ports) {
    for (const { kind, place, slot } of picture.policies(port).values()) {
      if (kind !== "block" || slot === null) continue;
      const want = wanted.get(slot);
      const stays = want?.port === port && (family === null || place.family === family)
        ? want.network !== null || picture.sas(slot).size > 0
        : want?.port !== port && picture.sas(slot).size > 0;
      if (stays || portsInUse.has(port)) continue;
      operations.push({ kind: "delete-block", block: { ...place, slot } });
    }
  }
  return operations;
}
