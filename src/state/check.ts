import { rejectValue } from "./rejected.ts";

/**
 * Reads one value of JSON that nobody has checked. `at` is its JSON pointer (RFC 6901).
 *
 * @throws {Rejected} `invalid-value`, naming the field
 */
export type Check<T> = (value: unknown, at: string) => T;

type Checks = Readonly<Record<string, Check<unknown>>>;
type Checked<C extends Checks> = { readonly [Key in keyof C]: ReturnType<C[Key]> };

/** Whether the value is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Pointer to a member of what `at` points to. */
export function pointer(at: string, key: string | number): string {
  return `${at}/${String(key).slice(0, 80).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** An object with all of `required`, any of `optional` and nothing else. */
export function object<R extends Checks, O extends Checks>(
  required: R,
  optional: O,
): Check<Checked<R> & Partial<Checked<O>>> {
  const requiredKeys = Object.keys(required);
  const known = new Map(Object.entries<Check<unknown>>({ ...required, ...optional }));
  return (value, at) => {
    if (!isObject(value)) rejectValue(at, "The value must be an object");
    const result: Record<string, unknown> = {};
    for (const key of requiredKeys) {
      if (!Object.hasOwn(value, key) || value[key] === undefined) {
        rejectValue(pointer(at, key), `The field ${key} is missing`);
      }
    }
    for (const key of Object.keys(value)) {
      const check = known.get(key);
      if (check === undefined) rejectValue(pointer(at, key), "The field is not known");
      if (value[key] !== undefined) result[key] = check(value[key], pointer(at, key));
    }
    return result as Checked<R> & Partial<Checked<O>>;
  };
}

/** An array of `min` … `max` items. */
export function array<T>(item: Check<T>, min: number, max: number): Check<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) rejectValue(at, "The value must be an array");
    if (value.length < min || value.length > max) {
      rejectValue(at, `There are ${value.length} items, not ${min} to ${max}`);
    }
    return value.map((part: unknown, index) => item(part, pointer(at, index)));
  };
}

/** A whole number in `min` … `max`. */
export function integer(min: number, max: number): Check<number> {
  return (value, at) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      rejectValue(at, `The value must be a whole number in ${min} to ${max}`);
    }
    return value;
  };
}

/** Text of `min` … `max` UTF-16 code units. */
export function text(min: number, max: number): Check<string> {
  return (value, at) => {
    if (typeof value !== "string") rejectValue(at, "The value must be text");
    if (value.length < min || value.length > max) {
      rejectValue(at, `The text has ${value.length} characters, not ${min} to ${max}`);
    }
    return value;
  };
}

/** Text that a pattern matches; `what` says what it is. */
export function pattern(expression: RegExp, what: string): Check<string> {
  return (value, at) => {
    if (typeof value !== "string" || !expression.test(value)) {
      rejectValue(at, `The value must be ${what}`);
    }
    return value;
  };
}

/** One of these texts. */
export function oneOf<const T extends string>(...choices: readonly T[]): Check<T> {
  return (value, at) => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) rejectValue(at, `The value must be one of ${choices.join(", ")}`);
    return found;
  };
}

/** True or false. */
export const flag: Check<boolean> = (value, at) => {
  if (typeof value !== "boolean") rejectValue(at, "The value must be true or false");
  return value;
};

/** What `check` takes, or null. */
export function nullable<T>(check: Check<T>): Check<T | null> {
  return (value, at) => value === null ? null : check(value, at);
}
