import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spkiHashOf } from "../ca/mod.ts";
import type { Listener, PeerInfo, Standing } from "./mod.ts";
import { type Card, DAY_MS, GET, listen, RawClient, TestCluster } from "./test_cluster.ts";
import { askAsRogue } from "./test_rogue_client.ts";

const cluster = await TestCluster.create();
const impostor = await cluster.impostor();
const manager = await cluster.card("manager");
const worker = await cluster.card("worker");
const GET_ONCE = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");

const FORGED: [string, Card][] = [
  ["self-signed", await cluster.selfSigned()],
  ["of a root with the same name", await impostor.card("worker")],
  ["of another cluster", await (await TestCluster.create()).card("manager")],
  ["X.509 version 1", await cluster.versionOne()],
  ["with a malformed usage", await cluster.malformedUsage()],
  [
    "expired",
    await cluster.card("worker", { nowMs: Date.now() - 2 * DAY_MS, lifetimeMs: DAY_MS }),
  ],
  ["not yet valid", await cluster.card("worker", { nowMs: Date.now() + DAY_MS })],
];

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true });
}

/** A listener whose caller would let anybody be a member: the door alone decides. */
async function naiveListener(options: { standing?: Standing } = {}) {
  const handled: PeerInfo[] = [];
  const listener = await listen(cluster, manager.identity, {
    authorize: () => options.standing ?? "member",
    handle: (_request, peer) => {
      handled.push(peer);
      return new Response("hello");
    },
  });
  return { listener, handled };
}

/** `openssl s_client`: unlike the runtime's own client, it resumes sessions when asked to. */
class OpenSsl implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<OpenSsl> {
    return new OpenSsl(await mkdtemp(join(tmpdir(), "agent-tls-")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }

  /** One request; keeps the session when there is an identity, and continues it when not. */
  async ask(listener: Listener, card?: Card): Promise<{ resumed: boolean; received: string }> {
    const file = (name: string) => join(this.#folder, name);
    const args = ["s_client", "-connect", listener.address, "-ign_eof"];
    if (card === undefined) args.push("-sess_in", file("session"));
    else {
      await writeFile(file("key.pem"), card.identity.privateKeyPem);
      await writeFile(file("certificate.pem"), card.identity.certificatePem);
      args.push("-cert", file("certificate.pem"), "-key", file("key.pem"));
      args.push("-sess_out", file("session"));
    }
    const child = spawn("openssl", args, { stdio: ["pipe", "pipe", "ignore"] });
    const parts: Uint8Array[] = [];
    child.stdout.on("data", (part: Uint8Array) => parts.push(part));
    child.stdin.on("error", () => {});
    child.stdin.write(GET_ONCE);
    await new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.stdin.destroy();
    const received = Buffer.concat(parts).toString();
    return { resumed: /^Reused, /m.test(received), received };
  }
}

for (const [what, card] of FORGED) {
  test(`a client whose certificate is ${what} is closed at once`, async () => {
    const { listener, handled } = await naiveListener();
    const client = new RawClient(listener, card.identity);
    client.send(GET);
    assert.equal(await client.rest(), "");
    // Showing a bad certificate is not the same as showing none.
    const { listener: open, handled: openHandled } = await naiveListener({ standing: "stranger" });
    const stranger = new RawClient(open, card.identity);
    stranger.send(GET);
    assert.equal(await stranger.rest(), "");
    assert.deepEqual([...handled, ...openHandled], []);
    await open.close();
    await listener.close();
  });

  test(`a client whose certificate is ${what} is closed on a resumed session too`, async () => {
    await using openssl = await OpenSsl.create();
    // Tickets are the process's: this one is made where the certificate is let in.
    let standing: Standing = "recovering";
    let handled = 0;
    const listener = await listen(cluster, manager.identity, {
      authorize: () => standing,
      handle: () => new Response(`hello ${++handled}`),
    });
    const first = await openssl.ask(listener, card);
    const canBeRecognised = hasSpkiHash(card);
    assert.equal(first.received.includes("hello 1"), canBeRecognised);
    if (canBeRecognised) {
      for (standing of ["recovering", "member", "stranger"] as const) {
        const again = await openssl.ask(listener);
        assert.ok(again.resumed, "the session was to be resumed");
        assert.ok(!again.received.includes("HTTP/1.1"), standing);
      }
      assert.equal(handled, 1);
    }
    await listener.close();
  });
}

function hasSpkiHash({ certificate }: Card): boolean {
  try {
    return spkiHashOf(certificate).length > 0;
  } catch {
    return false;
  }
}

test("a member's resumed session is verified, and counts as long as its root does", async () => {
  await using openssl = await OpenSsl.create();
  const { listener, handled } = await naiveListener();
  await openssl.ask(listener, worker);
  const resumed = await openssl.ask(listener);
  assert.ok(resumed.resumed && resumed.received.includes("hello"));
  assert.deepEqual(handled.map(({ identity }) => identity?.id), [worker.id, worker.id]);
  listener.setTrust(impostor.trust);
  const after = await openssl.ask(listener);
  assert.ok(after.resumed);
  assert.ok(!after.received.includes("HTTP/1.1"));
  assert.equal(handled.length, 2);
  await listener.close();
});

test("an open connection ends when its root is trusted no more", async () => {
  const { listener } = await naiveListener();
  const client = new RawClient(listener, worker.identity);
  client.send(GET);
  await client.until("hello");
  listener.setTrust({
    ...cluster.trust,
    roots: [cluster.root.certificate, impostor.root.certificate],
  });
  client.send(GET);
  await client.until("hello");
  listener.setTrust(impostor.trust);
  await client.rest();
  await listener.close();
});

test("a certificate without its private key is worth nothing", async () => {
  const stolen: [string, Card][] = [["good", worker], ...FORGED];
  const seen: PeerInfo[] = [];
  const listener = await listen(cluster, manager.identity, {
    authorize: ({ identity }) => identity !== null ? "member" : "recovering",
    handle: (_request, peer) => new Response(`hello ${seen.push(peer)}`),
  });
  for (const [what, { certificate, identity }] of stolen) {
    seen.length = 0;
    const { privateKeyPem } = manager.identity;
    assert.equal(
      await askAsRogue(listener.port, { certificate, privateKeyPem }, GET_ONCE),
      "",
      what,
    );
    assert.deepEqual(seen, []);
    // The same client with the right key is let in, so it was the key.
    const card = { certificate, privateKeyPem: identity.privateKeyPem };
    const answer = await askAsRogue(listener.port, card, GET_ONCE);
    assert.equal(answer.includes("hello 1"), what !== "X.509 version 1", what);
  }
  await listener.close();
});

test("a recovering peer has strangers' limits, and is known by its key", async () => {
  const seen: [PeerInfo, Standing][] = [];
  const expired = await cluster.card("worker", { nowMs: Date.now() - DAY_MS, lifetimeMs: 1000 });
  const listener = await listen(cluster, manager.identity, {
    limits: { strangerBodyBytes: 10 },
    authorize: ({ presentedSpkiHash }) => {
      return presentedSpkiHash === spkiHashOf(expired.certificate) ? "recovering" : "refused";
    },
    handle: (_request, peer, standing) => new Response(`hello ${seen.push([peer, standing])}`),
  });
  const client = new RawClient(listener, expired.identity);
  client.send(GET);
  assert.match(await client.rest(), /connection: close/i);
  const [[peer, standing] = [], second] = seen;
  assert.deepEqual([peer?.identity, standing, second], [null, "recovering", undefined]);
  const large = new RawClient(listener, expired.identity);
  large.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n${"x".repeat(11)}`);
  assert.match(await large.rest(), / 413 /);
  await listener.close();
});
