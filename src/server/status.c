/* What processes put down for those who look on. What becomes of it is in status_figures.c. */
#include "server/status.h"

#include <netinet/in.h>

#include "base/clock.h"
#include "server/child.h"
#include "server/trace.h"

int
status_open(struct tend_server *srv, unsigned slots)
{
	int r;

	if (srv->control == NULL)
		return 0;
	r = ledger_new(&srv->ledger, slots + 1);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot make the ledger of %u children: %s",
		    slots, error_reason(r));
	/* The last page is the parent's own. */
	srv->ledger_page = slots;
	srv->log.live_level = ledger_log_level(srv->ledger);
	trace_share(srv, ledger_trace(srv->ledger));
	return 0;
}

void
status_close(struct tend_server *srv)
{
	srv->log.live_level = NULL;
	srv->seat.mood.traffic = NULL;
	srv->seat.mood.shown = NULL;
	trace_share(srv, NULL);
	ledger_free(srv->ledger);
	srv->ledger = NULL;
}

static struct shown_client
pack(const struct tend_conn *c)
{
	struct shown_client client = { .family = AF_UNIX };

	if (c->peer.length == 0)
		return client;
	client.family = c->peer.u.any.sa_family;
	if (client.family == AF_INET) {
		client.port = ntohs(c->peer.u.v4.sin_port);
		memcpy(client.address, &c->peer.u.v4.sin_addr, sizeof(c->peer.u.v4.sin_addr));
	} else if (client.family == AF_INET6) {
		client.port = ntohs(c->peer.u.v6.sin6_port);
		memcpy(client.address, &c->peer.u.v6.sin6_addr, sizeof(c->peer.u.v6.sin6_addr));
	}
	return client;
}

void
status_note_mood(struct tend_server *srv, struct conn_mood *mood, bool one_client)
{
	mood->traffic = ledger_traffic(srv->ledger, srv->ledger_page);
	mood->shown = one_client ? ledger_shown(srv->ledger, srv->ledger_page) : NULL;
}

void
status_open_thread(struct tend_server *srv, struct conn_mood *mood, unsigned lane)
{
	if (srv->ledger == NULL)
		return;
	mood->traffic = lanes_traffic(srv->lanes, srv->birth->slot, lane);
	mood->shown = lanes_shown(srv->lanes, srv->birth->slot, lane);
}

int64_t
status_note_serving(struct tend_server *srv, const struct tend_conn *c)
{
	if (c->mood->shown != NULL) {
		struct shown_client client = pack(c);

		shown_put(c->mood->shown, &client);
	}
	return srv->settings.value.metrics != NULL ? clock_now() : 0;
}

void
status_note_took(struct tend_server *srv, int64_t began)
{
	if (began != 0)
		ledger_took(srv->ledger, srv->ledger_page, clock_now() - began);
}

void
status_note_closed(struct tend_server *srv, struct tend_conn *c)
{
	if (c->timed_out)
		status_count(srv, LEDGER_TIMED_OUT);
	if (c->mood->shown != NULL)
		shown_put(c->mood->shown, NULL);
}
