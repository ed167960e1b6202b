import { slotOfReqid } from "../../esp/mod.ts";
import { deleteSa, getSa, NetlinkError, type Request, type Sa } from "../../netlink/mod.ts";
import type { Slicer } from "../slicer.ts";
import { applyXfrm, sendOffThread } from "./apply.ts";
import type { SaKeys } from "./keys.ts";
import type { LiveIpsec } from "./live.ts";
import { formatIpsecOperation } from "./operation.ts";
import type { SaPlan } from "./plan_peer.ts";
import { readPictureSa } from "./picture.ts";
import { saRequest } from "./requests.ts";
import type { SaWant } from "./sa_want.ts";
import type { SlotWant } from "./want.ts";

/** Deriving and encoding so many takes a few ms. */
const PART = 128;

/** What installing needs. */
export interface InstallContext {
  readonly live: LiveIpsec;
  readonly slicer: Slicer;
  readonly keys: SaKeys;
  readonly want: SlotWant;
}

/**
 * Makes SAs: what stands in their places goes first, then they are written down, then the kernel gets them.
 * What there is afterwards is in the picture.
 *
 * @returns why some were not made; a pair that has to stay closed is not among them
 */
export async function installSas(
  context: InstallContext,
  plans: readonly SaPlan[],
): Promise<readonly string[]> {
  const { live, slicer } = context;
  const failures = [
    ...await applyXfrm(
      live,
      slicer,
      plans.flatMap(({ sa: { slot }, deletes }) =>
        deletes === null ? [] : [{ kind: "delete-sa", slot, place: deletes }]
      ),
    ),
  ];
  if (failures.length > 0) return failures;
  const made = plans.filter(({ make }) => make !== null);
  for (let start = 0; start < made.length; start += PART) {
    failures.push(...await installPart(context, made.slice(start, start + PART)));
    await slicer.pause();
  }
  return failures;
}

async function installPart(
  context: InstallContext,
  plans: readonly SaPlan[],
): Promise<readonly string[]> {
  const { live, slicer, keys, want } = context;
  const failures: string[] = [];
  const ready: { readonly sa: SaWant; readonly request: Request; readonly how: "add" | "fill" }[] =
    [];
  for (const { sa, make } of plans) {
    if (make === null) continue;
    try {
      ready.push({ sa, how: make, request: saRequest(sa, keys.derive(want, sa), make) });
    } catch (error) {
      failures.push(explain(sa, make, error));
    }
  }
  try {
    keys.record(ready.map(({ sa }) => sa));
  } catch (error) {
    return [...failures, `the journal of keys cannot be written: ${messageOf(error)}`];
  }
  const results = await sendOffThread(live, slicer, ready.map(({ request }) => request));
  for (const [place, { sa, how }] of ready.entries()) {
    const error = results[place] ?? null;
    const failure = error === null ? done(context, sa) : resolve(context, sa, how, error);
    if (failure !== null) failures.push(failure);
  }
  return failures;
}

function done({ live, keys }: InstallContext, sa: SaWant): null {
  keys.noteInstalled(sa);
  live.recordInstalled(sa);
  return null;
}

/** What the kernel did not do, or may not have done: looks at what is there, and decides again. */
function resolve(
  context: InstallContext,
  sa: SaWant,
  how: "add" | "fill",
  error: NetlinkError,
): string | null {
  const { live, keys } = context;
  if (error.code === "ENOBUFS") {
    // The answer was lost. What is there now is ours; what is not may have been there for a moment.
    const there = look(live, sa);
    return there !== null && slotOfReqid(there.reqid) === sa.slot && !there.larval
      ? done(context, sa)
      : null;
  }
  keys.noteRefused(sa);
  if (error.code !== "EEXIST" && error.code !== "ESRCH") return explain(sa, how, error);
  const there = look(live, sa);
  if (there === null) return again(context, sa, "add");
  const found = readPictureSa(there);
  if (found?.slot !== sa.slot) {
    return explain(sa, how, "an SA that is not ours is in its place: delete that");
  }
  if (there.larval) return again(context, sa, "fill");
  // Ours by its reqid, but not the one that was asked for. It goes, lest it be taken for that one, and
  // the pair waits for a fresh key: it was written down already that this one is there.
  keys.noteInstalled(sa);
  const [refusal] = live.connection.batch([deleteSa(there)]);
  live.picture.removeSa(sa.slot, sa);
  return (refusal ?? null) === null ? null : explain(sa, how, refusal);
}

function again(context: InstallContext, sa: SaWant, how: "add" | "fill"): string | null {
  const { live, keys, want } = context;
  const [error] = live.connection.batch([saRequest(sa, keys.derive(want, sa), how)]);
  return (error ?? null) === null ? done(context, sa) : explain(sa, how, error);
}

function look(live: LiveIpsec, sa: SaWant): Sa | null {
  try {
    return live.connection.get(getSa(sa));
  } catch (error) {
    if (error instanceof NetlinkError && error.code === "ESRCH") return null;
    throw error;
  }
}

function explain(sa: SaWant, how: "add" | "fill", error: unknown): string {
  const what = formatIpsecOperation({ kind: how === "add" ? "add-sa" : "fill-sa", sa });
  return `${what} failed: ${messageOf(error)}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
