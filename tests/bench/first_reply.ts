/**
 * Makes networks, one after the other, and measures how long it takes from the request for a
 * network until a datagram of a workload on one host has been answered by a workload on another.
 *
 * The workloads' namespaces are there beforehand, and so are the sockets in them: no process starts
 * while the time runs. Opening sockets in other namespaces takes `--unstable-net` and a process that
 * does nothing else, so this is a program of its own: a {@linkcode FirstReplyPlan} as its argument,
 * a {@linkcode FirstReply} on each line of its output.
 *
 * @module
 */
import { Socket } from "../e2e/socket.ts";
import { inNamespace, openNamespace } from "../../src/sys/mod.ts";
import type { Attachment, NetworkRequest, NetworkView } from "../../src/api/mod.ts";

/** One of the two hosts. */
export interface FirstReplySide {
  /** Path of the agent's socket on the machine. */
  readonly socket: string;
  /** Paths of the namespaces, a new one for each network: as the host has them. */
  readonly netns: readonly string[];
  /** What makes them paths on the machine. */
  readonly root: string;
}

/** What is to be measured. */
export interface FirstReplyPlan {
  /** Whether the networks are encrypted. */
  readonly encrypted: boolean;
  /** Where networks are made. */
  readonly manager: string;
  readonly asking: FirstReplySide;
  readonly answering: FirstReplySide;
}

/** How long it took, each from the request for the network on. */
export interface FirstReply {
  readonly networkMs: number;
  /** Both workloads are attached. */
  readonly attachedMs: number;
  readonly replyMs: number;
}

const PORT = 7;
/** How soon a datagram that was not answered is followed by the next. */
const RETRY_MS = 2;
const DEADLINE_MS = 10_000;

type Datagrams = Deno.DatagramConn;

function openSocket(path: string): Datagrams {
  const namespace = openNamespace(path);
  try {
    // Synchronous, and starts no thread.
    return inNamespace(
      namespace,
      () => Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: PORT }),
    );
  } finally {
    namespace.close();
  }
}

async function echo(socket: Datagrams): Promise<void> {
  for await (const [bytes, sender] of socket) await socket.send(bytes, sender);
}

/** Asks until the first answer comes. */
async function firstAnswer(socket: Datagrams, hostname: string): Promise<void> {
  const question = new TextEncoder().encode("anybody there?");
  let answered = false;
  const answer = socket.receive().then(() => answered = true);
  const giveUpMs = performance.now() + DEADLINE_MS;
  let refusal: unknown = "the kernel took every datagram";
  while (!answered) {
    if (performance.now() > giveUpMs) {
      throw new Error(`No reply from ${hostname} in ${DEADLINE_MS} ms: ${refusal}`);
    }
    // A kernel that has looked for the neighbour in vain says so once, and looks again.
    await socket.send(question, { transport: "udp", hostname, port: PORT })
      .catch((error: unknown) => refusal = error);
    await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, RETRY_MS))]);
  }
}

async function measure(
  request: NetworkRequest,
  { manager, asking, answering }: Record<"manager" | "asking" | "answering", Socket>,
  [ownNetns, otherNetns]: readonly [string, string],
  socket: Datagrams,
): Promise<FirstReply> {
  const { name } = request;
  const startMs = performance.now();
  const sinceMs = () => performance.now() - startMs;
  await manager.post<NetworkView>("/v1/networks", request);
  const networkMs = sinceMs();
  const attach = (host: Socket, netns: string) =>
    host.post<Attachment>("/v1/attachments", { netns, networks: [{ network: name }] });
  const [, other] = await Promise.all([attach(asking, ownNetns), attach(answering, otherNetns)]);
  const attachedMs = sinceMs();
  const ip = other.interfaces[0]?.ip;
  if (ip === undefined) throw new Error(`The workload on ${name} has no interface`);
  await firstAnswer(socket, ip);
  return { networkMs, attachedMs, replyMs: sinceMs() };
}

async function main(plan: FirstReplyPlan): Promise<void> {
  const open = ({ root, netns }: FirstReplySide) => netns.map((path) => openSocket(root + path));
  const askers = open(plan.asking);
  const answerers = open(plan.answering);
  for (const socket of answerers) void echo(socket);
  const sockets = {
    manager: new Socket(() => plan.manager),
    asking: new Socket(() => plan.asking.socket),
    answering: new Socket(() => plan.answering.socket),
  };
  for (const socket of Object.values(sockets)) await socket.get("/readyz");
  for (const [index, socket] of askers.entries()) {
    const netns = [plan.asking.netns[index] ?? "", plan.answering.netns[index] ?? ""] as const;
    const request = { name: `first-${index}`, encrypted: plan.encrypted };
    console.log(JSON.stringify(await measure(request, sockets, netns, socket)));
  }
}

if (import.meta.main) {
  await main(JSON.parse(Deno.args[0] ?? "{}"));
  // The echoing sockets are open for ever.
  Deno.exit(0);
}
