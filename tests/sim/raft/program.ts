/**
 * The code that is simulated: as it is, or a copy with a mistake in it.
 *
 * @module
 */

/** What a simulation runs. */
export interface Program {
  readonly raft: typeof import("../../../src/raft/mod.ts");
  readonly state: typeof import("../../../src/state/mod.ts");
}

/** A mistake: in one file, one text becomes another. */
export interface Edit {
  /** `raft/election.ts` */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly before: string;
  readonly after: string;
}

const source = new URL("../../../src/", import.meta.url);

/** The program as it is. */
export async function realProgram(): Promise<Program> {
  return {
    raft: await import("../../../src/raft/mod.ts"),
    state: await import("../../../src/state/mod.ts"),
  };
}

/** A copy of the program with these mistakes, in a folder of its own. */
export async function flawedProgram(folder: string, edits: readonly Edit[]): Promise<Program> {
  for (const name of ["raft", "state"]) {
    Deno.mkdirSync(`${folder}/${name}`, { recursive: true });
    for (const { name: file } of Deno.readDirSync(new URL(`${name}/`, source))) {
      if (!file.endsWith(".ts") || file.endsWith("_test.ts")) continue;
      const path = `${name}/${file}`;
      let text = Deno.readTextFileSync(new URL(path, source));
      for (const edit of edits.filter((edit) => edit.file === path)) {
        const found = text.split(edit.before).length - 1;
        if (found !== 1) {
          throw new Error(
            `Cannot plant a mistake in ${path}: found ${found} times: ${edit.before}`,
          );
        }
        text = text.replace(edit.before, () => edit.after);
      }
      // base has no mistakes, so it need not be copied.
      text = text.replaceAll(`"../base/`, `"${new URL("base/", source).href}`);
      Deno.writeTextFileSync(`${folder}/${path}`, text);
    }
  }
  const modules = ["raft", "state"].map((name) => import(`file://${folder}/${name}/mod.ts`));
  const [raft, state] = await Promise.all(modules);
  return { raft, state };
}
