// needs: root vxlan
import assert from "node:assert/strict";
import type { NodeView, TokenCreated, TokenView } from "../../src/api/mod.ts";
import type { CommandOutput } from "../lab/hosts.ts";
import { AGENT, Cluster, type ClusterHost, RUN_DIR, STATE_DIR, withHosts } from "./cluster.ts";
import { waitFor } from "./wait.ts";

/** A manager, a worker, and a host that tries to join. */
interface Scene {
  readonly manager: ClusterHost;
  readonly worker: ClusterHost;
  readonly joiner: ClusterHost;
  readonly token: TokenCreated;
}

Deno.test(
  "join",
  { sanitizeOps: true, sanitizeResources: true },
  (t) =>
    withHosts(3, async (_lab, [manager, worker, joiner]) => {
      assert(manager !== undefined && worker !== undefined && joiner !== undefined);
      await Cluster.form([manager, worker]);
      const token = await manager.createToken({ uses: 100 });
      const scene = { manager, worker, joiner, token };
      const fails = (
        name: string,
        attempt: (scene: Scene) => Promise<CommandOutput>,
        says: RegExp,
      ) => t.step(`fails cleanly: ${name}`, () => failsCleanly(scene, attempt, says));

      await fails("nothing listens", nothingListens, /192\.0\.2\.2:7443: nothing listens there/);
      await fails("nobody is there", nobodyThere, /192\.0\.2\.77:7443/);
      await fails("the pin is another", wrongPin, /root certificate that is not the one/);
      await fails("the token is no token", noToken, /token/i);
      await fails("a worker poses as manager", workerPoses, /certificate of a worker/);
      await fails("the token has expired", expiredToken, /expired/);
      await fails("the token is used up", usedUpToken, /used up/);
      await fails("the token was revoked", revokedToken, /No such join token/);
      await t.step("fails cleanly: the clock is off by a day", () => wrongClock(scene));
      await fails("the name is taken", takenName, /host2/);
      await fails(
        "the manager cannot reach the address",
        unreachable,
        /cannot reach 198\.51\.100\.3/,
      );
      await fails("the VXLAN port is taken", takenPort, /UDP port 19999/);
      await fails("the user is not root", notRoot, /root/);
      await t.step("leaves nothing that runs when it is killed", () => killed(scene));
      await t.step("fails cleanly: the host is a member already", () => memberAlready(scene));
      await t.step("says what it does, and the host is a ready member", () => succeeds(scene));
    }),
);

/** One clear sentence, a status that is not 0, and nothing left behind anywhere. */
async function failsCleanly(
  scene: Scene,
  attempt: (scene: Scene) => Promise<CommandOutput>,
  says: RegExp,
): Promise<void> {
  const { manager, joiner } = scene;
  const before = await left(joiner);
  const members = await memberNames(manager);
  const { status, stdout, stderr } = await attempt(scene);
  assert.notEqual(status, 0);
  assert.equal(stdout, "");
  const reasons = stderr.trim().split("\n").filter((line) => line.startsWith("agent: "));
  assert.equal(reasons.length, 1, stderr);
  assert.match(reasons[0] ?? "", says);
  assert.doesNotMatch(stderr, /^\s+at /m);
  assert.doesNotMatch(stderr, new RegExp(scene.token.token));
  assert.equal(await left(joiner), before);
  assert.deepEqual(await memberNames(manager), members);
}

/** What an agent may leave on a host: files, processes. The lock file and the runtime may stay. */
function left(host: ClusterHost): Promise<string> {
  return host.sh(
    `find ${STATE_DIR} -mindepth 1 -not -path '*/runtime*' -not -name lock
     ls -d ${RUN_DIR} 2>/dev/null
     ps -eo stat,comm | grep -v ^Z | grep -o ' agent$'
     ip -o link; ip netns; true`,
  );
}

async function memberNames(manager: ClusterHost): Promise<readonly string[]> {
  return (await manager.list<NodeView>("nodes")).map(({ hostname }) => hostname).sort();
}

function join({ joiner, manager }: Scene, token: string, ...more: string[]) {
  return joiner.agent("join", manager.address, "--token", token, ...more);
}

function nothingListens({ joiner, worker, token }: Scene) {
  return joiner.agent("join", worker.address, "--token", token.token);
}

function nobodyThere({ joiner, token }: Scene) {
  return joiner.agent("join", "192.0.2.77", "--token", token.token);
}

function wrongPin(scene: Scene) {
  const [, , pin = "", secret] = /^(AGTKN-1)-([a-z2-7]+)-([a-z2-7]+)$/i.exec(scene.token.token) ??
    [];
  assert.notEqual(pin, "");
  const other = (pin.startsWith("a") ? "b" : "a") + pin.slice(1);
  return join(scene, `AGTKN-1-${other}-${secret}`);
}

function noToken(scene: Scene) {
  return join(scene, "AGTKN-1-secret");
}

async function workerPoses({ joiner, worker, token }: Scene): Promise<CommandOutput> {
  const script = new URL("impostor.ts", import.meta.url).pathname;
  const args = ["run", "--allow-all", "--no-check", script, STATE_DIR, "7443"];
  const impostor = worker.start([Deno.execPath(), ...args]);
  let said = "";
  const reading = (async () => {
    for await (const text of impostor.stdout.pipeThrough(new TextDecoderStream())) said += text;
  })();
  await waitFor("the impostor to listen", () => said.includes("listening"));
  const output = await joiner.agent("join", worker.address, "--token", token.token);
  await impostor.kill("SIGKILL");
  await Promise.all([reading, impostor.stderr.cancel(), impostor.status]);
  assert.match(said, /GET \/v1\/ca/);
  assert.doesNotMatch(said, /\/v1\/join/, "the secret has not left the joiner");
  return output;
}

async function expiredToken(scene: Scene): Promise<CommandOutput> {
  const { token, expiresAt } = await scene.manager.createToken({ lifetimeMs: 1000 });
  await waitFor("the token to expire", () => Date.now() > Date.parse(expiresAt));
  return await join(scene, token);
}

async function usedUpToken(scene: Scene): Promise<CommandOutput> {
  const tokens = await scene.manager.list<TokenView>("tokens");
  assert(tokens.some(({ usesLeft }) => usesLeft === 0), "the worker has used its token up");
  const { token } = await scene.manager.createToken({ uses: 1 });
  const { joiner } = scene;
  const first = await join(scene, token);
  assert.equal(first.status, 0, first.stderr);
  await joiner.must("leave");
  return await join(scene, token);
}

async function revokedToken(scene: Scene): Promise<CommandOutput> {
  const { id, token } = await scene.manager.createToken();
  await scene.manager.must("token", "rm", id);
  return await join(scene, token);
}

async function takenName(scene: Scene): Promise<CommandOutput> {
  const { joiner, token } = scene;
  await joiner.sh("echo HOST2 >/proc/sys/kernel/hostname");
  const output = await join(scene, token.token);
  await joiner.sh("echo host3 >/proc/sys/kernel/hostname");
  return output;
}

async function unreachable(scene: Scene): Promise<CommandOutput> {
  const { joiner, token } = scene;
  // Nobody on the underlay is told where that address is.
  const arpIgnore = "/proc/sys/net/ipv4/conf/all/arp_ignore";
  await joiner.sh(`ip address add 198.51.100.3/32 dev lo; echo 1 >${arpIgnore}`);
  const output = await join(scene, token.token, "--advertise", "198.51.100.3");
  await joiner.sh(`ip address del 198.51.100.3/32 dev lo; echo 0 >${arpIgnore}`);
  return output;
}

async function takenPort(scene: Scene): Promise<CommandOutput> {
  const { joiner, token } = scene;
  await joiner.sh(
    "ip link add taken type vxlan id 1 dstport 19999 local 192.0.2.3 && ip link set taken up",
  );
  const output = await join(scene, token.token);
  await joiner.sh("ip link del taken");
  return output;
}

async function notRoot({ joiner, manager, token }: Scene): Promise<CommandOutput> {
  // The checkout, and the cache that root has, may be closed to others.
  await joiner.sh(`cp ${AGENT} /run/agent-for-all; mkdir -m 777 /run/cache`);
  const user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
  const argv = ["/run/agent-for-all", "join", manager.address, "--token", token.token];
  return await joiner.lab.output(
    [...user, "env", "XDG_CACHE_HOME=/run/cache", ...argv],
    { cwd: "/" },
  );
}

/** The joiner's clock is the machine's, so it is a joiner of our own that says another time. */
async function wrongClock({ joiner, manager, token }: Scene): Promise<void> {
  const members = await memberNames(manager);
  const self = await manager.socket.get<NodeView>("/v1/nodes/host1");
  const facts = {
    hostname: joiner.name,
    controlAddress: `${joiner.address}:7443`,
    vtepAddress: joiner.address,
    underlayMtuBytes: self.underlayMtuBytes,
    hostRoutes: [],
    encryption: self.encryption,
    agentVersion: self.agentVersion,
    featureLevel: self.featureLevel,
  };
  const request = {
    v: 1,
    secret: token.token.split("-").at(-1),
    csr: "AAAA",
    facts,
    probe: "AAAA",
    nowMs: Date.now() + 24 * 3_600_000,
  };
  const said = await joiner.lab.exec(
    ...["curl", "--silent", "--insecure", `https://${manager.address}:7443/v1/join`],
    ...["--header", "content-type: application/json", "--data", JSON.stringify(request)],
  );
  const { code, detail } = JSON.parse(said);
  assert.equal(code, "clock-skewed");
  assert.match(detail, /clock is 1440 minutes ahead of this manager's: set the clock/);
  assert.deepEqual(await memberNames(manager), members);
}

/** The agent that is to run then is loaded while the other side is waited for. */
async function killed({ joiner, token }: Scene): Promise<void> {
  const listing = "ps -eo stat,comm | grep -v ^Z | grep -c ' agent$' || true";
  const agents = async () => Number(await joiner.sh(listing));
  const command = joiner.start(
    [AGENT, "join", "192.0.2.77", "--token", token.token],
    { output: "null" },
  );
  await waitFor("the agent that waits for the join", async () => await agents() >= 2);
  await command.kill("SIGKILL");
  await waitFor("every process to end", async () => await agents() === 0);
}

async function memberAlready({ worker, manager, token }: Scene): Promise<void> {
  const before = await worker.ready();
  const { status, stderr } = await worker.agent("join", manager.address, "--token", token.token);
  assert.notEqual(status, 0);
  assert.match(stderr, /^agent: .*member of a cluster already.*agent leave.*\n$/);
  assert.deepEqual((await worker.ready()).nodeId, before.nodeId);
}

async function succeeds(scene: Scene): Promise<void> {
  const { joiner, manager, token } = scene;
  const { status, stderr, stdout } = await join(scene, token.token);
  assert.equal(status, 0);
  assert.match(
    stderr + stdout,
    /root certificate[^]*pin[^]*Asking for a certificate[^]*Starting[^]*This host is node /,
  );
  const self = await joiner.ready();
  const node = await manager.socket.get<NodeView>(`/v1/nodes/${joiner.name}`);
  assert.deepEqual([node.id, node.role, node.alive], [self.nodeId, "worker", true]);
}
