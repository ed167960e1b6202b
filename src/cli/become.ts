import type { AttachmentNetworkRequest, AttachmentRequest } from "../api/mod.ts";
import { socketPath } from "./client.ts";
import { CommandError, connectError, errnoNameOf, refusalOf } from "./errors.ts";
import { EXIT_CODES } from "./exit.ts";
import { encodeRequest, HttpResponseReader } from "./http_text.ts";
import type { BlockingStream, ExecHost, Ports } from "./ports.ts";

/** A command, and the networks it is to be on. */
export interface Workload {
  readonly runDir: string;
  readonly argv: readonly string[];
  readonly name: string | undefined;
  readonly networks: readonly AttachmentNetworkRequest[];
}

const READ_BYTES = 64 * 1024;

/**
 * Becomes the command in a namespace that the agent has attached. The connection on which it was
 * asked for stays open in the command and its children, as their lease; a unix socket is reached by
 * its path, so it serves in the new namespace too.
 *
 * @returns only by an error
 */
export async function becomeWorkload(ports: Ports, workload: Workload): Promise<never> {
  const { runDir, argv, name, networks } = workload;
  const { process } = ports;
  const host = await ports.execHost();
  const stream = connect(host, socketPath(runDir));
  try {
    return host.becomeCommand({
      argv,
      env: environmentOf(process.environment()),
      keepFds: [stream.fd],
      prepare: () => openLease(stream, { pid: process.pid, name, networks, lease: true }),
    });
  } catch (error) {
    throw explained(error, argv[0] ?? "");
  } finally {
    // The lease ends with it, and so does the endpoint.
    stream.close();
  }
}

function connect(host: ExecHost, path: string): BlockingStream {
  try {
    return host.connectUnix(path);
  } catch (error) {
    throw connectError(path, error);
  }
}

/** Returns when the attachment is there; the rest of the answer is silence. */
function openLease(stream: BlockingStream, request: AttachmentRequest): void {
  stream.write(encodeRequest({ method: "POST", target: "/v1/attachments", body: request }));
  const response = new HttpResponseReader();
  for (;;) {
    const bytes = stream.read(READ_BYTES);
    if (bytes.length === 0) response.end();
    else response.push(bytes);
    if (response.status === 201 && response.body.includes("\n")) return;
    if (response.isComplete) throw refusalOf(response.status ?? 0, response.body);
  }
}

/** What the user gave, without what the start of this program added for itself. */
function environmentOf(
  all: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (all.AGENT_EXECUTABLE === undefined) return all;
  const { AGENT_EXECUTABLE: _, DENO_DIR: __, DENO_NO_UPDATE_CHECK: ___, ...rest } = all;
  return rest;
}

function explained(error: unknown, program: string): unknown {
  const errno = errnoNameOf(error);
  const call = error instanceof Error ? Reflect.get(error, "call") : null;
  if (call === "unshare" && errno === "EPERM") {
    return new CommandError(
      EXIT_CODES.failed,
      "Only root may make a network namespace: run this as root, for example with sudo",
      { cause: error },
    );
  }
  if (call !== "execvpe") return error;
  if (errno === "ENOENT" || errno === "ENOTDIR") {
    return new CommandError(
      EXIT_CODES.noCommand,
      `${program}: there is no such command, or not the interpreter that its first line names`,
      { cause: error },
    );
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new CommandError(EXIT_CODES.cannotRun, `${program} cannot be run: ${reason}`, {
    cause: error,
  });
}
