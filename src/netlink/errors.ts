import { ERRNO } from "./constants.ts";

/** Name of an error number that the kernel's network stack answers with. */
export type ErrnoName =
  | "EPERM"
  | "ENOENT"
  | "ESRCH"
  | "EINTR"
  | "EIO"
  | "ENXIO"
  | "E2BIG"
  | "EBADF"
  | "EAGAIN"
  | "ENOMEM"
  | "EACCES"
  | "EFAULT"
  | "EBUSY"
  | "EEXIST"
  | "EXDEV"
  | "ENODEV"
  | "EINVAL"
  | "ENFILE"
  | "ENOSPC"
  | "EDOM"
  | "ERANGE"
  | "ENAMETOOLONG"
  | "ENOSYS"
  | "ELOOP"
  | "ENODATA"
  | "ENOLINK"
  | "EPROTO"
  | "EBADMSG"
  | "EOVERFLOW"
  | "EMSGSIZE"
  | "EPROTONOSUPPORT"
  | "EOPNOTSUPP"
  | "EPFNOSUPPORT"
  | "EAFNOSUPPORT"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "ENETDOWN"
  | "ENETUNREACH"
  | "ENOBUFS"
  | "EISCONN"
  | "ENOTCONN"
  | "EHOSTUNREACH"
  | "EALREADY"
  | "ESTALE"
  | "unknown";

/** What the kernel said beside the error number (`NLMSGERR_ATTR_…`); each field may be missing. */
export interface ExtendedAck {
  /** The kernel's own words; they differ between versions, so never compare them. */
  readonly message: string | null;
  /** Offset of the offending attribute in the request, in bytes from its header. */
  readonly offset: number | null;
  /** Type of the attribute at that offset. */
  readonly attributeType: number | null;
  /** Type of an attribute that the kernel missed, within the nest at {@linkcode missingNest}. */
  readonly missingType: number | null;
  /** Offset of the nest that misses an attribute; null when it is the message itself. */
  readonly missingNest: number | null;
}

/** The kernel refused a request, or its answer did not come as it should. */
export class NetlinkError extends Error {
  /** Tells it from other errors. */
  override name = "NetlinkError";
  /** What was asked: `create vxlan link vxlan0`. */
  readonly op: string;
  /** The kernel's error number, positive. */
  readonly errno: number;
  /** The same as a name, to compare with. */
  readonly code: ErrnoName;
  /** What the kernel said beside the number; null when nothing. */
  readonly extendedAck: ExtendedAck | null;

  /**
   * Puts together one sentence from all that is known.
   *
   * @param options `detail`: what is known beside the kernel's own words
   */
  constructor(
    op: string,
    errno: number,
    extendedAck: ExtendedAck | null,
    options?: ErrorOptions & { readonly detail?: string },
  ) {
    const code = errnoName(errno);
    const reasons = [options?.detail, describeExtendedAck(extendedAck)].filter(Boolean);
    super(
      `Cannot ${op}: ${code === "unknown" ? `error ${errno}` : code}` +
        (reasons.length > 0 ? ` (${reasons.join("; ")})` : ""),
      options,
    );
    this.op = op;
    this.errno = errno;
    this.code = code;
    this.extendedAck = extendedAck;
  }
}

/** Bytes that are not what the kernel's headers say they should be. */
export class DecodeError extends Error {
  /** Tells it from other errors. */
  override name = "DecodeError";
}

const NAMES: ReadonlyMap<number, ErrnoName> = new Map(
  Object.entries(ERRNO).map(([name, number]) => [number, name as ErrnoName]),
);

function errnoName(errno: number): ErrnoName {
  return NAMES.get(errno) ?? "unknown";
}

function describeExtendedAck(ack: ExtendedAck | null): string {
  if (ack === null) return "";
  const parts: string[] = [];
  if (ack.message !== null) parts.push(`kernel: ${ack.message}`);
  if (ack.offset !== null) {
    parts.push(
      ack.attributeType === null
        ? `at byte ${ack.offset}`
        : `attribute ${ack.attributeType} at byte ${ack.offset}`,
    );
  }
  if (ack.missingType !== null) {
    const nest = ack.missingNest === null ? "" : ` in the nest at byte ${ack.missingNest}`;
    parts.push(`attribute ${ack.missingType} is missing${nest}`);
  }
  return parts.join(", ");
}
