/*
 * Input in the evented mood: one read for each event, the hook, and what the hook left lying. Either
 * more input brings its next call, or it stopped half-way and is called again in the next turn; and
 * what nobody reads is taken out of the kernel, so that it is not reported without end. Where the kernel
 * tells of input once (WATCH_EDGE), what one read has not taken is gone on with in the next turn.
 */
#include "net/evented.h"

#include <errno.h>

/* So much is kept for a hook that does not read, beyond the longest line. */
#define UNREAD_MOST 65536

bool
evented_is_full(const struct evented *m)
{
	return buf_length(&m->c.in) >= m->c.mood->limits->max_line + UNREAD_MOST;
}

/*
 * What the hook did not ask for is taken out of the kernel all the same, or the kernel would report
 * it without end. It waits for a hook that wants it; more of it brings the next call.
 */
static void
take_unread(struct evented *m)
{
	struct tend_conn *c = &m->c;

	m->full = evented_is_full(m);
	if (m->full)
		return;
	conn_take_back(c);
	conn_fill(c, CONN_INPUT_CHUNK);
}

static void
end_of_input(struct evented *m)
{
	m->ended = true;
	m->inside = true;
	if (m->hooks->ended != NULL)
		m->hooks->ended(&m->c);
	m->inside = false;
	if (m->phase == EVENTED_OPEN && !m->keep_open)
		tend_close(&m->c);
}

/*
 * The hook left input lying. It is called again, in the next turn and without a wait, when it came
 * on and stopped without having asked for all; not when it has seen -EAGAIN and so waits for more,
 * and not when it got nowhere.
 */
static bool
is_wanted_again(const struct evented *m, uint32_t before)
{
	const struct tend_conn *c = &m->c;

	return tend_conn_buffered(c) > 0 && evented_consumed(c) != before && !c->starved;
}

/* After the hook: what did it leave, and is there more? */
static void
look_after_input(struct evented *m, uint32_t before)
{
	struct tend_conn *c = &m->c;

	if (c->input_error != 0) {
		evented_fail(m, c->input_error);
	} else if (is_wanted_again(m, before) || conn_pending(c) > 0) {
		m->again = true;
		conns_attend(m);
	} else if (c->input_ended && !m->ended && !m->paused && !m->again) {
		end_of_input(m);
	}
}

void
evented_has_heard(struct evented *m, uint32_t before)
{
	struct tend_conn *c = &m->c;

	if (m->phase != EVENTED_OPEN)
		return;
	/* Most hooks read until they see that there is no more. */
	if (c->starved && c->drained && !c->input_ended && c->input_error == 0 &&
	    c->transport->pending == NULL)
		return;
	if (!c->drained && evented_reads(m))
		take_unread(m);
	if (m->phase != EVENTED_DEAD)
		look_after_input(m, before);
}

static void
call_readable(struct evented *m)
{
	struct tend_conn *c = &m->c;
	uint32_t before = evented_consumed(c);

	m->again = c->starved = false;
	m->inside = true;
	m->hooks->readable(c);
	m->inside = false;
	evented_has_heard(m, before);
}

/* There is input, or the end of it; the hook reads. */
void
evented_take_input(struct evented *m)
{
	struct tend_conn *c = &m->c;
	uint32_t before = c->received;

	c->drained = false; /* for one read */
	conns_lend(evented_mood_of(&m->c)->conns, c);
	call_readable(m);
	/* That its transport has read something is not yet a word of the client. */
	if (c->received != before || c->input_ended)
		evented_touch(m);
}

/* What has come already is delivered, but the hook is not called for nothing. True: there was some. */
bool
evented_try_input(struct evented *m, size_t room)
{
	struct tend_conn *c = &m->c;
	int n;

	c->drained = false;
	conns_lend(evented_mood_of(&m->c)->conns, c);
	n = conn_fill(c, room);
	if (n > 0)
		call_readable(m);
	else
		look_after_input(m, evented_consumed(c));
	return n != -EAGAIN;
}

/* Input that is here already, and of which no event will tell. */
HOT bool
evented_delivers_again(struct evented *m)
{
	return evented_has_untold(m) ||
	    (m->again && m->phase == EVENTED_OPEN && !m->paused && !evented_is_throttled(m));
}

/* It comes in large pieces: who sends much is the usual reason that there is some. True: there was. */
static bool
take_untold(struct evented *m)
{
	uint32_t before = m->c.received;
	bool some;

	if (!evented_has_untold(m) || conn_expired(&m->c))
		return false;
	m->full = evented_is_full(m);
	some = !m->full && evented_try_input(m, EVENTED_SHARE);
	if (m->c.received != before || m->c.input_ended)
		evented_touch(m);
	return some;
}

void
evented_deliver_again(struct evented *m)
{
	struct tend_conn *c = &m->c;

	if (!evented_delivers_again(m))
		return;
	if (take_untold(m) || !m->again)
		return;
	m->again = false;
	if (conn_pending(c) > 0)
		evented_take_input(m);
	else if (buf_length(&c->in) > c->taken)
		call_readable(m);
	else
		look_after_input(m, evented_consumed(c));
}

