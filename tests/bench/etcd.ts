/**
 * A cluster of etcd on hosts of a lab, as its manual sets one up: mutual TLS between the members and with
 * the clients, each member's data in a directory of its own, everything else as it is by default.
 *
 * @module
 */
import type { TestHost } from "../lab/hosts.ts";
import { waitFor } from "../e2e/wait.ts";
import type { LoadPlan, TlsServer } from "./load_client.ts";

const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const KEY = "bench";

/** What a client asks for, without how often. */
type Exchange = Pick<LoadPlan, "method" | "path" | "body">;

export class EtcdCluster {
  readonly #hosts: readonly TestHost[];
  readonly #directory: string;

  private constructor(hosts: readonly TestHost[], directory: string) {
    this.#hosts = hosts;
    this.#directory = directory;
  }

  /** One member on each host; `program`: of etcd. Resolves when one of them leads. */
  static async start(
    hosts: readonly TestHost[],
    { program, directory }: { readonly program: string; readonly directory: string },
  ): Promise<EtcdCluster> {
    Deno.mkdirSync(directory, { mode: 0o700 });
    await makeCertificates(directory, hosts);
    const cluster = new EtcdCluster(hosts, directory);
    for (const host of hosts) cluster.#startMember(host, program);
    await cluster.leader();
    return cluster;
  }

  /** Puts a value of so many bytes under one key. */
  static put(bytes: number): Exchange {
    const value = btoa("a".repeat(bytes));
    return {
      method: "POST",
      path: "/v3/kv/put",
      body: JSON.stringify({ key: btoa(KEY), value }),
    };
  }

  /** Reads it, linearizable as etcd does by default. */
  static range(): Exchange {
    return {
      method: "POST",
      path: "/v3/kv/range",
      body: JSON.stringify({ key: btoa(KEY) }),
    };
  }

  /** Where the member that leads takes requests. */
  async leader(): Promise<TlsServer> {
    return await waitFor("etcd to have a leader", async () => {
      for (const host of this.#hosts) {
        const { header, leader } = await this.#status(host);
        if (leader !== undefined && leader === header.member_id) return this.#server(host);
      }
      return null;
    });
  }

  #server(host: TestHost): TlsServer {
    const read = (name: string) => Deno.readTextFileSync(`${this.#directory}/${name}`);
    const identities = [{ key: read("client.key"), cert: read("client.pem") }];
    return {
      kind: "tls",
      host: host.address,
      port: CLIENT_PORT,
      servername: host.name,
      identities,
      ca: [read("ca.pem")],
    };
  }

  async #status(host: TestHost): Promise<Status> {
    const file = (name: string) => `${this.#directory}/${name}`;
    const tls = [
      "--cacert",
      file("ca.pem"),
      "--cert",
      file("client.pem"),
      "--key",
      file("client.key"),
    ];
    const url = `https://${host.address}:${CLIENT_PORT}/v3/maintenance/status`;
    return JSON.parse(await host.exec("curl", "-sS", "-m", "5", ...tls, "-d", "{}", url));
  }

  #startMember(host: TestHost, program: string): void {
    const url = (port: number, { address } = host) => `https://${address}:${port}`;
    const file = (name: string) => `${this.#directory}/${name}`;
    const identity = ["cert", "key"].map((kind) => {
      return [kind, file(`${host.name}.${kind === "cert" ? "pem" : "key"}`)] as const;
    });
    const options = {
      "name": host.name,
      "data-dir": file(host.name),
      "listen-client-urls": url(CLIENT_PORT),
      "advertise-client-urls": url(CLIENT_PORT),
      "listen-peer-urls": url(PEER_PORT),
      "initial-advertise-peer-urls": url(PEER_PORT),
      "initial-cluster": this.#hosts.map((each) => `${each.name}=${url(PEER_PORT, each)}`).join(
        ",",
      ),
      "client-cert-auth": "true",
      "trusted-ca-file": file("ca.pem"),
      "peer-client-cert-auth": "true",
      "peer-trusted-ca-file": file("ca.pem"),
      ...Object.fromEntries(identity.flatMap(([kind, path]) => [
        [`${kind}-file`, path],
        [`peer-${kind}-file`, path],
      ])),
      "log-level": "error",
    };
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const log = file(`${host.name}.log`);
    host.spawn(["sh", "-c", `exec "$0" "$@" >${log} 2>&1 </dev/null`, program, ...args], {
      output: "null",
    });
  }
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
}

/** An authority, and a certificate for each member and for the client. */
async function makeCertificates(directory: string, hosts: readonly TestHost[]): Promise<void> {
  const openssl = async (...args: readonly string[]) => {
    const command = new Deno.Command("openssl", { args: [...args], cwd: directory });
    const { success, stderr } = await command.output();
    if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  };
  const key = (name: string) => [
    ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-keyout", `${name}.key`, "-subj", `/CN=${name}`],
  ];
  await openssl("req", "-x509", ...key("ca"), "-out", "ca.pem");
  const names = hosts.map(({ name, address }) => [name, `DNS:${name},IP:${address}`] as const);
  for (const [name, subject] of [...names, ["client", "DNS:client"] as const]) {
    await openssl("req", "-new", ...key(name), "-out", `${name}.csr`);
    const extensions = `subjectAltName=${subject}\nextendedKeyUsage=serverAuth,clientAuth\n`;
    Deno.writeTextFileSync(`${directory}/${name}.ext`, extensions);
    await openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key"],
      ...["-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`],
    );
  }
}
