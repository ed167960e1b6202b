/** A broken invariant: a defect of this program, never of its input. */
export class InvariantError extends Error {
  /** `InvariantError`. */
  override name = "InvariantError";
}

/**
 * Holds `condition`, in production too: a program whose invariant is broken stops before it does
 * harm.
 *
 * @throws {InvariantError} when `condition` is false
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/**
 * Gives `value` back when it is there, and says what was missing when it is not.
 *
 * @throws {InvariantError} when `value` is `null` or `undefined`
 */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== null && value !== undefined, `${what} is missing`);
  return value;
}

/** For the `default` of an exhaustive `switch`: the compiler proves that it is not reached. */
export function unreachable(value: never): never {
  throw new InvariantError(`Unreachable: ${JSON.stringify(value)}`);
}
