import type { Directories } from "./paths.ts";

/** The unit's name, for `systemctl` and `journalctl -u`. */
export const UNIT = "agent.service";

/** What the unit of this agent says in its first line; a unit without it is somebody else's. */
const MARK = "# Written by `agent`: change it with `systemctl edit agent`, not here.";

/** What `agent run` says by sd_notify(3) once the kernel has what the cluster wants. */
export const READY_STATUS = "Ready";

/**
 * What the agent does with root's powers, and so the most that it is left:
 * - CAP_NET_ADMIN: netlink, and loading the kernel's modules for what it asks for;
 * - CAP_NET_BROADCAST: to hear of all namespaces by one socket (`NETLINK_LISTEN_ALL_NSID`);
 * - CAP_SYS_ADMIN: `unshare`, `setns` and the mounts that give namespaces their names;
 * - CAP_SYS_PTRACE: to open the namespace of a workload's process, whoever's it is;
 * - CAP_DAC_OVERRIDE: a namespace's file, and a state directory, may be another user's;
 * - CAP_NET_BIND_SERVICE: the control port may be below 1024.
 */
const CAPABILITIES = [
  "CAP_NET_ADMIN",
  "CAP_NET_BROADCAST",
  "CAP_SYS_ADMIN",
  "CAP_SYS_PTRACE",
  "CAP_DAC_OVERRIDE",
  "CAP_NET_BIND_SERVICE",
] as const;

/**
 * The unit that keeps an agent running.
 *
 * Nothing in it may give the agent mounts of its own (`ProtectSystem`, `PrivateTmp`,
 * `ReadWritePaths`, …): a namespace that it names in `/run/netns` would be seen by nobody else.
 *
 * @param command what starts this very program
 */
export function unitText(command: readonly string[], { stateDir, runDir }: Directories): string {
  const line = [...command, "run", "--state-dir", stateDir, "--run-dir", runDir];
  return `${MARK}
[Unit]
Description=Overlay networks of this host (agent)
Wants=network-online.target
After=network-online.target
# A host whose managers are away for an hour comes back by itself.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=${line.map(quoted).join(" ")}
# An agent that was removed from its cluster, or was told to stop, ends well and stays away.
Restart=on-failure
RestartSec=1
# Only the agent itself: what the kernel has of it goes on forwarding, and so do workloads.
KillMode=process
TimeoutStopSec=20
CapabilityBoundingSet=${CAPABILITIES.join(" ")}

[Install]
WantedBy=multi-user.target
`;
}

/** Whether a unit's text was made by {@linkcode unitText} for an agent with these directories. */
export function isUnitOf(text: string, { stateDir, runDir }: Directories): boolean {
  const words = ["", "run", "--state-dir", stateDir, "--run-dir", runDir];
  const directories = words.map(quoted).slice(1).join(" ");
  return text.startsWith(`${MARK}\n`) &&
    text.split("\n").some((line) =>
      line.startsWith("ExecStart=") && line.endsWith(` ${directories}`)
    );
}

/**
 * A word of a command line as systemd.service(5) and systemd.unit(5) read it: variables are put into every
 * word but the first, which is the program.
 */
function quoted(word: string, position: number): string {
  const named = word.replaceAll("%", "%%");
  const plain = position === 0 ? named : named.replaceAll("$", "$$$$");
  if (/^[\w@%+=:,./$-]+$/.test(plain)) return plain;
  return `"${plain.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}
