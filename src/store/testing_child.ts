import { encodeUtf8, type Random } from "../base/mod.ts";
import { openSingleStore } from "./mod.ts";

/**
 * Started by `single_test.ts` as a process of its own, to be killed: appends numbered entries and
 * prints the number of each one that was acknowledged.
 */
const random: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  below: (limit) => Math.floor(Math.random() * limit),
};
const [directory, first] = Deno.args;
if (directory === undefined || first === undefined) throw new Error("two arguments are needed");
const entries: string[] = [];
const store = openSingleStore<void>({
  directory,
  random,
  snapshotEvery: 50,
  onFailure: () => Deno.exit(1),
  machine: {
    apply: (entry) => void entries.push(new TextDecoder().decode(entry)),
    encodeSnapshot: () => encodeUtf8(JSON.stringify(entries)),
    restoreSnapshot: (bytes) => void entries.push(...JSON.parse(new TextDecoder().decode(bytes))),
  },
});
for (let number = Number(first);; number++) {
  await store.propose(encodeUtf8(String(number)));
  Deno.stdout.writeSync(encodeUtf8(`${number}\n`));
}
