/** Every exit code of the program, but for those of the command that `exec` becomes. */
export const EXIT_CODES = {
  /** Done. */
  ok: 0,
  /** Refused, or failed: one line on stderr says why. */
  failed: 1,
  /** The arguments are wrong. */
  usage: 2,
  /** No agent runs here. */
  notRunning: 3,
  /** No manager can be reached, none leads, or too much is asked at once: try again. */
  unavailable: 4,
  /** Shown, but this host is not as the cluster wants it (`status`, `plan`). */
  notAsWanted: 5,
  /** `exec`: the command is there and cannot be run. */
  cannotRun: 126,
  /** `exec`: there is no such command. */
  noCommand: 127,
} as const;

/** What {@linkcode main} resolves with; `run` may have others. */
export type ExitCode = typeof EXIT_CODES[keyof typeof EXIT_CODES];

/** The same for people, in `agent --help`. */
export const EXIT_CODE_TEXTS: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "refused or failed; one line on stderr says why",
  2: "the arguments are wrong",
  3: "no agent runs here",
  4: "no manager can be reached, none leads, or too much is asked at once: try again",
  5: "shown, but this host is not as the cluster wants it (status, plan)",
  126: "exec: the command cannot be run",
  127: "exec: there is no such command; otherwise exec ends as its command does",
};

/** Ends the process, which nothing else does. */
export function endProcess(code: number): never {
  Deno.exit(code);
}
