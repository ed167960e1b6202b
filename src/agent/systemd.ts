import { openCurrentNamespace, openNamespaceOfPid, sameNamespace } from "../sys/mod.ts";
import type { CommandResult, ServiceMachine } from "./service.ts";
import { UNIT } from "./service_unit.ts";

/** Where units of the machine's owner are; also those that `systemctl enable` links to. */
const UNIT_PATH = `/etc/systemd/system/${UNIT}`;

/** The machine's systemd. */
export const systemd: ServiceMachine = {
  hasSystemd: () => isDirectory("/run/systemd/system") && isWithFirstProcess(),
  readUnit() {
    try {
      return Deno.readTextFileSync(UNIT_PATH);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  },
  writeUnit: (text) => Deno.writeTextFileSync(UNIT_PATH, text, { mode: 0o644 }),
  removeUnit() {
    try {
      Deno.removeSync(UNIT_PATH);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
  async systemctl(...args): Promise<CommandResult> {
    const command = new Deno.Command("systemctl", {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // The program may have been started with an empty PATH.
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", SYSTEMD_PAGER: "" },
    });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { status: code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  },
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** sd_booted(3): systemd makes this directory, and only when it is the first process. */
function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** In a namespace of its own, as a second agent of a machine is, a service would run elsewhere. */
function isWithFirstProcess(): boolean {
  try {
    using own = openCurrentNamespace();
    using first = openNamespaceOfPid(1);
    const mounts = (pid: string) => Deno.readLinkSync(`/proc/${pid}/ns/mnt`);
    return sameNamespace(own.identity, first.identity) && mounts("self") === mounts("1");
  } catch {
    return false;
  }
}
