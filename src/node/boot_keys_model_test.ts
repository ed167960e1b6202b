// needs: root
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBase64url, type Id } from "../base/mod.ts";
import type { BootKeys } from "./mod.ts";
import {
  CLUSTER_LIFE,
  installation,
  type KillableFiles,
  Killed,
  OTHER_LIFE,
  projection,
  TestRun,
} from "./testing_boot_keys.ts";

/** What happens to a host. */
type Happening =
  | { readonly kind: "record"; readonly spis: readonly number[] }
  | { readonly kind: "report"; readonly answer: "good" | "seen-before" | "lost" }
  /** `settle`: all that it takes until a key is usable. */
  | { readonly kind: "projection" | "settle" | "restore-cluster" | "reboot" | "wipe" }
  | { readonly kind: "lose"; readonly name: string }
  | { readonly kind: "restart" }
  /** At its nth write from now. */
  | { readonly kind: "kill"; readonly writes: number; readonly last: "nothing" | "half" };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("report"), answer: fc.constant("good") }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("projection") }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("settle") }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("record"),
      spis: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart") }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("kill"),
      writes: fc.integer({ min: 0, max: 4 }),
      last: fc.constantFrom("nothing", "half"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("report"),
      answer: fc.constantFrom("seen-before", "lost"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("restore-cluster", "reboot", "wipe") }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("lose"),
      name: fc.constantFrom("journal", "boot.key"),
    }),
  },
) as fc.Arbitrary<Happening>;

/** A host, its managers, and what its kernel has had of each key. */
class Model implements Disposable {
  readonly #run = new TestRun();
  /** By public key: all that may have been installed with it. */
  readonly #installed = new Map<string, Set<number>>();
  /** By public key: the cluster's incarnation then. */
  readonly #madeIn = new Map<string, Id>();
  #process: { readonly keys: BootKeys; readonly files: KillableFiles };
  #life: Id = CLUSTER_LIFE;
  #committed: string | null = null;
  /** What the node has heard last. */
  #told = projection(null);
  #seen = 0;
  /** Process that was answered last. */
  #answered: BootKeys | null = null;
  #boots = 1;
  #usableKeys = 0;

  constructor() {
    this.#process = this.#run.start();
  }

  get usableKeys(): number {
    return this.#usableKeys;
  }

  happen(happening: Happening): void {
    try {
      this.#happen(happening);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    // What else the dead process does is nobody's concern.
    if (this.#process.files.isDead) this.#process = this.#run.start();
    this.#check();
  }

  #happen(happening: Happening): void {
    const { keys, files } = this.#process;
    switch (happening.kind) {
      case "record":
        return this.#install(keys, happening.spis);
      case "report":
        return this.#report(keys, happening.answer);
      case "projection":
        return this.#project(keys);
      case "settle":
        this.#project(keys);
        this.#report(keys, "good");
        return this.#project(keys);
      case "restore-cluster":
        this.#life = this.#life === CLUSTER_LIFE ? OTHER_LIFE : CLUSTER_LIFE;
        this.#committed = null;
        return;
      case "kill":
        files.left = happening.writes;
        files.last = happening.last;
        return;
      case "restart":
        this.#process = this.#run.start();
        return;
      case "reboot":
        this.#run.bootId = `boot-${++this.#boots}`;
        this.#process = this.#run.start();
        return;
      case "wipe":
        return remove(this.#run.directory);
      case "lose":
        return remove(`${this.#run.directory}/${happening.name}`);
    }
  }

  /** The kernel has it as soon as it is written down, and may have it when that is not known. */
  #install(keys: BootKeys, spis: readonly number[]): void {
    if (keys.pair === null) {
      assert.throws(() => keys.record(spis.map((spi) => installation(spi))), /usable boot key/);
      return;
    }
    const fresh = spis.filter((spi) => !keys.journal.has(installation(spi)));
    const ofKey = this.#ofKey(keys);
    for (const spi of fresh) assert(!ofKey.has(spi), `SA ${spi} is installed again under one key`);
    keys.record(fresh.map((spi) => installation(spi)));
    for (const spi of fresh) ofKey.add(spi);
  }

  #project(keys: BootKeys): void {
    this.#told = projection(this.#committed, this.#life);
    keys.projected(this.#told);
  }

  #report(keys: BootKeys, answer: "good" | "seen-before" | "lost"): void {
    const { number, bootKey } = keys.nextReport();
    if (bootKey !== null) this.#madeIn.set(bootKey.publicKey, bootKey.incarnation);
    if (answer === "lost") return;
    // Somebody else with this node's identity was heard meanwhile.
    const seenBefore = answer === "good" ? this.#seen : Math.max(this.#seen, number) + 3;
    this.#seen = Math.max(seenBefore, number);
    if (bootKey?.incarnation === this.#life) this.#committed = bootKey.publicKey;
    const before = keys.pair;
    keys.answered(number, { seenBefore });
    this.#answered = keys;
    if (answer === "seen-before" && before !== null) {
      assert.equal(keys.pair, null, "a key that another machine may have is not used");
    }
  }

  #ofKey({ pair }: BootKeys): Set<number> {
    assert(pair !== null);
    const name = encodeBase64url(pair.publicKey);
    const ofKey = this.#installed.get(name) ?? new Set();
    this.#installed.set(name, ofKey);
    this.#usableKeys = this.#installed.size;
    return ofKey;
  }

  /** A key that is given out has a journal that tells of all that was installed with it. */
  #check(): void {
    const { keys } = this.#process;
    if (keys.pair === null) return;
    assert.equal(this.#answered, keys, "no key is used before a manager has answered this process");
    assert.equal(encodeBase64url(keys.pair.publicKey), this.#told.node.bootKey);
    assert.equal(this.#madeIn.get(this.#told.node.bootKey ?? ""), this.#told.incarnation);
    for (const spi of this.#ofKey(keys)) {
      assert(keys.journal.has(installation(spi)), `SA ${spi} is not in the journal`);
    }
  }

  [Symbol.dispose](): void {
    this.#run[Symbol.dispose]();
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

Deno.test("whatever happens to a host, no key is used whose journal may be incomplete", () => {
  let usable = 0;
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      using model = new Model();
      model.happen({ kind: "settle" });
      for (const one of happenings) model.happen(one);
      usable += model.usableKeys;
    }),
    { numRuns: 300 },
  );
  assert(usable > 300, `only ${usable} keys were ever usable: the happenings prove little`);
});
