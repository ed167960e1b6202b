/* Asks for, or sets, the replay state of an SA, which no command of iproute2 does: by the kernel's own
 * headers, so that record_xfrm.sh has bytes that this project did not make.
 *
 *     replay_state get DESTINATION SPI
 *     replay_state set DESTINATION SPI WINDOW IN-SEQUENCE OUT-SEQUENCE
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct {
	struct nlmsghdr header;
	struct xfrm_aevent_id id;
	char attributes[1024];
} request;

static int parse_address(const char *text, xfrm_address_t *address)
{
	if (inet_pton(AF_INET, text, address) == 1)
		return AF_INET;
	if (inet_pton(AF_INET6, text, address) == 1)
		return AF_INET6;
	fprintf(stderr, "%s is not an address\n", text);
	exit(2);
}

static void add_replay_state(unsigned int window, unsigned long long in, unsigned long long out)
{
	struct nlattr *attribute = (void *)((char *)&request + request.header.nlmsg_len);
	struct xfrm_replay_state_esn *state = (void *)(attribute + 1);

	state->bmp_len = (window + 31) / 32;
	state->replay_window = window;
	state->seq = in;
	state->seq_hi = in >> 32;
	state->oseq = out;
	state->oseq_hi = out >> 32;
	/* Every packet up to there has been seen. */
	memset(state->bmp, 0xff, 4 * state->bmp_len);
	attribute->nla_type = XFRMA_REPLAY_ESN_VAL;
	attribute->nla_len = sizeof(*attribute) + sizeof(*state) + 4 * state->bmp_len;
	request.header.nlmsg_len += NLMSG_ALIGN(attribute->nla_len);
}

int main(int argc, char **argv)
{
	char answer[4096];
	int set = argc == 7 && strcmp(argv[1], "set") == 0;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);

	if (!set && argc != 4)
		return 2;
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.id));
	request.header.nlmsg_type = set ? XFRM_MSG_NEWAE : XFRM_MSG_GETAE;
	request.header.nlmsg_flags = set ? NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE : NLM_F_REQUEST;
	request.header.nlmsg_seq = 1;
	request.id.sa_id.family = parse_address(argv[2], &request.id.sa_id.daddr);
	request.id.sa_id.spi = htonl(strtoul(argv[3], NULL, 0));
	request.id.sa_id.proto = IPPROTO_ESP;
	request.id.flags = XFRM_AE_RVAL;
	if (set)
		add_replay_state(atoi(argv[4]), strtoull(argv[5], NULL, 0), strtoull(argv[6], NULL, 0));
	if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
		return 1;
	/* By recvmsg, which the recorder traces. */
	struct iovec part = { answer, sizeof(answer) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	return recvmsg(fd, &message, 0) < 0;
}
