/*
 * Sending datagrams. They gather until the end of the turn, or until a batch is full, and leave in
 * one system call. What the kernel does not take waits in a queue of its socket, up to a bound; what
 * it refuses for good is counted and told of, and the next ones go on.
 */
#include <errno.h>
#include <string.h>

#include "net/datagram.h"

/* So much is sent without waiting for the end of the turn. */
#define SEND_AT 262144
/* The largest that a Unix socket is asked to send. */
#define UNIX_MOST 262144
/* 65535 without the headers. With IPv6 a header of it is not counted. */
#define IPV4_MOST 65507
#define IPV6_MOST 65527

/* ---- the queue ---- */

static size_t
cost_of(size_t size)
{
	return sizeof(struct letter) + size;
}

static void
drop_first(struct tend_datagrams *s)
{
	struct letter *l = s->first;

	s->first = l->next;
	if (s->first == NULL)
		s->end = &s->first;
	s->letters--;
	s->queued -= cost_of(l->size);
	post_forget(s->post, l);
}

void
datagrams_drop(struct tend_datagrams *s)
{
	while (s->first != NULL) {
		s->stats.lost++;
		drop_first(s);
	}
}

/* ---- to the kernel ---- */

static void
address_to(struct msghdr *m, struct packet_info *info, const struct tend_route *to)
{
	m->msg_name = to->peer_length > 0 ? (void *)(uintptr_t)&to->peer : NULL;
	m->msg_namelen = to->peer_length;
	packet_info_write(m, info, to);
}

/* Lays out the first of the queue. How many. */
static unsigned
fill_batch(struct tend_datagrams *s)
{
	struct batch *b = &s->post->outgoing;
	struct letter *l = s->first;
	unsigned n;

	for (n = 0; l != NULL && n < DATAGRAM_BATCH; n++, l = l->next) {
		b->parts[n] = (struct iovec){ .iov_base = l->data, .iov_len = l->size };
		address_to(&b->messages[n].msg_hdr, &b->info[n], &l->to);
	}
	return n;
}

/* An error met in sending: its own, or one that the network had reported for an earlier one. */
static void
note_error(struct tend_datagrams *s, int error)
{
	s->error = error;
	s->stats.errors++;
	post_attend(s);
}

/*
 * The kernel refused the first of the queue with `error`, which may be the news of an earlier one. So
 * it is tried again, and without the address that it should leave from if that was the trouble.
 */
static void
try_again_or_drop(struct tend_datagrams *s, int error)
{
	struct letter *l = s->first;

	if (!l->tried) {
		l->tried = true;
		if (error == -EINVAL || error == -ENETUNREACH || error == -EADDRNOTAVAIL)
			l->to.local_length = 0;
		else
			note_error(s, error);
		return;
	}
	note_error(s, error);
	s->stats.lost++;
	drop_first(s);
}

static void
block(struct tend_datagrams *s)
{
	s->blocked = true;
	if (datagrams_watch(s) == 0)
		return;
	/* Nobody would tell us when it takes more. */
	s->blocked = false;
	note_error(s, -ENOBUFS);
	datagrams_drop(s);
}

void
datagrams_flush(struct tend_datagrams *s)
{
	int n;

	while (s->first != NULL && !s->blocked) {
		n = batch_send(s->fd, s->post->outgoing.messages, fill_batch(s));
		if (n == -EAGAIN || n == -EWOULDBLOCK)
			block(s);
		else if (n < 0)
			try_again_or_drop(s, n);
		for (; n > 0; n--) {
			s->stats.sent++;
			drop_first(s);
		}
	}
}

/* Each of the hooks may stop the socket. */
void
datagrams_due(struct tend_datagrams *s)
{
	int error;

	datagrams_flush(s);
	error = s->error;
	s->error = 0;
	if (error != 0 && s->hooks->failed != NULL)
		s->hooks->failed(s, error);
	if (s->fd < 0 || !s->owes_drained || s->first != NULL)
		return;
	s->owes_drained = false;
	if (s->hooks->drained != NULL)
		s->hooks->drained(s);
}

/* ---- from the program ---- */

static int
refuse(struct tend_datagrams *s, int code)
{
	s->stats.refused++;
	s->owes_drained |= code == -ENOBUFS;
	return code;
}

size_t
datagrams_largest(const struct tend_datagrams *s)
{
	return s->family == AF_UNIX ? UNIX_MOST : s->family == AF_INET6 ? IPV6_MOST : IPV4_MOST;
}

/*
 * Through a Unix socket that is not connected. When its receiver has no room the kernel tells of
 * none that it may get, so there is nothing to wait for; and nobody else's answers wait behind it.
 */
static int
send_at_once(struct tend_datagrams *s, const struct tend_route *to, const void *data, size_t size)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };
	struct packet_info unused;
	int n;

	address_to(&m.msg_hdr, &unused, to);
	n = batch_send(s->fd, &m, 1);
	if (n < 0)
		return refuse(s, n);
	s->stats.sent++;
	return 0;
}

static void
append(struct tend_datagrams *s, struct letter *l, const struct tend_route *to, const void *data)
{
	l->to.peer_length = to->peer_length;
	l->to.local_length = s->with_info ? to->local_length : 0;
	memcpy(&l->to.peer, &to->peer, to->peer_length);
	memcpy(&l->to.local, &to->local, l->to.local_length);
	if (l->size > 0)
		memcpy(l->data, data, l->size);
	*s->end = l;
	s->end = &l->next;
	s->letters++;
	s->queued += cost_of(l->size);
}

int
tend_datagrams_send_to(struct tend_datagrams *s, const struct tend_route *to, const void *data,
	size_t size)
{
	struct letter *l;

	if (s->fd < 0)
		return -ENOTCONN;
	if (to->peer_length == 0 && !s->connected)
		return -EDESTADDRREQ;
	if (to->peer_length > sizeof(to->peer) || to->local_length > sizeof(to->local))
		return -EINVAL;
	if (size > datagrams_largest(s))
		return -EMSGSIZE;
	if (s->family == AF_UNIX && !s->connected)
		return send_at_once(s, to, data, size);
	if (s->queued + cost_of(size) > s->most)
		datagrams_flush(s);
	if (s->blocked && s->queued + cost_of(size) > s->most)
		return refuse(s, -ENOBUFS);
	l = post_letter(s->post, size);
	if (l == NULL)
		return -ENOMEM;
	append(s, l, to, data);
	if (!s->blocked && (s->letters >= DATAGRAM_BATCH || s->queued >= SEND_AT))
		datagrams_flush(s);
	if (s->first != NULL)
		post_attend(s);
	return 0;
}

int
tend_datagrams_send(struct tend_datagrams *s, const void *data, size_t size)
{
	static const struct tend_route nowhere;

	return tend_datagrams_send_to(s, &nowhere, data, size);
}
