/*
 * The life of a connection: opened on an accepted descriptor, waited for, closed so that the last
 * answer arrives. Reading is in conn_input.c, writing in conn_output.c, addresses in conn_addr.c.
 */
#include "net/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn_queue.h"
#include "net/layer.h"
#include "net/plain.h"

/* Buffers larger than this are given back when their client leaves. */
#define CONN_KEEP_BUFFER 65536
/* A client that goes on sending is drained of so much before it is cut off. */
#define CONN_LINGER_BYTES (1024 * 1024)
/* An answer of a line or two; more grows. */
#define CONN_WARM_OUTPUT 512
#define WARM_PAGE 4096
#define WARM_BEGINNING 255 /* bytes of a short request or answer */
#define WARM_TRIES 8
/* Output of a stopping server may still leave for so long. */
#define CONN_CANCELLED_OUTPUT (1 * CLOCK_SECOND)

void
conn_init(struct tend_conn *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

/* The page of a buffer's byte. */
static uintptr_t
page_of(const struct buf *b, size_t at)
{
	return ((uintptr_t)b->base + at) / WARM_PAGE;
}

static bool
begin_on_one_page(const struct buf *a, const struct buf *b)
{
	return page_of(a, 0) == page_of(b, 0) && page_of(a, 0) == page_of(a, WARM_BEGINNING) &&
	    page_of(b, 0) == page_of(b, WARM_BEGINNING);
}

/*
 * Buffers that begin on the same page: most requests and answers are short, and a child that is
 * forked for one client copies each page that it writes to. Where the allocator puts them on two it
 * is asked again while it cannot give the same places.
 */
static int
warm_buffers(struct buf *out, struct buf *in, unsigned tries)
{
	struct buf worse_out = { 0 }, worse_in = { 0 };
	int r = buf_reserve(out, CONN_WARM_OUTPUT);

	if (r == 0)
		r = buf_reserve(in, CONN_INPUT_CHUNK);
	if (r < 0 || begin_on_one_page(out, in) || tries == 0)
		return r;
	worse_out = *out;
	worse_in = *in;
	*out = *in = (struct buf){ 0 };
	r = warm_buffers(out, in, tries - 1);
	buf_done(&worse_out);
	buf_done(&worse_in);
	return r;
}

int
conn_warm(struct tend_conn *c, bool streams_too)
{
	int r = warm_buffers(&c->out, &c->in, WARM_TRIES);

	return r == 0 && streams_too ? tend_conn_stdio(c, NULL, NULL) : r;
}

void
conn_done(struct tend_conn *c)
{
	conn_release(c);
	conn_stdio_close(c);
	free(c->extras);
	c->extras = NULL;
	buf_done(&c->in);
	buf_done(&c->out);
}

struct conn_extras *
conn_extras(struct tend_conn *c)
{
	if (c->extras == NULL)
		c->extras = calloc(1, sizeof(*c->extras));
	return c->extras;
}

bool
conn_is_past_deadline(const struct tend_conn *c)
{
	return clock_now() >= c->deadline;
}

static int64_t
or_never(int64_t limit)
{
	return limit > 0 ? limit : CLOCK_NEVER;
}

void
conn_open(struct tend_conn *c, int fd, const struct listener *from, const struct addr *peer,
	struct conn_mood *mood)
{
	static const atomic_bool never = false;
	const struct conn_limits *limits = mood->limits;
	struct buf in = c->in, out = c->out;
	struct conn_extras *extras = c->extras;

	conn_init(c);
	c->in = in;
	c->out = out;
	c->extras = extras;
	c->fd = fd;
	c->open = true;
	c->listener = from;
	c->transport = from->transport;
	c->mood = mood;
	if (mood->traced == NULL)
		mood->traced = &never;
	c->idle = or_never(limits->idle);
	c->deadline = limits->total > 0 ? clock_after(clock_now(), limits->total) : CLOCK_NEVER;
	/* A unix client with a name is rare, and asked for when somebody wants to know. */
	if (peer != NULL && peer->length > 0 && peer->length <= sizeof(c->peer.u)) {
		c->peer.length = peer->length;
		memcpy(&c->peer.u, &peer->u, peer->length);
	}
}

bool
conn_interrupted(const struct conn_mood *mood)
{
	char bytes[256];

	if (mood->interrupt_lasts)
		return true;
	/* All of them: a byte left behind would end every wait from now on. */
	while (read(mood->interrupt_fd, bytes, sizeof(bytes)) > 0)
		;
	return false;
}

static bool
is_cancelled(const struct conn_mood *mood)
{
	return mood->cancelled != NULL && mood->cancelled(mood->data);
}

/* Until `deadline`, the connection's own permitting, or until its transport is to be asked again. */
HOT int
conn_wait_until(struct tend_conn *c, unsigned events, int64_t deadline)
{
	int64_t again = (events & CONN_LATER) != 0 ? c->extras->again_at : CLOCK_NEVER;
	int r;

	if (c->deadline < deadline)
		deadline = c->deadline;
	r = c->mood->wait(c, events & ~(unsigned)CONN_LATER, again < deadline ? again : deadline);
	return r == -ETIMEDOUT && again < deadline ? 0 : r;
}

/*
 * For at most `limit` (a duration). The clock is read only here: a call that need not wait costs no
 * time-keeping.
 */
HOT int
conn_wait(struct tend_conn *c, unsigned events, int64_t limit)
{
	int64_t deadline = CLOCK_NEVER;
	int r;

	if (limit != CLOCK_NEVER)
		deadline = clock_after(clock_now(), limit);
	r = conn_wait_until(c, events, deadline);
	if (r == -ETIMEDOUT)
		c->timed_out = true;
	return r;
}

int
conn_wait_never(struct tend_conn *c, unsigned events, int64_t deadline)
{
	(void)c;
	(void)events;
	(void)deadline;
	return -ETIMEDOUT;
}

static int
poll_until(struct conn_mood *mood, int fd, unsigned events, int64_t deadline)
{
	struct pollfd fds[3] = {
		/* poll() tells of a client that hangs up even to those who ask for nothing, and that
		   is no reason to wake. */
		{ .fd = events != 0 ? fd : -1, .events = (short)events },
		{ .fd = mood->interrupt_fd, .events = POLLIN },
		{ .fd = mood->lifeline_fd > 0 ? mood->lifeline_fd : -1, .events = POLLIN },
	};
	bool cancelled = false, interrupted = false;

	for (;;) {
		int64_t now = deadline == CLOCK_NEVER ? 0 : clock_now();
		int n;

		/* Also asked before the first wait: the signal may have come while we computed. */
		if (!cancelled && (interrupted || is_cancelled(mood))) {
			if ((events & POLLOUT) == 0)
				return -ECANCELED;
			cancelled = true;
			/* There is no more to hear. */
			if (mood->interrupt_lasts)
				fds[1].fd = -1;
			now = clock_now();
			if (deadline > now + CONN_CANCELLED_OUTPUT)
				deadline = now + CONN_CANCELLED_OUTPUT;
		}
		n = poll(fds, 3, clock_poll_timeout(now, deadline));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[1].revents != 0)
			interrupted = conn_interrupted(mood);
		if (n > 0 && fds[2].revents != 0) {
			fds[2].fd = mood->lifeline_fd = -1;
			mood->orphaned(mood->data);
		}
		if (n > 0 && fds[0].revents != 0)
			return fds[0].revents & POLLNVAL ? -EBADF : 0;
		if (n == 0 && clock_now() >= deadline)
			return -ETIMEDOUT;
	}
}

int
conn_wait_blocking(struct tend_conn *c, unsigned events, int64_t deadline)
{
	return poll_until(c->mood, c->fd, events, deadline);
}

int
conn_wait_for(struct tend_conn *c, int fd, int64_t deadline)
{
	struct conn_mood *mood = c->mood;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	if (mood->waits != NULL)
		mood->waits(mood->data, true);
	if (mood->poll == NULL) {
		r = poll_until(mood, fd, POLLIN, deadline);
	} else {
		r = mood->poll(c, &p, 1, deadline, false);
		r = r > 0 ? 0 : r == 0 ? -ETIMEDOUT : r;
	}
	if (mood->waits != NULL)
		mood->waits(mood->data, false);
	return r;
}

int
conn_handshake(struct tend_conn *c)
{
	int64_t deadline;

	if (c->transport->handshake == NULL)
		return 0;
	deadline = clock_after(clock_now(), or_never(c->mood->limits->handshake));
	for (;;) {
		int r = conn_shake_once(c);

		if (r != -EAGAIN)
			return r;
		r = conn_wait_until(c, c->want, deadline);
		if (r < 0)
			return r;
	}
}

/*
 * Takes the descriptor off the connection, which is closed from then on. Who else refers to it, as
 * standard input and output do, lets go first; so do the transports, without a word.
 */
static int
detach(struct tend_conn *c, bool lives_on)
{
	int fd = c->fd;

	conn_transport_done(c);
	if (c->mood->closing != NULL)
		c->mood->closing(c, lives_on);
	if (conn_is_traced(c))
		conn_trace_close(c);
	/* Addresses may be asked for later. Ours the listener can tell too. */
	if (c->peer.length == 0)
		conn_learn_peer(c);
	c->fd = -1;
	c->open = false;
	buf_clear(&c->out);
	conn_queue_drop(c);
	return fd;
}

static void
close_now(struct tend_conn *c)
{
	int fd = detach(c, false);

	/* EINTR too means closed on Linux; a second close could hit somebody else's descriptor. */
	if (fd >= 0)
		close(fd);
}

void
conn_leave(struct tend_conn *c)
{
	/* No word from the transport: a closing alert would end the session of the other process
	   (NW-122). Nor one about it: this is no end. */
	c->untraced = true;
	if (c->open)
		close(detach(c, true));
}

int
conn_give_up_fd(struct tend_conn *c)
{
	conn_stdio_flush(c);
	tend_flush(c);
	return detach(c, true);
}

void
conn_refuse_input(struct tend_conn *c)
{
	c->unread = true;
}

/*
 * Is there input that nobody has read? A socket is asked how much: a read that is in vain leaves an
 * error, for which a child of Fork would fetch a page of text. A transport that has to write before it
 * can read gets to do so, if that needs no waiting.
 */
static bool
has_input(struct tend_conn *c)
{
	char scrap[512];
	int tries = 4, waiting = 0;
	ssize_t n;

	if (c->transport->read == plain_read)
		return ioctl(c->fd, FIONREAD, &waiting) == 0 && waiting > 0;
	do
		n = conn_read_bytes(c, scrap, sizeof(scrap));
	while (n == -EAGAIN && c->want == POLLOUT && --tries > 0 && c->mood->wait(c, POLLOUT, 0) == 0);
	return n > 0;
}

/* True when closing now could send a reset that overtakes our last answer: the kernel's answer to a
   close() with input that nobody read. */
static bool
client_may_be_sending(struct tend_conn *c)
{
	if (c->input_ended || c->broken != 0 || c->mood->limits->linger == 0 || conn_is_datagram(c))
		return false;
	return c->unread || buf_length(&c->in) > c->taken || has_input(c);
}

/* Ends our output, then swallows what the client still sends, for a bounded time and amount. */
static void
linger(struct tend_conn *c)
{
	char scrap[16384];
	size_t swallowed = 0;
	int64_t deadline;

	if (tend_shutdown(c) < 0)
		return;
	deadline = clock_after(clock_now(), c->mood->limits->linger);
	while (swallowed < CONN_LINGER_BYTES) {
		ssize_t n = conn_read_bytes(c, scrap, sizeof(scrap));

		if (n == -EAGAIN && conn_wait_until(c, c->want, deadline) == 0)
			continue;
		if (n <= 0)
			return;
		swallowed += (size_t)n;
	}
}

/* Ends our output and has somebody else wait for the client to stop sending. */
static void
let_drain(struct tend_conn *c)
{
	if (!c->output_ended && !conn_is_plain(c))
		conn_end_output(c);
	c->mood->drain(c->mood->data, detach(c, true));
}

void
conn_part(struct tend_conn *c)
{
	bool last_words = c->broken == 0 && client_may_be_sending(c);

	if (last_words && c->mood->drain != NULL) {
		let_drain(c);
		return;
	}
	if (last_words)
		linger(c);
	else if (!c->output_ended && !conn_is_plain(c))
		conn_shutdown_once(c);
	close_now(c);
}

void
conn_close(struct tend_conn *c)
{
	if (!c->open)
		return;
	if (c->mood->close != NULL && c->mood->close(c, false))
		return;
	/* From a marker of the queue: what it wrote leaves first. */
	if (c->sending != SENDING_NOT) {
		c->closing = true;
		return;
	}
	conn_stdio_flush(c);
	/* What could not be sent has broken the output. A marker may have closed it already. */
	tend_flush(c);
	if (c->open)
		conn_part(c);
}

void
tend_close(struct tend_conn *c)
{
	conn_close(c);
}

void
conn_reset_at_close(struct tend_conn *c)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	/* Fails harmlessly on sockets that know no reset. */
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void
conn_cut(struct tend_conn *c)
{
	conn_stdio_drop(c);
	conn_reset_at_close(c);
	conn_break(c, -ENOTCONN);
	/* Markers that were told may have done the same. */
	if (c->open)
		close_now(c);
}

void
tend_abort(struct tend_conn *c)
{
	if (c->open && (c->mood->close == NULL || !c->mood->close(c, true)))
		conn_cut(c);
}

static void
shrink(struct buf *b)
{
	buf_clear(b);
	if (b->size > CONN_KEEP_BUFFER)
		buf_done(b);
}

void
conn_release(struct tend_conn *c)
{
	conn_outgoing_release(c);
	conn_stdio_reset(c);
	tend_conn_set_data(c, NULL, NULL);
	conn_addr_release(c);
	c->taken = 0;
	shrink(&c->in);
	shrink(&c->out);
}

void
tend_set_timeout(struct tend_conn *c, double seconds)
{
	if (seconds < 0)
		c->idle = CLOCK_NEVER;
	else if (seconds > 0)
		c->idle = clock_from_seconds(seconds);
	else
		c->idle = or_never(c->mood->limits->idle);
	if (c->mood->retimed != NULL)
		c->mood->retimed(c);
}

void
tend_set_deadline(struct tend_conn *c, double seconds)
{
	c->final_told = false;
	c->deadline = seconds < 0 ? CLOCK_NEVER : clock_after(clock_now(), clock_from_seconds(seconds));
	if (c->mood->retimed != NULL)
		c->mood->retimed(c);
}

int
tend_sleep(struct tend_conn *c, double seconds)
{
	int64_t until = clock_after(clock_now(), clock_from_seconds(seconds));
	int r = c->mood->wait(c, 0, until < c->deadline ? until : c->deadline);

	return r == -ETIMEDOUT ? 0 : r;
}

void
tend_conn_set_data(struct tend_conn *c, void *data, void (*release)(void *))
{
	void *old = c->user;
	void (*release_old)(void *) = c->user_release;

	c->user = data;
	c->user_release = release;
	if (release_old != NULL)
		release_old(old);
}

void *
tend_conn_data(struct tend_conn *c)
{
	return c->user;
}

struct tend_server *
tend_conn_server(struct tend_conn *c)
{
	return c->mood->server;
}

enum tend_refusal
tend_conn_refusal(const struct tend_conn *c)
{
	return (enum tend_refusal)c->refusal;
}

int
tend_conn_fd(struct tend_conn *c)
{
	if (c->open && c->mood->expose != NULL)
		c->mood->expose(c);
	return c->fd;
}
