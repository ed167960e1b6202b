/**
 * Variables that make the runtime believe more certificates than it is told to, or all of them.
 */
const TRUST_VARIABLES = [
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NODE_EXTRA_CA_CERTS",
  "NODE_TLS_REJECT_UNAUTHORIZED",
] as const;

/**
 * Deletes from the environment what could change whom TLS trusts, for this process and its
 * children. To be called before the first connection.
 *
 * @returns the names of those that were set
 */
export function dropTrustEnvironment(): string[] {
  const dropped = TRUST_VARIABLES.filter((name) => Deno.env.has(name));
  for (const name of dropped) Deno.env.delete(name);
  return dropped;
}
