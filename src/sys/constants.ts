/**
 * The kernel's numbers, under the kernel's names. All of them are the same on x86-64 and aarch64
 * (include/uapi/asm-generic); flags that differ there, such as `O_DIRECTORY`, are not used.
 *
 * @module
 */

// asm-generic/errno.h: only those that are told apart where making an error for each is too slow,
// or that are reported without a call
export const ESRCH = 3;
export const EAGAIN = 11;
export const EEXIST = 17;
export const EINVAL = 22;
export const EMSGSIZE = 90;
export const ENOBUFS = 105;

// fcntl.h
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

// sched.h, linux/nsfs.h, linux/magic.h
export const CLONE_NEWNET = 0x40000000;
export const NS_GET_NSTYPE = 0xb703;
export const NSFS_MAGIC = 0x6e736673;

// sys/mount.h
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_SHARED = 0x100000;
export const MNT_DETACH = 2;

// sys/socket.h, asm-generic/socket.h
export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const SOL_SOCKET = 1;
export const SO_ATTACH_FILTER = 26;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_NETNS_COOKIE = 71;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

// linux/netlink.h
export const NETLINK_ROUTE = 0;
export const NETLINK_XFRM = 6;
export const SOL_NETLINK = 270;
export const NETLINK_ADD_MEMBERSHIP = 1;
export const NETLINK_LISTEN_ALL_NSID = 8;
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;

// linux/if_packet.h, linux/if_ether.h, linux/filter.h, linux/bpf_common.h
export const SOL_PACKET = 263;
export const PACKET_IGNORE_OUTGOING = 23;
export const ETH_P_ALL = 3;
export const BPF_LD_H_ABS = 0x28;
export const BPF_LD_W_ABS = 0x20;
export const BPF_JMP_JEQ_K = 0x15;
export const BPF_RET_K = 0x06;

// poll.h, sys/eventfd.h, signal.h
export const POLLIN = 1;
export const EFD_CLOEXEC = O_CLOEXEC;
export const EFD_NONBLOCK = 0o4000;
export const SIGPIPE = 13;
export const SIG_DFL = 0n;

// asm-generic/unistd.h; numbers since 424 are the same on every architecture. By number, for the
// C library has a wrapper only since glibc 2.36.
export const SYS_pidfd_open = 434;
