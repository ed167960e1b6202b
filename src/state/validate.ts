import { Cidr, IpAddress, isId, isName, isProbeMac, isUnicastMac, parseMac } from "../base/mod.ts";
import { array, type Check, integer, isObject, object, oneOf, pattern, text } from "./check.ts";
import { pointer } from "./check.ts";
import { quote, rejectValue } from "./rejected.ts";
import type { AllowedNodes, Authority, CertificateRecord, Labels, NodeFacts } from "./types.ts";

/** The latest time that a `Date` can say, ms. */
const MAX_TIME_MS = 8.64e15;

/** Time in integer ms since 1970. */
export const time: Check<number> = integer(0, MAX_TIME_MS);
/** Revision of the state or of an object. */
export const revision: Check<number> = integer(0, Number.MAX_SAFE_INTEGER);
/** `manager` or `worker`. */
export const role: Check<"manager" | "worker"> = oneOf("manager", "worker");
/** SHA-256 in base64url. */
export const sha256Text: Check<string> = pattern(
  /^[A-Za-z0-9_-]{43}$/,
  "a SHA-256 in base64url, 43 characters",
);

/** 32 bytes in base64url that are no hash: a key. What is wrong with it is said without showing it. */
export const key32: Check<string> = pattern(
  /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/,
  "32 bytes in base64url, 43 characters",
);

/** 128 bits in base32. */
export const id: Check<string> = (value, at) => {
  if (typeof value !== "string" || !isId(value)) rejectValue(at, "The value must be an id");
  return value;
};

/** Name of a network or an endpoint. */
export const name: Check<string> = (value, at) => {
  if (typeof value !== "string" || !isName(value)) {
    rejectValue(
      at,
      "A name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at the ends, " +
        "and does not look like an id",
    );
  }
  return value;
};

/** Labels, with their keys sorted. */
export const labels: Check<Labels> = (value, at) => {
  if (!isObject(value)) rejectValue(at, "Labels must be an object");
  const keys = Object.keys(value).sort();
  if (keys.length > 64) rejectValue(at, `There are ${keys.length} labels, not at most 64`);
  const checked: Record<string, string> = {};
  for (const key of keys) {
    const field = pointer(at, key);
    // Assigning to this key would set the prototype of the copy and lose the label.
    if (key === "__proto__") rejectValue(field, "A label cannot be called __proto__");
    if (key.length < 1 || key.length > 256) {
      rejectValue(field, `A label's key has 1 to 256 characters, this one ${key.length}`);
    }
    checked[key] = text(0, 256)(value[key], field);
  }
  return checked;
};

/** `any`, or ids and labels; the ids sorted, each once. */
export const allowedNodes: Check<AllowedNodes> = (value, at) => {
  if (value === "any") return "any";
  if (!isObject(value)) rejectValue(at, 'The value must be "any", or an object of ids and labels');
  const listed = object({ ids: array(id, 0, 1024), labels }, {})(value, at);
  return { ids: [...new Set(listed.ids)].sort(), labels: listed.labels };
};

/** A choice of MTU. */
export const mtuBytes: Check<number> = integer(576, 65535);

/** A MAC address that one interface can have, in lower case. */
export const mac: Check<string> = (value, at) => {
  if (typeof value !== "string") rejectValue(at, "A MAC address must be text");
  let bytes: Uint8Array;
  try {
    bytes = parseMac(value);
  } catch {
    rejectValue(at, `${quote(value)} is not a MAC address such as 02:00:0a:40:00:02`);
  }
  if (!isUnicastMac(bytes)) {
    rejectValue(at, `${quote(value)} is a group address or zero: no interface can have it`);
  }
  const text = value.toLowerCase();
  if (isProbeMac(text)) {
    rejectValue(
      at,
      `${quote(value)} is of those with which hosts check encrypted networks: choose another one`,
    );
  }
  return text;
};

/** An address of either family, in canonical text. */
export const address: Check<string> = (value, at) => parseAddress(value, at).toString();

/** An IPv4 address in the overlay, in canonical text. */
export const overlayAddress: Check<string> = (value, at) => {
  const parsed = parseAddress(value, at);
  if (parsed.family === 6) rejectValue(at, "IPv6 is not supported yet");
  return parsed.toString();
};

/** A prefix of either family, in canonical text. */
export const prefix: Check<string> = (value, at) => parsePrefix(value, at).toString();

/** DER or PKCS #8 in base64url. */
export const der: Check<string> = pattern(/^[A-Za-z0-9_-]{1,16384}$/, "base64url");

const route: Check<string> = (value, at) => {
  const parsed = parsePrefix(value, at);
  if (parsed.prefixLength === 0) {
    rejectValue(at, "A default route is not one that a subnet can clash with: leave it out");
  }
  return parsed.toString();
};

const hostRoutes: Check<readonly string[]> = (value, at) =>
  [
    ...new Set(array(route, 0, 256)(value, at)),
  ].sort();

const hostname: Check<string> = (value, at) => {
  // Hosts' names as gethostname(2) gives them; paths of the API take a name or an id.
  if (
    typeof value !== "string" || isId(value.toLowerCase()) ||
    !/^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(value)
  ) {
    rejectValue(
      at,
      "A host's name is 1 to 253 letters, digits, dots, hyphens and underscores, begins and ends " +
        "with a letter or digit, and does not look like an id",
    );
  }
  return value;
};

const controlAddress: Check<string> = (value, at) => {
  const parts = typeof value === "string"
    ? /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(value)
    : null;
  const port = Number(parts?.[3]);
  if (parts === null || port > 65535) {
    rejectValue(at, "The value must be address:port, as 192.0.2.1:7443 or [2001:db8::1]:7443");
  }
  const host = parseHost(parts[1] ?? parts[2], at);
  if ((host.family === 6) !== (parts[1] !== undefined)) {
    rejectValue(at, "An IPv6 address is in brackets, an IPv4 address is not");
  }
  return host.family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
};

const vtepAddress: Check<string> = (value, at) => parseHost(value, at).toString();

/** What a node says of its host. */
export const nodeFacts: Check<NodeFacts> = object({
  hostname,
  controlAddress,
  vtepAddress,
  underlayMtuBytes: integer(576, 65536),
  hostRoutes,
  encryption: text(1, 1024),
  agentVersion: text(1, 64),
  featureLevel: integer(1, 1_000_000),
}, {});

/** A certificate as the cluster remembers it. */
export const certificateRecord: Check<CertificateRecord> = object({
  serial: pattern(/^[0-9a-f]{1,64}$/, "hexadecimal"),
  spkiHash: sha256Text,
  notAfterMs: time,
  certificate: der,
}, {});

/** What the cluster's own authority holds. */
export const authority: Check<Authority> = object({ roots: array(der, 1, 16), rootKey: der }, {});

function parseAddress(value: unknown, at: string): IpAddress {
  if (typeof value !== "string") rejectValue(at, "An address must be text");
  try {
    return IpAddress.parse(value);
  } catch {
    rejectValue(at, `${quote(value)} is not an IP address`);
  }
}

/** An address that a host can have on its underlay. */
function parseHost(value: unknown, at: string): IpAddress {
  const parsed = parseAddress(value, at);
  const first = parsed.toBytes()[0] ?? 0;
  const multicast = parsed.family === 4 ? first >= 224 : first === 0xff;
  if (parsed.value === 0n || multicast) {
    rejectValue(at, `${parsed} is no address of a host`);
  }
  return parsed;
}

function parsePrefix(value: unknown, at: string): Cidr {
  if (typeof value !== "string") rejectValue(at, "A prefix must be text, as 10.64.0.0/24");
  const [host, length, ...rest] = value.split("/");
  if (
    host === undefined || length === undefined || rest.length > 0 ||
    !/^(0|[1-9][0-9]{0,2})$/.test(length)
  ) {
    rejectValue(at, `${quote(value)} is not address/length, as 10.64.0.0/24`);
  }
  const parsed = parseAddress(host, at);
  const bits = parsed.family === 4 ? 32 : 128;
  if (Number(length) > bits) rejectValue(at, `The length ${length} is not in 0 to ${bits}`);
  const network = Cidr.containing(parsed, Number(length));
  if (!network.address.equals(parsed)) {
    rejectValue(at, `${quote(value)} has host bits set: the network is ${network}`);
  }
  return network;
}
