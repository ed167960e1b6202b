// needs: root netns vxlan esp flower
/**
 * What an encrypted network of real hosts has to show. Hosts take longer to become a cluster than most of
 * these take, so those that leave the hosts as they were share one, and the last may do as it likes.
 * `PARTS=moves,keys` runs these only, in this order.
 */
import { damage } from "./encrypted_damage.ts";
import { forgery } from "./encrypted_forgery.ts";
import { keys } from "./encrypted_keys.ts";
import { kills } from "./encrypted_kills.ts";
import { moves } from "./encrypted_moves.ts";
import { orders } from "./encrypted_orders.ts";
import { rotations } from "./encrypted_rotation.ts";
import { EncryptedScene, sanitized } from "./encrypted_scene.ts";
import { steps } from "./encrypted_steps.ts";
import { wire } from "./encrypted_wire.ts";

type Part<Arguments extends readonly unknown[]> = (
  t: Deno.TestContext,
  ...rest: Arguments
) => Promise<void>;

const wanted = Deno.env.get("PARTS")?.split(",");

async function runParts<Arguments extends readonly unknown[]>(
  t: Deno.TestContext,
  parts: readonly Part<Arguments>[],
  ...rest: Arguments
): Promise<void> {
  for (const part of parts) await t.step(part.name, (t) => part(t, ...rest));
}

function chosen<Arguments extends readonly unknown[]>(
  ...parts: readonly Part<Arguments>[]
): readonly Part<Arguments>[] {
  return wanted?.flatMap((name) => parts.filter((part) => part.name === name)) ?? parts;
}

const pair = chosen(wire, damage, steps, kills);
const three = chosen(rotations, moves, keys);
Deno.test({
  name: "hosts of an encrypted network",
  ...sanitized,
  ignore: pair.length + three.length === 0,
  fn: (t) =>
    EncryptedScene.run(3, async (scene) => {
      if (pair.length > 0) {
        const two = scene.first(2);
        await runParts(t, pair, two, await two.add("shop"));
      }
      if (three.length > 0) await runParts(t, three, scene, await scene.add("trio"));
    }),
});

const crowd = chosen(orders, forgery);
Deno.test({
  name: "hosts of several networks, and others who are not",
  ...sanitized,
  ignore: crowd.length === 0,
  fn: (t) =>
    EncryptedScene.run(3, (scene) => runParts(t, crowd, scene), { plain: true, forged: true }),
});
