import { encodeUtf8 } from "../../base/mod.ts";
import { checkRange } from "../attribute_writer.ts";

/** `IFNAMSIZ` − 1. */
const MAX_NAME_BYTES = 15;

/** @throws {RangeError} when the kernel would refuse the name of a link (`dev_valid_name`) */
export function checkLinkName(name: string): void {
  const length = encodeUtf8(name).length;
  if (length < 1 || length > MAX_NAME_BYTES || /^\.\.?$|[/:\s\0]/.test(name)) {
    throw new RangeError(
      `Cannot encode link name: ${JSON.stringify(name)} is not 1..${MAX_NAME_BYTES} bytes ` +
        "without slash, colon and white space",
    );
  }
}

/** @throws {RangeError} when no interface can have this index */
export function checkIfindex(index: number): void {
  checkRange("ifindex", index, 1, 0x7fffffff);
}
