/*
 * What a server tells about itself: figures taken at one moment from the board, the ledger and the
 * master's own lists, as text for `tend status` and `tend top` or as JSON. metrics.c says them
 * once more in the language of OpenMetrics.
 *
 * And the other side: what the processes put down for it. Each call is one test of a pointer as
 * long as nobody may look (options control and metrics).
 */
#ifndef TEND_SERVER_STATUS_H
#define TEND_SERVER_STATUS_H

#include "base/buf.h"
#include "server/server.h"

/* ---- what is put down ---- */

/* Makes the ledger if anybody may look, with a page for each slot of the board. 0 or -errno. */
int  status_open(struct tend_server *srv, unsigned slots);
void status_close(struct tend_server *srv);

/* The insides of what follows, for when there is a ledger. */
void    status_note_mood(struct tend_server *srv, struct conn_mood *mood, bool one_client);
int64_t status_note_serving(struct tend_server *srv, const struct tend_conn *c);
void    status_note_took(struct tend_server *srv, int64_t began);
void    status_note_closed(struct tend_server *srv, struct tend_conn *c);

static inline void
status_count(struct tend_server *srv, enum ledger_count what)
{
	if (srv->ledger != NULL)
		ledger_count(srv->ledger, srv->ledger_page, what);
}

/*
 * Connections of this mood are looked at: their bytes are counted as they pass, in the page of this
 * process, and whoever has one client at a time shows it there...
 */
static inline void
status_open_mood(struct tend_server *srv, struct conn_mood *mood, bool one_client)
{
	if (srv->ledger != NULL)
		status_note_mood(srv, mood, one_client);
}

/* ...or all of that in the lane of a thread. */
void status_open_thread(struct tend_server *srv, struct conn_mood *mood, unsigned lane);

/*
 * A client begins, and is shown if its mood does that. Returns when, or 0 where nobody measures;
 * status_took() wants it back when the connection is closed.
 */
static inline int64_t
status_serving(struct tend_server *srv, const struct tend_conn *c)
{
	return srv->ledger != NULL ? status_note_serving(srv, c) : 0;
}

static inline void
status_took(struct tend_server *srv, int64_t began)
{
	if (srv->ledger != NULL)
		status_note_took(srv, began);
}

/* A connection is closed, and not yet released. */
static inline void
status_closed(struct tend_server *srv, struct tend_conn *c)
{
	if (srv->ledger != NULL)
		status_note_closed(srv, c);
}

/* ---- what is told ---- */

struct status {
	double      uptime;    /* since the counts began: at the start, or at a restart in place */
	bool        restarted;
	bool        stopping;
	const char *unready; /* why no client would be served now; NULL: it would */
	unsigned    waiting, busy, leaving, dequeue; /* children */
	unsigned    threads_waiting, threads_busy; /* of all of them */
	unsigned    most;    /* that may serve; 0: this personality has no such number */
	uint64_t    accepted;
	uint64_t    active;  /* clients that are being served */
	uint64_t    counts[LEDGER_COUNTS];
	uint64_t    received, sent; /* bytes */
	uint64_t    refused[TEND_REFUSALS]; /* by a limit */
};

void status_take(struct tend_server *srv, struct status *into);

/* One child as it is shown. */
struct status_child {
	pid_t       pid;
	const char *kind;  /* "worker", "child", "dequeue"; NULL: it is a thread */
	const char *state; /* "waiting", "busy", "leaving", "unknown" */
	double      age, since; /* seconds: of its life, of its state */
	uint32_t    clients;
	uint64_t    served;
	char        client[ADDR_TEXT_MAX]; /* "": none, or not known */
};

/* Child `i`; false when there are not so many. Single shows itself as the only one. */
bool status_child(struct tend_server *srv, size_t i, struct status_child *into);
/* Of child `i`, which there is, the first thread from `*lane` on, and which that is. False: none. */
bool status_thread(struct tend_server *srv, size_t i, unsigned *lane, struct status_child *into);

/* Lines "key value ...", or the same as one line of JSON; tend(7) lists them. 0 or -ENOMEM. */
int  status_tell(struct tend_server *srv, struct buf *into, bool json);

/* "denied_rules", ...: of a counter; "max_servers", ...: the option that refuses. */
const char *status_count_name(enum ledger_count what);
const char *status_refusal_name(enum tend_refusal why);

#endif
