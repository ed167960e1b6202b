import type { ProblemDocument } from "../api/mod.ts";
import { EXIT_CODES, type ExitCode } from "./exit.ts";

/** What is answered with one line and an exit code. */
export class CommandError extends Error {
  /** `CommandError`. */
  override name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The agent, or the leader behind it, has refused. */
export class RefusedError extends CommandError {
  override name = "RefusedError";
  readonly problem: Pick<ProblemDocument, "code" | "detail" | "field">;

  constructor(problem: Pick<ProblemDocument, "code" | "detail" | "field">) {
    super(exitCodeOf(problem.code), lineOf(problem));
    this.problem = problem;
  }
}

/** No agent answers on the socket. */
export class NotRunningError extends CommandError {
  override name = "NotRunningError";

  constructor(path: string) {
    super(
      EXIT_CODES.notRunning,
      `No agent runs here (${path}): start it with \`agent run\`, or make this host a member with ` +
        "`agent init` or `agent join`",
    );
  }
}

/** Another time the same request may be answered otherwise. */
const TRY_AGAIN: ReadonlySet<string> = new Set<ProblemDocument["code"]>([
  "unavailable",
  "not-leader",
  "no-cluster",
  "busy",
  "too-many-requests",
]);

function exitCodeOf(code: string): ExitCode {
  return TRY_AGAIN.has(code) ? EXIT_CODES.unavailable : EXIT_CODES.failed;
}

function lineOf({ code, detail, field }: RefusedError["problem"]): string {
  const what = field === undefined || field === "" ? code : `${code}, ${field.replace(/^\//, "")}`;
  return `${detail} (${what})`;
}

/**
 * Reads a problem document.
 *
 * @param text body of an answer with that status
 */
export function refusalOf(status: number, text: string): RefusedError {
  const problem = parseObject(text);
  const { code, detail, field } = problem;
  if (typeof code !== "string" || typeof detail !== "string") {
    return new RefusedError({
      code: "internal",
      detail: `The agent answered ${status} and no reason`,
    });
  }
  return new RefusedError({
    // Codes of a newer agent are as good as the ones known here.
    code: code as ProblemDocument["code"],
    detail,
    ...(typeof field === "string" ? { field } : {}),
  });
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Why nobody answers on the socket, for the kernel's reason. */
export function connectError(path: string, error: unknown): Error {
  const name = errnoNameOf(error);
  if (name === "ENOENT" || name === "ECONNREFUSED" || name === "ENOTDIR") {
    return new NotRunningError(path);
  }
  if (name === "EACCES" || name === "EPERM") {
    return new CommandError(
      EXIT_CODES.failed,
      `Only root may use the agent (${path}): run this as root, for example with sudo`,
      { cause: error },
    );
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** The kernel's name of an error, wherever it comes from. */
export function errnoNameOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  // `sys` says errnoName, the runtime code.
  for (const key of ["errnoName", "code"] as const) {
    const name: unknown = Reflect.get(error, key);
    if (typeof name === "string") return name;
  }
  return null;
}
