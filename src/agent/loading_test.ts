import assert from "node:assert/strict";

const root = new URL("../../", import.meta.url).href;

interface Graph {
  readonly roots: readonly string[];
  readonly redirects?: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** What a module loads before anything in it runs, itself included. */
async function loadedBy(module: string): Promise<readonly string[]> {
  const args = ["info", "--json", new URL(module, root).href];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).output();
  const graph: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const modules = new Map(graph.modules.map((one) => [one.specifier, one]));
  const loaded = new Set<string>();
  const load = (specifier: string) => {
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code !== undefined && isDynamic !== true) load(code.specifier);
    }
  };
  graph.roots.forEach(load);
  assert.ok(loaded.size > 10, `${module} loads ${[...loaded].join(" ")}`);
  return [...loaded].map((specifier) => specifier.replace(root, ""));
}

Deno.test("a worker's agent loads nothing of a manager's half", async () => {
  const loaded = await loadedBy("src/agent/daemon.ts");
  const managers =
    /^src\/(cluster|store|raft|cli)\/|^src\/api\/(app|document)\.ts|^src\/tls\/listener\.ts|x509|reflect-metadata|node-server|optique/;
  assert.deepEqual(loaded.filter((specifier) => managers.test(specifier)), []);
});

Deno.test("a host that joins loads neither the agent that runs then nor a manager's half", async () => {
  const loaded = await loadedBy("src/agent/lifecycle.ts");
  const others =
    /^src\/(api|cluster|store|raft)\/|^src\/agent\/(daemon|manager)\.ts|x509|reflect-metadata|zod|hono/;
  assert.deepEqual(loaded.filter((specifier) => others.test(specifier)), []);
});
