import type { TestHost } from "../lab/hosts.ts";
import { waitFor } from "./wait.ts";

/**
 * What of a host's kernel a network program may leave behind: links, addresses, routes, rules, named
 * namespaces, FDB entries, and neighbours but for those that the underlay finds by itself.
 */
export async function kernelState(host: TestHost): Promise<string> {
  return await host.exec(
    "sh",
    "-c",
    `ip -o link; ip -o address; ip route show table all; ip rule
     ip netns; ls /run/netns 2>/dev/null
     ip -4 neigh show nud permanent; ip neigh show proxy; bridge fdb`,
  );
}

/**
 * What a network's sandbox forwards by. Left out is what differs from one making of it to the next:
 * interface numbers, the random addresses of the devices themselves, and the carrier, which the
 * kernel notices in its own time.
 */
export async function sandboxState(host: TestHost, network: string): Promise<string> {
  const { stdout, stderr } = await host.output([
    "sh",
    "-c",
    `ip netns exec agent-${network} sh -c '
       ip -o link | cut -d: -f2- | sed "s/@[^:]*//; s/link.ether .*brd/brd/; s/ state [A-Z]*//; s/NO-CARRIER,//; s/,LOWER_UP//"
       bridge -o -d link | sed "s/^[0-9]*: //; s/@[^:]*:/:/; s/@.* master/: master/; s/ cost.*learning/ learning/"
       bridge fdb | grep " 02:\\|^02:" | grep -v "permanent$" | sed "s/ link-netnsid.*self/ self/"
       bridge fdb | grep "dst" | sed "s/ link-netnsid.*self/ self/"
       ip neigh show nud permanent
       cat /proc/sys/net/ipv4/ip_forward' | sort`,
  ]);
  return stdout + stderr;
}

let monitors = 0;

/** Everything that changes in a network namespace: links, addresses, routes, neighbours, FDB. */
export class KernelMonitor {
  readonly #host: TestHost;
  readonly #netns: string;
  readonly #file: string;

  private constructor(host: TestHost, netns: string, file: string) {
    this.#host = host;
    this.#netns = netns;
    this.#file = file;
  }

  /** Watches from the moment at which this resolves; the end of the lab ends it. */
  static async start(host: TestHost, netns: string): Promise<KernelMonitor> {
    const file = `/run/monitor-${monitors++}`;
    await host.exec(
      ...["ip", "netns", "exec", netns, "sh", "-c"],
      `for what in 'ip monitor link' 'ip -4 monitor address route' 'bridge monitor fdb' 'ip monitor neigh'; do
         setsid stdbuf -oL $what >>${file} 2>&1 </dev/null &
       done`,
    );
    const monitor = new KernelMonitor(host, netns, file);
    await monitor.#mark("127.1.1.1");
    return monitor;
  }

  /**
   * Every change since the start, up to now. Left out is what the kernel says on its own: that a
   * link works, up to a second after it does, and the life of neighbours that a stack has found.
   */
  async changes(): Promise<string[]> {
    await this.#mark("127.2.2.2");
    const lines = (await this.#text()).split("\n").filter((line) => line !== "");
    const from = lines.findLastIndex((line) => line.includes("127.1.1.1"));
    const to = lines.findIndex((line) => line.includes("127.2.2.2"));
    return lines.slice(from + 1, to).filter((line) =>
      !/^\d+: .*<\S*,UP,LOWER_UP> .* state UP |^ +link\/ether |(REACHABLE|STALE|DELAY|PROBE)\s*$/
        .test(line)
    );
  }

  /** Makes a change that is no concern of anyone, and waits until it is seen. */
  async #mark(address: string): Promise<void> {
    await waitFor(`the monitor in ${this.#netns} to see ${address}`, async () => {
      await this.#host.exec(
        ...["ip", "netns", "exec", this.#netns, "sh", "-c"],
        `ip address add ${address} dev lo; ip address del ${address} dev lo`,
      );
      return (await this.#text()).includes(address);
    });
  }

  async #text(): Promise<string> {
    return await Deno.readTextFile(this.#host.path(this.#file));
  }
}
