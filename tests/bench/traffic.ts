import { availableCpus } from "../../scripts/child.ts";
import type { TestHost } from "../lab/hosts.ts";
import { groupedPercentile } from "./statistics.ts";
import { waitFor } from "../e2e/wait.ts";

/** Two workloads on two hosts with a network between them. */
export interface Path {
  readonly label: "ours" | "by hand";
  /** Where packets come from. */
  readonly from: TestHost;
  /** Where they go to. */
  readonly to: TestHost;
  /** Name of the workload's namespace, the same on both hosts. */
  readonly netns: string;
  /** Address of the workload on `to`. */
  readonly ip: string;
}

/** What a measurement gives, by the name it has in the result. */
export type Figures = Readonly<Record<string, number>>;

/** One thing that is measured. */
export interface Measurement {
  /** Runs it once. */
  run(path: Path): Promise<Figures>;
}

/** The resolution with which ping prints round trips under 100 ms. */
const PING_STEP_US = 1;

/**
 * Sender and receiver share one CPU: where they have several, the scheduler's choice changes the
 * figures by more than what is to be compared.
 */
const cpu = String(availableCpus().at(-1) ?? 0);

/** Starts the receivers of TCP and UDP traffic, and waits until they listen. */
export async function startReceivers({ to, netns }: Path): Promise<void> {
  to.spawn(inside(netns, "iperf3", "--server"), { output: "null" });
  to.spawn(inside(netns, ...packetSource("sink")), { output: "null" });
  await waitFor(`the receivers to listen in ${netns}`, async () => {
    const files = ["/proc/net/tcp6", "/proc/net/udp"];
    const sockets = await to.exec("ip", "netns", "exec", netns, "cat", ...files);
    // Port 5201 in the state TCP_LISTEN, and UDP port 9.
    return /:1451 0+:0000 0A/.test(sockets) && /: 00000000:0009 /.test(sockets);
  });
}

/** Bits that arrive, in Gbit/s. */
export function tcpThroughput(streams: number, seconds: number): Measurement {
  return {
    run: async (path) => {
      const options = ["--parallel", `${streams}`, "--time", `${seconds}`];
      const { sum_received } = await iperf(path, options);
      return { [`tcp${streams}`]: sum_received.bits_per_second / 1e9 };
    },
  };
}

/**
 * Packets of 64 bytes that arrive, in thousands a second: as the receiving workload's interface
 * counts them, for what its socket drops has arrived.
 */
export function packetRate(seconds: number): Measurement {
  return {
    run: async (path) => {
      const { from, netns, ip } = path;
      const before = await receivedPackets(path);
      const said = await from.exec(...inside(netns, ...packetSource("source", ip, `${seconds}`)));
      return { pps: (await receivedPackets(path) - before) / Number(said) / 1e3 };
    },
  };
}

/** Round trips of 56 bytes, one after the other as fast as they come back, in µs. */
export function roundTrips(count: number): Measurement {
  return {
    run: async ({ from, netns, ip }) => {
      const ping = ["ping", "-n", "-i", "0", "-c", `${count}`, "-s", "56", ip];
      const said = await from.exec(...inside(netns, ...ping));
      const timesUs = [...said.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000);
      if (timesUs.length < count) {
        throw new Error(`${count - timesUs.length} of ${count} pings were not answered: ${said}`);
      }
      const at = (percent: number) => groupedPercentile(timesUs, percent, PING_STEP_US);
      return { p50_latency: at(50), p99_latency: at(99) };
    },
  };
}

interface IperfReport {
  readonly error?: string;
  readonly end: IperfEnd;
}

interface IperfEnd {
  readonly sum_received: { readonly bits_per_second: number };
}

async function iperf({ from, netns, ip }: Path, options: readonly string[]): Promise<IperfEnd> {
  const command = inside(netns, "iperf3", "--json", "--client", ip, ...options);
  // The server ends a test a moment after its client has gone, and is busy until then.
  return await waitFor(`iperf3 between ${netns}s`, async () => {
    const { stdout } = await from.output(command);
    const { end, error }: IperfReport = JSON.parse(stdout);
    if (error !== undefined) throw new Error(error);
    return end;
  });
}

function packetSource(...args: readonly string[]): string[] {
  const program = new URL("packet_source.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "--allow-all", "--no-check", "--quiet", program, ...args];
}

async function receivedPackets({ to, netns }: Path): Promise<number> {
  const file = "/sys/class/net/eth0/statistics/rx_packets";
  return Number(await to.exec("ip", "netns", "exec", netns, "cat", file));
}

function inside(netns: string, ...command: readonly string[]): string[] {
  return ["ip", "netns", "exec", netns, "taskset", "-c", cpu, ...command];
}
