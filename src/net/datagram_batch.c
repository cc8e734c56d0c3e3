/*
 * The system calls of datagram sockets: batches, the address on our side that goes with each
 * datagram, and the errors that networks report for what was sent earlier.
 */
#include "net/datagram_batch.h"

#include <errno.h>
#include <string.h>

/* Errors that are taken off a socket at once; the loop tells of more. */
#define ERRORS_MOST 64

#if !HAVE_RECVMMSG || !HAVE_SENDMMSG
static int
one_by_one(int fd, struct mmsghdr *messages, unsigned count,
	ssize_t (*call)(int fd, struct msghdr *m))
{
	unsigned i;
	ssize_t n = 0;

	for (i = 0; i < count && n >= 0; i++) {
		do
			n = call(fd, &messages[i].msg_hdr);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return i > 0 ? (int)i : -errno;
		messages[i].msg_len = (unsigned)n;
	}
	return (int)i;
}
#endif

#if HAVE_RECVMMSG
int
batch_receive(int fd, struct mmsghdr *messages, unsigned count)
{
	int n;

	do
		n = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	return n >= 0 ? n : -errno;
}
#else
static ssize_t
receive_one(int fd, struct msghdr *m)
{
	return recvmsg(fd, m, MSG_DONTWAIT);
}

int
batch_receive(int fd, struct mmsghdr *messages, unsigned count)
{
	return one_by_one(fd, messages, count, receive_one);
}
#endif

#if HAVE_SENDMMSG
int
batch_send(int fd, struct mmsghdr *messages, unsigned count)
{
	int n;

	do
		n = sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0 ? n : -errno;
}
#else
static ssize_t
send_one(int fd, struct msghdr *m)
{
	return sendmsg(fd, m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int
batch_send(int fd, struct mmsghdr *messages, unsigned count)
{
	return one_by_one(fd, messages, count, send_one);
}
#endif

/* ---- our address ---- */

bool
packet_info_ask(int fd, int family)
{
	int on = 1;

#ifdef IP_PKTINFO
	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0;
#endif
#ifdef IPV6_RECVPKTINFO
	if (family == AF_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) == 0;
#endif
	return false;
}

static void
read_ipv6(const struct cmsghdr *part, struct tend_route *into)
{
	struct sockaddr_in6 *local = (struct sockaddr_in6 *)&into->local;
	struct in6_pktinfo info;

	memcpy(&info, CMSG_DATA(part), sizeof(info));
	/* Nobody answers from the address of a group. */
	if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
		return;
	*local = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = info.ipi6_addr };
	/* Elsewhere the system finds the way itself, perhaps another one than the datagram came. */
	if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		local->sin6_scope_id = info.ipi6_ifindex;
	into->local_length = sizeof(*local);
}

#ifdef IP_PKTINFO
static void
read_ipv4(const struct cmsghdr *part, struct tend_route *into)
{
	struct sockaddr_in *local = (struct sockaddr_in *)&into->local;
	struct in_pktinfo info;

	memcpy(&info, CMSG_DATA(part), sizeof(info));
	/* Ours, also where the datagram was sent to everybody; not known for what came before we asked. */
	*local = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = info.ipi_spec_dst };
	if (local->sin_addr.s_addr == htonl(INADDR_ANY))
		local->sin_addr = info.ipi_addr;
	into->local_length = sizeof(*local);
}
#endif

void
packet_info_read(const struct msghdr *m, struct tend_route *into)
{
	const struct cmsghdr *part = m->msg_controllen > 0 ? CMSG_FIRSTHDR(m) : NULL;

	into->local_length = 0;
	if (part == NULL)
		return;
#ifdef IP_PKTINFO
	if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO)
		read_ipv4(part, into);
#endif
	if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO)
		read_ipv6(part, into);
}

static void
set_part(struct msghdr *m, struct packet_info *room, int level, int type, const void *info, size_t size)
{
	struct cmsghdr *part = (struct cmsghdr *)(void *)room;

	memset(room, 0, sizeof(*room));
	part->cmsg_level = level;
	part->cmsg_type = type;
	part->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(part), info, size);
	m->msg_control = room;
	m->msg_controllen = CMSG_SPACE(size);
}

void
packet_info_write(struct msghdr *m, struct packet_info *room, const struct tend_route *from)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from->local;
	struct in6_pktinfo info6 = { .ipi6_addr = v6->sin6_addr, .ipi6_ifindex = v6->sin6_scope_id };

	m->msg_control = NULL;
	m->msg_controllen = 0;
	if (from->local_length == 0)
		return;
#ifdef IP_PKTINFO
	if (from->local.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from->local;
		struct in_pktinfo info = { .ipi_spec_dst = v4->sin_addr };

		set_part(m, room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
#endif
	if (from->local.ss_family == AF_INET6)
		set_part(m, room, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
}

/* ---- errors ---- */

static int
take_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? -error : 0;
}

#ifdef MSG_ERRQUEUE
/* Of sockets whose owner has asked for such a queue (IP_RECVERR). How many there were. */
static unsigned
empty_error_queue(int fd)
{
	char scrap[16];
	struct iovec part = { scrap, sizeof(scrap) };
	unsigned i;

	for (i = 0; i < ERRORS_MOST; i++) {
		struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

		if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
	}
	return i;
}
#endif

int
take_socket_errors(int fd, unsigned *count)
{
	int error = take_error(fd);

	*count = 0;
#ifdef MSG_ERRQUEUE
	*count = empty_error_queue(fd);
	/* What came out of the queue last is the error of the socket again. */
	if (*count > 0 && error == 0)
		error = take_error(fd);
	else if (*count > 0)
		take_error(fd);
#endif
	if (*count == 0 && error != 0)
		*count = 1;
	return error;
}
