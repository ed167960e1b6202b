import type { Format } from "./options.ts";
import type { Ports } from "./ports.ts";

/** Prints a result, for a program or for a person. */
export function print(ports: Ports, format: Format, value: unknown, text: () => string): void {
  const { stdout } = ports.process;
  stdout.write(format === "json" ? `${JSON.stringify(value, null, 2)}\n` : text());
}

/** Says what is being done, or was done, to one who looks on. */
export function note(ports: Ports, text: string): void {
  ports.process.stderr.write(`${text}\n`);
}
