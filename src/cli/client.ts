import type {
  BackupView,
  EndpointRequest,
  EndpointView,
  HostStatus,
  ManagerFollowed,
  ManagersView,
  NetworkCheckView,
  NetworkRequest,
  NetworkView,
  NodePatch,
  NodeView,
  Page,
  PlanView,
  TokenCreated,
  TokenRequest,
  TokenView,
} from "../api/mod.ts";
import { connectError, refusalOf } from "./errors.ts";
import { encodeRequest, type HttpRequest, HttpResponseReader } from "./http_text.ts";

const READ_BYTES = 64 * 1024;
/** The most that a page may have, so that a list is few requests. */
const PAGE_LIMIT = 1000;

/** The API of the agent on this host, over its unix socket. */
export class AgentClient {
  readonly #path: string;

  /** `runDir` is where the agent has its socket. */
  constructor(runDir: string) {
    this.#path = socketPath(runDir);
  }

  /** `GET /v1/self` */
  status(): Promise<HostStatus> {
    return this.#get("/v1/self");
  }

  /** `GET /v1/managers` */
  managers(): Promise<ManagersView> {
    return this.#get("/v1/managers");
  }

  /** `POST /v1/self/managers` */
  follow(address: string): Promise<ManagerFollowed> {
    return this.#send("POST", "/v1/self/managers", { address });
  }

  /** `POST /v1/cluster/backup` */
  backup(): Promise<BackupView> {
    return this.#json({ method: "POST", target: "/v1/cluster/backup" });
  }

  /** `GET /v1/plan` */
  plan(): Promise<PlanView> {
    return this.#get("/v1/plan");
  }

  /** `POST /v1/networks` */
  createNetwork(body: NetworkRequest): Promise<NetworkView> {
    return this.#send("POST", "/v1/networks", body);
  }

  /** All pages of `GET /v1/networks`. */
  networks(): Promise<NetworkView[]> {
    return this.#list("/v1/networks");
  }

  /** `GET /v1/networks/{network}` */
  network(network: string): Promise<NetworkView> {
    return this.#get(`/v1/networks/${encodeURIComponent(network)}`);
  }

  /** `POST /v1/networks/{network}/rotate` */
  rotateNetwork(network: string): Promise<NetworkView> {
    return this.#json({
      method: "POST",
      target: `/v1/networks/${encodeURIComponent(network)}/rotate`,
    });
  }

  /** `POST /v1/networks/{network}/check` */
  checkNetwork(network: string): Promise<NetworkCheckView> {
    return this.#json({
      method: "POST",
      target: `/v1/networks/${encodeURIComponent(network)}/check`,
    });
  }

  /** `GET /v1/networks/{network}/check` */
  networkCheck(network: string): Promise<NetworkCheckView> {
    return this.#get(`/v1/networks/${encodeURIComponent(network)}/check`);
  }

  /** `DELETE /v1/networks/{network}` */
  async deleteNetwork(network: string): Promise<void> {
    await this.#request({
      method: "DELETE",
      target: `/v1/networks/${encodeURIComponent(network)}`,
    });
  }

  /** `POST /v1/networks/{network}/endpoints` */
  createEndpoint(network: string, body: EndpointRequest): Promise<EndpointView> {
    return this.#send("POST", `/v1/networks/${encodeURIComponent(network)}/endpoints`, body);
  }

  /** All pages of `GET /v1/networks/{network}/endpoints`. */
  endpoints(network: string): Promise<EndpointView[]> {
    return this.#list(`/v1/networks/${encodeURIComponent(network)}/endpoints`);
  }

  /** `DELETE /v1/endpoints/{endpoint}` */
  async deleteEndpoint(endpoint: string): Promise<void> {
    await this.#request({
      method: "DELETE",
      target: `/v1/endpoints/${encodeURIComponent(endpoint)}`,
    });
  }

  /** All pages of `GET /v1/nodes`. */
  nodes(): Promise<NodeView[]> {
    return this.#list("/v1/nodes");
  }

  /** `GET /v1/nodes/{node}` */
  node(node: string): Promise<NodeView> {
    return this.#get(`/v1/nodes/${encodeURIComponent(node)}`);
  }

  /** `PATCH /v1/nodes/{node}` */
  updateNode(node: string, body: NodePatch): Promise<NodeView> {
    return this.#send("PATCH", `/v1/nodes/${encodeURIComponent(node)}`, body);
  }

  /** `DELETE /v1/nodes/{node}` */
  async removeNode(node: string): Promise<void> {
    await this.#request({ method: "DELETE", target: `/v1/nodes/${encodeURIComponent(node)}` });
  }

  /** `POST /v1/tokens` */
  createToken(body: TokenRequest): Promise<TokenCreated> {
    return this.#send("POST", "/v1/tokens", body);
  }

  /** All pages of `GET /v1/tokens`. */
  tokens(): Promise<TokenView[]> {
    return this.#list("/v1/tokens");
  }

  /** `DELETE /v1/tokens/{token}` */
  async deleteToken(token: string): Promise<void> {
    await this.#request({ method: "DELETE", target: `/v1/tokens/${encodeURIComponent(token)}` });
  }

  #get<Reply>(target: string): Promise<Reply> {
    return this.#json({ method: "GET", target });
  }

  #send<Reply>(method: "POST" | "PATCH", target: string, body: unknown): Promise<Reply> {
    return this.#json({ method, target, body });
  }

  async #list<Item>(target: string): Promise<Item[]> {
    const items: Item[] = [];
    let after = "";
    for (;;) {
      const page = await this.#get<Page<Item>>(`${target}?limit=${PAGE_LIMIT}${after}`);
      items.push(...page.items);
      if (page.next === null) return items;
      after = `&after=${page.next}`;
    }
  }

  async #json<Reply>(request: HttpRequest): Promise<Reply> {
    // The agent on the other end is this very program, so its answers are what its types say.
    return JSON.parse(await this.#request(request)) as Reply;
  }

  async #request(request: HttpRequest): Promise<string> {
    using connection = await this.#connect();
    const response = new HttpResponseReader();
    try {
      await converse(connection, encodeRequest(request), response);
    } catch (error) {
      if (isConnectionLost(error)) response.end();
      throw error;
    }
    const status = response.status ?? 0;
    if (status >= 300) throw refusalOf(status, response.body);
    return response.body;
  }

  async #connect(): Promise<Deno.UnixConn> {
    try {
      return await Deno.connect({ transport: "unix", path: this.#path });
    } catch (error) {
      throw connectError(this.#path, error);
    }
  }
}

/** Where the agent with this run directory listens. */
export function socketPath(runDir: string): string {
  return `${runDir}/agent.sock`;
}

async function converse(
  connection: Deno.UnixConn,
  request: Uint8Array,
  response: HttpResponseReader,
): Promise<void> {
  for (let sent = 0; sent < request.length;) sent += await connection.write(request.subarray(sent));
  const buffer = new Uint8Array(READ_BYTES);
  while (!response.isComplete) {
    const count = await connection.read(buffer);
    if (count === null) response.end();
    else response.push(buffer.subarray(0, count));
  }
}

/** The agent was killed while it was asked. */
function isConnectionLost(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}
