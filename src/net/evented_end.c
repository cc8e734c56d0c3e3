/*
 * How a connection of the evented mood ends: closed by its service, which lets output leave first, or cut
 * off by an error. It is quiet at once, and told of and freed at the end of the turn.
 */
#include <stdlib.h>

#include "net/evented.h"

static void
die(struct evented *m)
{
	m->phase = EVENTED_DEAD;
	tend_watch_stop(&m->watch);
	tend_timer_stop(&m->timer);
	conns_attend(m);
}

void
evented_closing(struct tend_conn *c, bool lives_on)
{
	if (lives_on)
		tend_watch_stop(&evented_of(c)->watch);
	else
		watch_drop(&evented_of(c)->watch);
}

static void
tell_finishing(struct evented *m)
{
	struct evented_mood *mood = evented_mood_of(&m->c);

	if (m->finished)
		return;
	m->finished = true;
	if (mood->finishing != NULL)
		mood->finishing(&m->c);
}

void
evented_part(struct evented *m)
{
	conn_part(&m->c);
	die(m);
}

static void
cut(struct evented *m)
{
	if (m->c.open)
		conn_cut(&m->c);
	die(m);
}

bool
evented_close(struct tend_conn *c, bool abort)
{
	struct evented *m = evented_of(c);
	bool early = m->phase == EVENTED_CONNECTING || m->phase == EVENTED_SHAKING || m->shakes;

	tell_finishing(m);
	if (!evented_is_alive(m))
		return true;
	if (abort || early || c->broken != 0) {
		cut(m);
		return true;
	}
	if (m->phase != EVENTED_CLOSING)
		evented_touch(m);
	m->phase = EVENTED_CLOSING;
	m->armed = false;
	conn_stdio_flush(c);
	if (conn_unsent(c) > 0 && c->sending == SENDING_NOT)
		tend_flush(c);
	if (!evented_is_alive(m)) /* a marker was quicker */
		return true;
	if (c->sending == SENDING_NOT && (c->broken != 0 || conn_unsent(c) == 0))
		evented_part(m);
	else
		conns_attend(m);
	return true;
}

void
evented_fail(struct evented *m, int error)
{
	if (m->failing || !evented_is_alive(m))
		return;
	m->failing = true;
	m->result = error;
	if (m->hooks->failed != NULL && m->phase != EVENTED_CLOSING)
		m->hooks->failed(&m->c, error);
	if (!evented_is_alive(m))
		return;
	tell_finishing(m);
	if (evented_is_alive(m))
		cut(m);
}

void
evented_forget(struct evented *m)
{
	m->forgotten = true;
	die(m);
}

void
evented_free(struct evented *m)
{
	struct evented_mood *mood = evented_mood_of(&m->c);

	m->is_due = true; /* never again, whatever the hook asks for */
	if (m->forgotten)
		; /* who knows of it knows */
	else if (mood->closed != NULL)
		mood->closed(&m->c);
	else if (m->hooks != NULL && m->hooks->closed != NULL)
		m->hooks->closed(&m->c);
	conn_done(&m->c);
	mood->conns->count--;
	free(m);
}
