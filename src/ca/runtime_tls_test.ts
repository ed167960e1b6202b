/**
 * The certificates in the runtime's own TLS, which is a reader of its own: it has to accept what is
 * made here. That its acceptance alone says nothing is why there is a check of ours.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import https from "node:https";
import { TLSSocket } from "node:tls";
import type { Role } from "../base/mod.ts";
import {
  certificateToPem,
  checkCsr,
  createKeyAndCsr,
  createRoot,
  issue,
  managerServerName,
  verifyPeer,
} from "./mod.ts";
import { CLUSTER, HOUR_MS, MEMBER, someBytes, someId } from "./testing/forge.ts";

// The runtime's TLS has no clock but the machine's.
const nowMs = Date.now();
const root = await createRoot({ clusterId: CLUSTER, serial: someBytes(16, 3), nowMs });
const trust = { clusterId: CLUSTER, roots: [root.certificate] };

async function identityFor(role: Role, id: string) {
  const { privateKey, csr } = createKeyAndCsr();
  const certificate = await issue({
    root: root.certificate,
    rootKey: root.privateKey,
    publicKey: checkCsr(csr).publicKey,
    clusterId: CLUSTER,
    role,
    id,
    serial: someBytes(16, 6),
    nowMs,
    lifetimeMs: HOUR_MS,
  });
  return { key: privateKey, cert: certificateToPem(certificate) };
}

interface Exchange {
  /** Who the server found the client to be, by its answer. */
  readonly client: string;
  /** Who the client found the server to be. */
  readonly server: string;
  readonly protocol: string | null;
}

/** One request of a worker over mutual TLS 1.3 to a server with this role's certificate. */
async function exchange(role: Role, servername: string): Promise<Exchange> {
  const ca = certificateToPem(root.certificate);
  const server = https.createServer(
    {
      ...(await identityFor(role, MEMBER)),
      ca,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
    },
    (request, response) => {
      assert(request.socket instanceof TLSSocket);
      const { raw } = request.socket.getPeerCertificate();
      response.end(verifyPeer(raw, trust, nowMs).id);
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object");
  const agent = new https.Agent({ keepAlive: false });
  try {
    let found = "";
    const request = https.request({
      ...(await identityFor("worker", someId(5))),
      agent,
      ca,
      host: "127.0.0.1",
      port: address.port,
      servername,
      minVersion: "TLSv1.3",
      checkServerIdentity: (_name, { raw }) => {
        found = verifyPeer(raw, trust, nowMs).role;
        return undefined;
      },
    });
    request.end();
    const [response] = await once(request, "response");
    const protocol = response.socket.getProtocol();
    const parts: Uint8Array[] = [];
    for await (const part of response) parts.push(part);
    return { client: Buffer.concat(parts).toString(), server: found, protocol };
  } finally {
    agent.destroy();
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }
}

const sanitized = { sanitizeOps: true, sanitizeResources: true };

Deno.test(
  "the certificates serve both ends of a mutual TLS 1.3 connection",
  sanitized,
  async () => {
    const { client, server, protocol } = await exchange("manager", managerServerName(CLUSTER));
    assert.deepEqual({ client, server, protocol }, {
      client: someId(5),
      server: "manager",
      protocol: "TLSv1.3",
    });
  },
);

Deno.test("the runtime too takes no worker for a server", sanitized, async () => {
  await assert.rejects(exchange("worker", managerServerName(CLUSTER)));
});
