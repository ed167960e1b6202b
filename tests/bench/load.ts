import { certificateToPem, managerServerName } from "../../src/ca/mod.ts";
import { StateFiles } from "../../src/machine/mod.ts";
import { IdentityStore } from "../../src/node/mod.ts";
import type { TestHost } from "../lab/hosts.ts";
import type { LoadPlan, LoadResult, TlsServer } from "./load_client.ts";

/**
 * A manager's control port, and certificates of managers, its own first: no others may read and write all.
 *
 * @param others state directories of other managers
 */
export function tlsServer(
  host: string,
  stateDir: string,
  others: readonly string[] = [],
): TlsServer {
  const store = new IdentityStore(new StateFiles(stateDir));
  const { trust } = store.readTls();
  const { controlAddress } = store.readRecord();
  const identities = [stateDir, ...others].map((directory) => {
    const { identity } = new IdentityStore(new StateFiles(directory)).readTls();
    return { key: identity.privateKeyPem, cert: identity.certificatePem };
  });
  return {
    kind: "tls",
    host,
    port: Number(controlAddress.slice(controlAddress.lastIndexOf(":") + 1)),
    servername: managerServerName(trust.clusterId),
    identities,
    ca: trust.roots.map((root) => certificateToPem(root)),
  };
}

/** What a client on a host gets done. */
export async function runLoad(from: TestHost, plan: LoadPlan): Promise<LoadResult> {
  const file = from.path("/run/load.json");
  Deno.writeTextFileSync(file, JSON.stringify(plan), { mode: 0o600 });
  const program = new URL("load_client.ts", import.meta.url).pathname;
  const flags = ["run", "--allow-all", "--no-check", "--quiet"];
  const said = await from.exec(Deno.execPath(), ...flags, program, "/run/load.json");
  Deno.removeSync(file);
  return JSON.parse(said);
}

/**
 * The lab pins all to one CPU, for figures that are compared with each other. Where hosts stand for
 * machines with CPUs of their own, they get all that there are.
 */
export async function useAllCpus(): Promise<void> {
  const online = Deno.readTextFileSync("/sys/devices/system/cpu/online").trim();
  const args = ["--all-tasks", "--cpu-list", "--pid", online, `${Deno.pid}`];
  await new Deno.Command("taskset", { args, stdout: "null", stderr: "null" }).output();
}
