import { concatBytes } from "../base/mod.ts";
import type { Bytes } from "../base/mod.ts";
import { SIG_DFL, SIGPIPE } from "./constants.ts";
import { setInherited } from "./descriptor.ts";
import { isErrno, SyscallError } from "./errors.ts";
import { addressOf, cString, lastErrno, libc } from "./libc.ts";
import { inNewNamespace } from "./namespace.ts";

/** The command to become, and what it gets. */
export interface CommandOptions {
  /** The program, looked up in this process's `PATH` unless it has a slash, and its arguments. */
  readonly argv: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors above 2 that it inherits; all others are closed. */
  readonly keepFds: readonly number[];
  /** Runs in the new namespace, before the command; as with `inNamespace`, synchronous. */
  prepare(): void;
}

/**
 * Makes a network namespace, prepares it, and becomes the command in it: same process, same
 * terminal; its signals and exit status are the command's own. It does not return.
 *
 * @throws what `prepare` throws, or {@linkcode SyscallError}: call `execvpe` with `ENOENT` when
 *   there is no such program and `EACCES` when it may not be run. Then this process is in its
 *   former namespace, and as it was before, but for descriptors that were inheritable by accident.
 */
export function becomeCommand(options: CommandOptions): never {
  return inNewNamespace(() => {
    options.prepare();
    return execute(options);
  });
}

function execute({ argv, env, keepFds }: CommandOptions): never {
  const [program] = argv;
  if (program === undefined) throw new TypeError("Cannot become a command: argv is empty");
  const file = cString(program);
  const args = pointerArray(argv);
  const variables = pointerArray(
    Object.entries(env).map(([name, value]) => `${name}=${value}`),
  );
  // Closing happens at the exec itself, so that a program that cannot be run leaves us whole.
  closeStrayDescriptorsAtExec(new Set([0, 1, 2, ...keepFds]));
  for (const fd of keepFds) setInherited(fd, "inherited");
  // Deno ignores SIGPIPE, and what is ignored stays so over an exec: `yes | head` would not end.
  const former = libc.signal(SIGPIPE, SIG_DFL);
  libc.execvpe(file, args, variables);
  const errno = lastErrno();
  libc.signal(SIGPIPE, former);
  throw new SyscallError("execvpe", errno, program);
}

/**
 * A zero-terminated array of pointers to C strings, and behind it the strings: in one piece of
 * memory, for what only an address leads to would be collected as garbage.
 */
function pointerArray(texts: readonly string[]): Bytes {
  const strings = texts.map(cString);
  const pointers = new Uint8Array(8 * (texts.length + 1));
  const array = concatBytes(pointers, ...strings);
  const view = new DataView(array.buffer);
  let offset = pointers.length;
  for (const [index, string] of strings.entries()) {
    view.setBigUint64(8 * index, addressOf(array) + BigInt(offset), true);
    offset += string.length;
  }
  return array;
}

/** Deno opens some of its own descriptors, and inherits others, without `FD_CLOEXEC`. */
function closeStrayDescriptorsAtExec(kept: ReadonlySet<number>): void {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (kept.has(fd)) continue;
    try {
      setInherited(fd, "closed");
    } catch (error) {
      // The descriptor of this very listing, which is closed by now.
      if (!isErrno(error, "EBADF")) throw error;
    }
  }
}
