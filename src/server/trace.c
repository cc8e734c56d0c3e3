/*
 * The option log_trace (DS-119). What happens is told by the loop and by connections, each to the tracer that
 * stands beside it; here that becomes lines with the client's address.
 */
#include "server/trace.h"

#include "net/evented.h"

#define TEXT_MAX 160

/* Whose descriptor an event is about, where that is a connection. */
static struct tend_conn *
conn_of(const struct tend_trace *t)
{
	const struct tend_watch *w = t->object;

	if (t->kind != TEND_TRACE_EVENT)
		return t->conn;
	return w->fn == evented_event ? &((struct evented *)w->data)->c : NULL;
}

static void
log_line(const struct tend_trace *t, void *data)
{
	struct tend_server *srv = data;
	struct tend_conn *c;
	char text[TEXT_MAX];

	if (!logger_wants(&srv->log, TEND_LOG_DEBUG))
		return;
	c = conn_of(t);
	tend_trace_text(t, text, sizeof(text));
	if (c != NULL)
		tend_log(srv, TEND_LOG_DEBUG, "trace: %s: %s", tend_peer(c), text);
	else
		tend_log(srv, TEND_LOG_DEBUG, "trace: %s", text);
}

void
trace_init(struct tend_server *srv, struct tracer *t)
{
	*t = (struct tracer){ .on = srv->tracing.word, .fn = log_line, .data = srv };
}

void
trace_refresh(struct tend_server *srv)
{
	bool said = srv->settings.value.log_trace;

	/* What this process was told of another option must not undo what all were told of this one. */
	if (said == srv->tracing.said)
		return;
	srv->tracing.said = said;
	atomic_store(srv->tracing.word, said);
}

void
trace_share(struct tend_server *srv, atomic_bool *word)
{
	struct tracing *t = &srv->tracing;
	bool now = t->word != NULL && atomic_load(t->word);

	t->word = word != NULL ? word : &t->own;
	atomic_store(t->word, now);
	trace_init(srv, &t->tracer);
	if (srv->seat.mood.traced != NULL)
		srv->seat.mood.traced = t->word;
	/* Unless the program has set its own. */
	if (srv->loop != NULL && srv->loop->tracer.fn == log_line)
		srv->loop->tracer.on = t->word;
}
