/**
 * A worker that plays the manager: serves the cluster's root to whoever asks, with the certificate
 * that it has, and prints what it is sent. Run it on a member's host, whose agent does not listen.
 *
 * @module
 */
import { createServer } from "node:https";

const [stateDir, port] = Deno.args;
const identity = Deno.readTextFileSync(`${stateDir}/tls/identity.pem`);
const root = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(
  Deno.readTextFileSync(`${stateDir}/tls/roots.pem`),
)?.[1] ?? "";
const { clusterId } = JSON.parse(Deno.readTextFileSync(`${stateDir}/node.json`));
const base64url = root.replaceAll(/\s/g, "").replaceAll("+", "-").replaceAll("/", "_");

const server = createServer({ key: identity, cert: identity }, (request, response) => {
  console.log(`${request.method} ${request.url}`);
  request.resume();
  const roots = [base64url.replaceAll("=", "")];
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ v: 1, clusterId, roots }));
});
server.listen(Number(port), () => console.log("listening"));
