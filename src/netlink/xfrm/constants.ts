/** xfrm: <linux/xfrm.h>, and protocol numbers of <linux/in.h>. */

export const XFRM_MSG_NEWSA = 16;
export const XFRM_MSG_DELSA = 17;
export const XFRM_MSG_GETSA = 18;
export const XFRM_MSG_NEWPOLICY = 19;
export const XFRM_MSG_DELPOLICY = 20;
export const XFRM_MSG_GETPOLICY = 21;
export const XFRM_MSG_ACQUIRE = 23;
export const XFRM_MSG_EXPIRE = 24;
export const XFRM_MSG_UPDPOLICY = 25;
export const XFRM_MSG_UPDSA = 26;
export const XFRM_MSG_POLEXPIRE = 27;
export const XFRM_MSG_FLUSHSA = 28;
export const XFRM_MSG_FLUSHPOLICY = 29;
export const XFRM_MSG_NEWAE = 30;
export const XFRM_MSG_GETAE = 31;
export const XFRM_MSG_GETSADINFO = 35;
export const XFRM_MSG_GETSPDINFO = 37;

/** Group of notifications: the kernel wants an SA that nobody has made. */
export const XFRMNLGRP_ACQUIRE = 1;
/** Group of notifications: SAs and policies that reached a limit. */
export const XFRMNLGRP_EXPIRE = 2;
/** Group of notifications: SAs made, changed, deleted, flushed. */
export const XFRMNLGRP_SA = 3;
/** Group of notifications: policies made, changed, deleted, flushed. */
export const XFRMNLGRP_POLICY = 4;
/** Group of notifications: sequence numbers of SAs, every so many packets and when they are set. */
export const XFRMNLGRP_AEVENTS = 5;

export const XFRMA_ALG_AUTH = 1;
export const XFRMA_ALG_CRYPT = 2;
export const XFRMA_ALG_COMP = 3;
export const XFRMA_TMPL = 5;
export const XFRMA_SA = 6;
export const XFRMA_POLICY = 7;
export const XFRMA_LTIME_VAL = 9;
export const XFRMA_REPLAY_VAL = 10;
export const XFRMA_SRCADDR = 13;
export const XFRMA_LASTUSED = 15;
export const XFRMA_ALG_AEAD = 18;
export const XFRMA_ALG_AUTH_TRUNC = 20;
export const XFRMA_MARK = 21;
export const XFRMA_REPLAY_ESN_VAL = 23;
export const XFRMA_IF_ID = 31;

export const XFRMA_SAD_CNT = 1;
export const XFRMA_SPD_INFO = 1;

export const XFRM_MODE_TRANSPORT = 0;
export const XFRM_MODE_TUNNEL = 1;
export const XFRM_MODE_ROUTEOPTIMIZATION = 2;
export const XFRM_MODE_IN_TRIGGER = 3;
export const XFRM_MODE_BEET = 4;

export const XFRM_POLICY_IN = 0;
export const XFRM_POLICY_OUT = 1;
export const XFRM_POLICY_FWD = 2;

export const XFRM_POLICY_ALLOW = 0;
export const XFRM_POLICY_BLOCK = 1;

export const XFRM_POLICY_LOCALOK = 1;
export const XFRM_POLICY_ICMP = 2;

export const XFRM_STATE_ESN = 128;

export const XFRM_AE_RVAL = 2;

/** The widest replay window, in packets: `XFRMA_REPLAY_ESN_MAX` bytes of bits. */
export const XFRM_REPLAY_WINDOW_MAX = 4096 * 8;

/** Number of the Encapsulating Security Payload among the IP protocols (RFC 4303). */
export const IPPROTO_ESP = 50;
