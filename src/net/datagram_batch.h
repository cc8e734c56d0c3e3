/*
 * Many datagrams in one system call, where the system has such calls. Elsewhere they are as many
 * calls, and mean the same.
 */
#ifndef TEND_NET_DATAGRAM_BATCH_H
#define TEND_NET_DATAGRAM_BATCH_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <tend/datagram.h>

#include "config.h"

#define DATAGRAM_BATCH 64

/* Room for a packet info of either family. */
#define PACKET_INFO_ROOM CMSG_SPACE(sizeof(struct in6_pktinfo))

struct packet_info {
	_Alignas(struct cmsghdr) char bytes[PACKET_INFO_ROOM];
};

#if !HAVE_MMSGHDR
struct mmsghdr {
	struct msghdr msg_hdr;
	unsigned int  msg_len;
};
#endif

/* The first `count` of the messages, without waiting. How many of them it were, or -errno. */
int batch_receive(int fd, struct mmsghdr *messages, unsigned count);
int batch_send(int fd, struct mmsghdr *messages, unsigned count);

/* Has the socket tell to which of our addresses a datagram came. False: it cannot. */
bool packet_info_ask(int fd, int family);
/* That address, out of a message of `family`'s socket; `local_length` 0: not told. */
void packet_info_read(const struct msghdr *m, struct tend_route *into);
/* Has a message of that socket leave from the route's address. Sets control and its length. */
void packet_info_write(struct msghdr *m, struct packet_info *room, const struct tend_route *from);

/* Takes the errors that there are off the socket, a bounded number of them. One of them as -errno, 0:
   none was an error; and how many were taken. */
int take_socket_errors(int fd, unsigned *count);

#endif
