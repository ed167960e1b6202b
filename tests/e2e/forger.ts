/**
 * Everybody who could try to get a packet of his own into an encrypted network.
 *
 * @module
 */
import type { TestHost } from "../lab/hosts.ts";
import { FORGED_PORT, forgedUdp, forgedVxlan } from "./forged_frame.ts";
import { EADDRINUSE, FrameSocket, SocketError, UdpSocket } from "./sockets.ts";

/** Who is to receive what no one sent. */
export interface ForgeryTarget {
  /** Where it lives. */
  readonly host: TestHost;
  /** Its network namespace. */
  readonly netns: string;
  readonly ip: string;
  readonly mac: string;
  /** Of its network. */
  readonly vni: number;
  readonly port: number;
  /** Whom the packets name as their sender: a workload on another host. */
  readonly friend: { readonly host: TestHost; readonly ip: string; readonly mac: string };
  /** A host that has no part in the network. */
  readonly stranger: TestHost;
}

/** Packets of each attempt. */
const SHOTS = 5;
/** Nobody's uid on Debian. */
const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/** Which ways there are. Each says how many of its packets came through. */
export class Forger implements Disposable {
  readonly #target: ForgeryTarget;
  readonly #ear: UdpSocket;
  readonly #payload: Uint8Array<ArrayBuffer>;

  constructor(target: ForgeryTarget) {
    this.#target = target;
    this.#ear = UdpSocket.open(target.netns, { ip: target.ip, port: FORGED_PORT });
    this.#payload = forgedVxlan({
      vni: target.vni,
      toMac: target.mac,
      fromMac: target.friend.mac,
      toIp: target.ip,
      fromIp: target.friend.ip,
    });
  }

  /** All of them. */
  get attempts(): Readonly<Record<string, () => Promise<number>>> {
    const { host, friend, stranger } = this.#target;
    return {
      "a stranger's UDP": () => this.#byUdp(stranger, host.address),
      "a stranger's UDP from the network's port": () => this.#byUdp(stranger, host.address, "port"),
      "a stranger's frames in the peer's name": () => this.#byFrames(stranger),
      "a member host's UDP": () => this.#byUdp(friend.host, host.address),
      "a member host's frames from the network's port": () => this.#byFrames(friend.host),
      "nobody on a member host, to its peer": () => this.#byNobody(friend.host, host.address),
      "nobody on the host itself, to its own VTEP": () => this.#byNobody(host, host.address),
      "nobody on the host itself, over 127.0.0.1": () => this.#byNobody(host, "127.0.0.1"),
      "the host itself over 127.0.0.1, from the network's port at another address": () =>
        this.#byUdp(host, "127.0.0.1", "port", "127.0.0.2"),
    };
  }

  /** Packets that came through since the last look. */
  delivered(): number {
    return this.#ear.receiveLate();
  }

  /** Anything else that sends the payload. */
  async try(send: (payload: Uint8Array<ArrayBuffer>) => void | Promise<void>): Promise<number> {
    this.delivered();
    for (let shot = 0; shot < SHOTS; shot++) await send(this.#payload);
    return this.delivered();
  }

  async #byUdp(
    from: TestHost,
    to: string,
    source: "any" | "port" = "any",
    ip = "0.0.0.0",
  ): Promise<number> {
    const { port } = this.#target;
    try {
      using socket = UdpSocket.open(from.netns, source === "any" ? undefined : { ip, port });
      return await this.try((payload) => void socket.send(payload, to, port));
    } catch (error) {
      // The kernel's own socket has it.
      if (error instanceof SocketError && error.errno === EADDRINUSE) return 0;
      throw error;
    }
  }

  async #byFrames(from: TestHost): Promise<number> {
    const { host, friend, port } = this.#target;
    const path = { fromIp: friend.host.address, toIp: host.address, fromPort: port, toPort: port };
    const macs = { fromMac: hardwareAddress(from), toMac: hardwareAddress(host) };
    using socket = FrameSocket.open(from.netns, "eth0");
    return await this.try((payload) => void socket.send(forgedUdp({ ...path, ...macs }, payload)));
  }

  async #byNobody(from: TestHost, to: string): Promise<number> {
    const file = "/run/forged-packets";
    const bytes = this.#payload.length;
    const all = new Uint8Array(SHOTS * bytes);
    for (let shot = 0; shot < SHOTS; shot++) all.set(this.#payload, shot * bytes);
    Deno.writeFileSync(from.path(file), all, { mode: 0o644 });
    // Each write is a packet. One program for all: to start each takes longer than all the rest.
    const send = `exec dd if=${file} bs=${bytes} >/dev/udp/${to}/${this.#target.port}`;
    this.delivered();
    // What the kernel refuses at once is an error of the shell.
    await from.output(["setpriv", ...NOBODY, "bash", "-c", send]);
    return this.delivered();
  }

  [Symbol.dispose](): void {
    this.#ear.close();
  }
}

/** Of a host's underlay device. */
export function hardwareAddress(host: TestHost): string {
  return Deno.readTextFileSync(host.path("/sys/class/net/eth0/address")).trim();
}
