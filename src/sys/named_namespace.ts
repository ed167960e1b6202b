import { closeDescriptor, openDescriptor } from "./descriptor.ts";
import {
  EEXIST,
  LOCK_EX,
  MNT_DETACH,
  MS_BIND,
  MS_REC,
  MS_SHARED,
  O_CREAT,
  O_RDONLY,
} from "./constants.ts";
import { check, checkUninterrupted, isErrno, SyscallError } from "./errors.ts";
import { cString, libc } from "./libc.ts";
import {
  inNewNamespace,
  type NetworkNamespace,
  openCurrentNamespace,
  openNamespace,
} from "./namespace.ts";

/** Where iproute2, and so everyone, keeps them: `ip netns` shows ours too. */
const DIRECTORY = "/run/netns";

/**
 * The path of a named namespace, whether it exists or not.
 *
 * @throws {TypeError} when `name` is not a file name
 */
export function namedNamespacePath(name: string): string {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) {
    throw new TypeError(`Cannot name a namespace ${JSON.stringify(name)}: it is not a file name`);
  }
  return `${DIRECTORY}/${name}`;
}

/**
 * Makes a network namespace that lives by its name, as `ip netns add` does, and opens it.
 *
 * The name is given last, by one mount: a process that is killed at any moment leaves no namespace,
 * or one that is prepared. It may leave an empty file, which the next call of this name takes over.
 *
 * @param prepare is given the namespace while nobody else can see it; when it throws there is none
 * @throws {SyscallError} `EEXIST` when the name stands for a namespace, or for a file with something
 *   in it
 */
export function createNamedNamespace(
  name: string,
  prepare: (namespace: NetworkNamespace) => void = () => {},
): NetworkNamespace {
  const path = namedNamespacePath(name);
  shareDirectory();
  refuseIfTaken(path);
  const namespace = inNewNamespace(openCurrentNamespace);
  try {
    prepare(namespace);
    refuseIfTaken(path);
    closeDescriptor(openDescriptor(path, O_RDONLY | O_CREAT));
    mount(`/proc/thread-self/fd/${namespace.fd}`, path, MS_BIND);
    return namespace;
  } catch (error) {
    namespace.close();
    throw error;
  }
}

/** An empty file without a mount is what a process left that was killed just before, or `umount`. */
function refuseIfTaken(path: string): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  // A namespace is also a file of size 0, but on nsfs, so on another device than its directory.
  const isLeftover = found.isFile && found.size === 0 &&
    found.dev === Deno.lstatSync(DIRECTORY).dev;
  if (!isLeftover) throw new SyscallError("open", EEXIST, path);
}

/**
 * Takes the name away; nothing happens when it is gone already. The namespace itself dies when no
 * process and no descriptor holds it any more, some milliseconds later.
 *
 * @throws {SyscallError}
 */
export function deleteNamedNamespace(name: string): void {
  const path = namedNamespacePath(name);
  const pathBytes = cString(path);
  try {
    // Two programs that shared the directory at the same time leave mounts on top of each other:
    // so until there is none, which the kernel says with EINVAL.
    for (;;) check(libc.umount2(pathBytes, MNT_DETACH), "umount2", path);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
  }
  try {
    check(libc.unlink(pathBytes), "unlink", path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

/** The names that stand for a network namespace now, sorted; leftover files are not among them. */
export function listNamedNamespaces(): string[] {
  const names: string[] = [];
  try {
    for (const entry of Deno.readDirSync(DIRECTORY)) {
      if (isNamedNamespace(entry.name)) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

function isNamedNamespace(name: string): boolean {
  try {
    openNamespace(namedNamespacePath(name)).close();
    return true;
  } catch (error) {
    if (isErrno(error, "EINVAL", "ENOENT")) return false;
    throw error;
  }
}

/**
 * Makes the directory a shared mount: then a name that is deleted here goes in every mount
 * namespace at once. In one that kept a copy of the mount, the network namespace would live on.
 */
function shareDirectory(): void {
  Deno.mkdirSync(DIRECTORY, { recursive: true, mode: 0o755 });
  if (tryShare()) return;
  const directory = openDescriptor(DIRECTORY, O_RDONLY);
  try {
    // The lock that iproute2 takes for the same: without it two programs at once would each
    // mount the directory over itself, and one would hide the other's namespaces.
    checkUninterrupted(() => libc.flock(directory, LOCK_EX), "flock", DIRECTORY);
    if (tryShare()) return;
    mount(DIRECTORY, DIRECTORY, MS_BIND | MS_REC);
    mount("", DIRECTORY, MS_SHARED | MS_REC);
  } finally {
    closeDescriptor(directory);
  }
}

/** False when the directory is not a mount point yet. */
function tryShare(): boolean {
  try {
    mount("", DIRECTORY, MS_SHARED | MS_REC);
    return true;
  } catch (error) {
    if (isErrno(error, "EINVAL")) return false;
    throw error;
  }
}

function mount(source: string, target: string, flags: number): void {
  const result = libc.mount(cString(source), cString(target), cString("none"), BigInt(flags), null);
  check(result, "mount", target);
}
