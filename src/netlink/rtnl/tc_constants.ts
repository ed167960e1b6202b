/**
 * Traffic control: <linux/rtnetlink.h>, <linux/pkt_sched.h>, <linux/pkt_cls.h>, <linux/gen_stats.h>,
 * <linux/tc_act/tc_gact.h>, <linux/if_ether.h>.
 */

export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
export const RTM_GETQDISC = 38;
export const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;

/** Parent of the clsact qdisc, and its handle. */
export const TC_H_CLSACT = 0xfffffff1;
export const CLSACT_HANDLE = 0xffff0000;
/** Parents of filters on a clsact qdisc: packets that come in, packets that go out. */
export const CLSACT_INGRESS = 0xfffffff2;
export const CLSACT_EGRESS = 0xfffffff3;

export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;
export const TCA_CHAIN = 11;

export const TCA_FLOWER_ACT = 3;
export const TCA_FLOWER_KEY_ETH_TYPE = 8;
export const TCA_FLOWER_KEY_IP_PROTO = 9;
export const TCA_FLOWER_KEY_UDP_SRC = 20;
export const TCA_FLOWER_KEY_UDP_DST = 21;
export const TCA_FLOWER_FLAGS = 22;
export const TCA_FLOWER_KEY_UDP_SRC_MASK = 37;
export const TCA_FLOWER_KEY_UDP_DST_MASK = 38;
export const TCA_FLOWER_IN_HW_COUNT = 86;

export const TCA_ACT_KIND = 1;
export const TCA_ACT_OPTIONS = 2;
export const TCA_ACT_STATS = 4;

export const TCA_GACT_PARMS = 2;
export const TCA_GACT_PROB = 3;

export const TC_ACT_SHOT = 2;

export const TCA_STATS_BASIC = 1;
export const TCA_STATS_QUEUE = 3;
export const TCA_STATS_PKT64 = 8;

export const ETH_P_IP = 0x0800;
export const ETH_P_IPV6 = 0x86dd;

export const IPPROTO_UDP = 17;
