/** Netlink pads messages and attributes to 4 bytes (`NLMSG_ALIGNTO`, `NLA_ALIGNTO`). */
export function align4(length: number): number {
  return (length + 3) & ~3;
}
