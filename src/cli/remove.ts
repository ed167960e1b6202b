import { type Message, message, text } from "@optique/core/message";
import { multiple } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { CommandError } from "./errors.ts";
import { EXIT_CODES } from "./exit.ts";
import { type Format, reference } from "./options.ts";
import type { Ports } from "./ports.ts";
import { note, print } from "./print.ts";

/** One or more ids or names. */
export function severalReferences(metavar: Parameters<typeof reference>[0], what: Message) {
  return multiple(argument(reference(metavar), { description: what }), {
    min: 1,
    errors: { tooFew: message`Name at least one ${text(metavar)}.` },
  });
}

/**
 * Removes what can be removed, says what cannot, and prints what is gone; the exit code is that of
 * the first refusal.
 */
export async function removeEach(
  ports: Ports,
  format: Format,
  names: readonly string[],
  remove: (name: string) => Promise<void>,
): Promise<number> {
  const removed: string[] = [];
  let code: number = EXIT_CODES.ok;
  for (const name of names) {
    try {
      await remove(name);
      removed.push(name);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (code === EXIT_CODES.ok) code = error.exitCode;
      note(ports, `agent: ${error.message}`);
    }
  }
  print(ports, format, { removed }, () => removed.map((name) => `${name}\n`).join(""));
  return code;
}
