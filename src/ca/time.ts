import { DerError, type DerReader, TAG } from "./der.ts";

/**
 * Reads the next element as a Time of RFC 5280 section 4.1.2.5: UTCTime to the end of 2049,
 * GeneralizedTime after, whole seconds, in UTC. Gives milliseconds since 1970.
 *
 * @throws {DerError} for any other spelling, and for a day that does not exist
 */
export function readTime(reader: DerReader): number {
  const short = reader.peek() === TAG.utcTime;
  const content = reader.content(short ? TAG.utcTime : TAG.generalizedTime);
  const digits = String.fromCharCode(...content);
  const pattern = short ? /^[0-9]{12}Z$/ : /^[0-9]{14}Z$/;
  if (!pattern.test(digits)) throw new DerError("A time is not in whole seconds of UTC");
  const yearDigits = short ? 2 : 4;
  const two = (index: number) => Number(digits.slice(yearDigits + index, yearDigits + index + 2));
  let year = Number(digits.slice(0, yearDigits));
  if (short) year += year < 50 ? 2000 : 1900;
  else if (year < 2050) throw new DerError("A time before 2050 is not written as UTCTime");
  const month = two(0) - 1;
  const timeMs = Date.UTC(year, month, two(2), two(4), two(6), two(8));
  const date = new Date(timeMs);
  // Date.UTC takes the 31st of February for the 3rd of March.
  const real = date.getUTCMonth() === month && date.getUTCDate() === two(2) &&
    date.getUTCHours() === two(4) && date.getUTCMinutes() === two(6) &&
    date.getUTCSeconds() === two(8);
  if (!real) throw new DerError("A time is not on the calendar");
  return timeMs;
}
