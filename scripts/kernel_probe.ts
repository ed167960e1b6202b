/**
 * Which of the kernel features that tests and benchmarks ask for does this kernel really have?
 * Each is tried, in a throw-away network namespace: module lists and version numbers do not tell.
 *
 * @module
 */

/** What a `// needs:` line may name, beside `root`. `clock`: one that may be set, as no real one may. */
export const features = ["netns", "vxlan", "esp", "flower", "netem", "clock"] as const;
export type Feature = (typeof features)[number];

const key = "0x" + "ab".repeat(36);

const attempts: Readonly<Record<Feature, string>> = {
  netns: "ip link add probe0 type veth peer name probe1 && ip link add probebr type bridge",
  vxlan: "ip link add probevx type vxlan id 1 dstport 4789 local 192.0.2.1 nolearning",
  // All of what an encrypted network uses: AES-256-GCM, ESN with a wide window, and a policy.
  esp: "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 mode transport " +
    `replay-window 1024 flag esn aead 'rfc4106(gcm(aes))' ${key} 128 && ` +
    "ip xfrm policy add dir out src 192.0.2.1/32 dst 192.0.2.2/32 tmpl proto esp mode transport",
  flower: "ip link add probe2 type veth peer name probe3 && tc qdisc add dev probe2 clsact && " +
    "tc filter add dev probe2 egress protocol ip pref 1 flower ip_proto udp dst_port 9 action drop",
  netem:
    "ip link add probe4 type veth peer name probe5 && tc qdisc add dev probe4 root netem delay 1ms",
  clock: 'test "$AGENT_LAB" = guest',
};

/** The features this kernel lacks, in the order asked for. As a plain user it lacks them all. */
export async function missingFeatures(wanted: readonly Feature[]): Promise<Feature[]> {
  const script = wanted.map((name) => `(${attempts[name]}) >/dev/null 2>&1 && echo ${name}`);
  const output = await new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", [...script, "true"].join("\n")],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const found = new Set(new TextDecoder().decode(output.stdout).split("\n"));
  return wanted.filter((name) => !found.has(name));
}

/** The features that a `// needs:` line names; `root` is no feature, and everything unknown throws. */
export function parseNeeds(line: string): { readonly features: Feature[]; readonly root: boolean } {
  const words = line.match(/^\/\/ needs:(.*)$/)?.[1]?.trim().split(/[\s,]+/).filter(Boolean) ?? [];
  const named: Feature[] = [];
  for (const word of words) {
    const feature = features.find((name) => name === word);
    if (feature !== undefined) named.push(feature);
    else if (word !== "root") {
      throw new TypeError(
        `Cannot read "${line}": "${word}" is not one of root, ${features.join(", ")}`,
      );
    }
  }
  return { features: named, root: words.includes("root") };
}
