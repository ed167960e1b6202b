import type { TokenCreated } from "../api/mod.ts";
import type { Ports } from "./ports.ts";
import { note } from "./print.ts";

/** What a person types on a host that is to join. */
export function joinCommand(address: string, token: string): string {
  return `agent join ${address} --token ${token}`;
}

/** Says to a person what the token is good for. */
export function noteToken(ports: Ports, { role, usesLeft, expiresAt }: TokenCreated): void {
  const hosts = usesLeft === 1 ? "one host" : `up to ${usesLeft} hosts`;
  note(ports, `It is good for ${hosts}, each as a ${role}, until ${expiresAt}.`);
}
