/*
 * Pieces and markers between the bytes of the output buffer. Each entry knows how many bytes of the
 * buffer stand before it, counted from the first entry on, so that bytes can be appended to the
 * buffer without looking at the queue.
 */
#include "net/conn_queue.h"

#include <errno.h>
#include <stdlib.h>

/* Parts of one write. */
#define PARTS 16

struct entry {
	struct entry *next;
	uint64_t      at; /* bytes of `out` before it */
	const char   *data; /* given; NULL: a marker */
	size_t        size, sent;
	void (*release)(void *arg);
	tend_written_fn fn;
	void           *arg;
	unsigned        round; /* in which it was added */
};

struct queue {
	struct entry *first, *last;
	uint64_t      passed; /* bytes of `out` that have left since the queue was made */
	size_t        given;
	bool          running; /* a marker: the queue stays although it is empty */
	unsigned      round;   /* of markers that were run together */
	bool          beyond;  /* what stood behind it has left together with what stood before */
};

static struct queue *
queue_of(const struct tend_conn *c)
{
	return c->extras != NULL ? c->extras->queue : NULL;
}

size_t
conn_queued_beside(const struct tend_conn *c)
{
	const struct queue *q = c->extras->queue;

	return (q != NULL ? q->given : 0) + buf_length(&c->extras->late);
}

bool
conn_queue_is_at_end(const struct tend_conn *c)
{
	const struct queue *q = queue_of(c);

	return q != NULL && q->running && !q->beyond && q->first == NULL && buf_length(&c->out) == 0;
}

static int
queue_add(struct tend_conn *c, struct entry *e)
{
	struct conn_extras *x = conn_extras(c);
	struct queue *q = x != NULL ? x->queue : NULL;

	if (x == NULL)
		return -ENOMEM;
	if (q == NULL) {
		q = calloc(1, sizeof(*q));
		if (q == NULL)
			return -ENOMEM;
		x->queue = q;
	}
	e->at = q->passed + buf_length(&c->out);
	e->round = q->round;
	*(q->first == NULL ? &q->first : &q->last->next) = e;
	q->last = e;
	q->given += e->size;
	return 0;
}

static void
queue_end(struct tend_conn *c, struct queue *q)
{
	if (q->first != NULL || q->running)
		return;
	c->extras->queue = NULL;
	free(q);
}

/* An entry has come to its end, by being sent (0) or not. */
static void
settle(struct tend_conn *c, struct entry *e, int status)
{
	if (e->release != NULL)
		e->release(e->arg);
	if (e->fn != NULL)
		e->fn(c, e->arg, status);
	free(e);
}

static struct entry *
take_first(struct queue *q)
{
	struct entry *e = q->first;

	q->first = e->next;
	q->given -= e->size - e->sent;
	return e;
}

/* There is a first one, and nothing left to send up to its end. */
static bool
is_due(const struct tend_conn *c, const struct queue *q)
{
	return c->open && c->broken == 0 && q->first != NULL && q->first->at <= q->passed &&
	    q->first->sent == q->first->size;
}

/*
 * Those at the head that are due. A marker may write, add others, and close. In a process of many
 * clients what it adds is for another round: one that adds itself would hold up all of them.
 */
static void
settle_due(struct tend_conn *c, struct queue *q)
{
	bool alone = !c->mood->never_waits && c->mood->may_wait == NULL;
	struct entry *e;

	/* From one of them: whoever called it goes on. */
	if (q->running)
		return;
	q->running = true;
	q->round++;
	while (is_due(c, q) && (alone || q->first->round != q->round)) {
		e = take_first(q);
		q->beyond = e->at < q->passed;
		settle(c, e, 0);
	}
	q->running = false;
	queue_end(c, q);
}

static int
gather(struct tend_conn *c, const struct queue *q, struct iovec parts[PARTS], size_t *size)
{
	const struct entry *e;
	char *buffered = buf_data(&c->out);
	uint64_t at = q->passed;
	int i, n = 0;

	for (e = q->first; e != NULL && n < PARTS - 2; e = e->next) {
		if (e->at > at)
			parts[n++] = (struct iovec){ buffered + (at - q->passed), e->at - at };
		at = e->at;
		if (e->size > e->sent)
			parts[n++] = (struct iovec){ (void *)(uintptr_t)(e->data + e->sent),
				e->size - e->sent };
	}
	if (e == NULL && q->passed + buf_length(&c->out) > at)
		parts[n++] = (struct iovec){ buffered + (at - q->passed),
			buf_length(&c->out) - (size_t)(at - q->passed) };
	for (i = 0, *size = 0; i < n; i++)
		*size += parts[i].iov_len;
	return n;
}

/* `n` bytes have left, from wherever they were. */
static void
pass(struct tend_conn *c, struct queue *q, size_t n)
{
	struct entry *e;

	for (e = q->first; n > 0; e = e->next) {
		size_t before = e != NULL ? (size_t)(e->at - q->passed) : buf_length(&c->out);
		size_t part = n < before ? n : before;

		buf_consume(&c->out, part);
		q->passed += part;
		n -= part;
		if (e == NULL)
			return;
		part = n < e->size - e->sent ? n : e->size - e->sent;
		e->sent += part;
		q->given -= part;
		n -= part;
	}
}

ssize_t
conn_queue_send(struct tend_conn *c)
{
	struct queue *q = queue_of(c);
	struct iovec parts[PARTS];
	size_t size;
	int count = gather(c, q, parts, &size);
	ssize_t n = count > 0 ? conn_write_bytes(c, parts, count, size) : 0;

	if (n < 0)
		return n;
	pass(c, q, (size_t)n);
	settle_due(c, q);
	return n;
}

bool
conn_queue_is_due(const struct tend_conn *c)
{
	const struct queue *q = queue_of(c);

	return q != NULL && is_due(c, q);
}

void
conn_queue_drop(struct tend_conn *c)
{
	struct queue *q = queue_of(c);
	struct entry *e = q != NULL ? q->first : NULL, *next;

	if (q == NULL)
		return;
	/* Markers that are told may add others and drop them again: these are in the queue no more. */
	q->first = NULL;
	q->given = 0;
	queue_end(c, q);
	for (; e != NULL; e = next) {
		next = e->next;
		settle(c, e, -ECANCELED);
	}
}

/* ---- what is public ---- */

static int
add(struct tend_conn *c, struct entry from)
{
	struct entry *e;
	int r;

	conn_stdio_flush(c);
	r = conn_writable(c);
	if (r < 0)
		return r;
	/* The handler of this connection is in the middle of a piece, and we are not it. */
	if (c->sending == SENDING_PIECE)
		return -EBUSY;
	e = malloc(sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	*e = from;
	r = queue_add(c, e);
	if (r < 0) {
		free(e);
		return r;
	}
	if (c->mood->queued != NULL)
		c->mood->queued(c);
	return 0;
}

int
tend_conn_give(struct tend_conn *c, const void *data, size_t size, void (*release)(void *), void *arg)
{
	struct entry e = { .data = data, .size = size, .release = release, .arg = arg };
	int r = add(c, e);

	if (r < 0 && release != NULL)
		release(arg);
	return r;
}

int
tend_conn_after_write(struct tend_conn *c, tend_written_fn fn, void *arg)
{
	struct entry e = { .fn = fn, .arg = arg };
	int r = add(c, e);
	struct queue *q = queue_of(c);

	/* Nothing else is waiting: this is the moment. Out of the queue, so that those which add
	   others do not nest. */
	if (r < 0 || c->sending != SENDING_NOT || q->first != q->last || buf_length(&c->out) > 0)
		return r;
	/* What it writes or closes waits for its end, as from inside a write. */
	c->sending = SENDING_QUEUE;
	settle_due(c, q);
	c->sending = SENDING_NOT;
	if (c->closing) {
		c->closing = false;
		conn_close(c);
	}
	return 0;
}
