import { SO_ATTACH_FILTER, SOL_SOCKET } from "./constants.ts";
import { check } from "./errors.ts";
import { addressOf, libc, pinnedBytes } from "./libc.ts";

/** struct sock_fprog: u16 how many, padding, pointer. */
const SOCK_FPROG_BYTES = 16;
/** struct sock_filter: u16 code, u8 and u8 how many to skip when it is and is not so, u32 operand. */
const SOCK_FILTER_BYTES = 8;

/** One instruction of classic BPF (linux/filter.h). */
export interface FilterInstruction {
  readonly code: number;
  /** How many to skip when it is not so. */
  readonly otherwise: number;
  readonly operand: number;
}

/** Has the kernel give a socket only what a program lets pass. @throws {SyscallError} */
export function attachFilter(fd: number, program: readonly FilterInstruction[]): void {
  // In one piece of memory with what points to it.
  const bytes = pinnedBytes(SOCK_FPROG_BYTES + program.length * SOCK_FILTER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, program.length, true);
  view.setBigUint64(8, addressOf(bytes) + BigInt(SOCK_FPROG_BYTES), true);
  for (const [place, { code, otherwise, operand }] of program.entries()) {
    const at = SOCK_FPROG_BYTES + place * SOCK_FILTER_BYTES;
    view.setUint16(at, code, true);
    view.setUint8(at + 3, otherwise);
    view.setUint32(at + 4, operand, true);
  }
  const result = libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes, SOCK_FPROG_BYTES);
  check(result, "setsockopt", "SO_ATTACH_FILTER");
}
