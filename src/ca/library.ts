/** The library that writes certificates and requests. */
export type X509Library = typeof import("@peculiar/x509");

/**
 * Loads it at first use, not at start: it takes 0.08 s and 10 MB, and a process that only checks
 * certificates, or only talks to the local socket, never writes one.
 */
export async function loadX509(): Promise<X509Library> {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}
