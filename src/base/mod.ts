/**
 * What every other folder stands on: bytes and their texts, addresses, ids, frames, invariants,
 * and the ports through which time, randomness and logs come in. Pure: it imports no other folder
 * and asks nothing of the machine.
 *
 * ```ts
 * import { Cidr, IpAddress } from "./mod.ts";
 *
 * const subnet = Cidr.parse("10.64.0.0/24");
 * subnet.contains(IpAddress.parse("10.64.0.2")); // true
 * ```
 *
 * @module
 */
export * from "./assert.ts";
export * from "./bytes.ts";
export * from "./digest.ts";
export * from "./frame.ts";
export * from "./id.ts";
export * from "./ip.ts";
export * from "./json.ts";
export * from "./mac.ts";
export * from "./ports.ts";
export * from "./principal.ts";
export * from "./secret.ts";
