/* What processes put down for those who look on. What becomes of it is in status_figures.c. */
#include "server/status.h"

#include <netinet/in.h>

#include "base/clock.h"

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
	return 0;
}

void
status_close(struct tend_server *srv)
{
	srv->log.live_level = NULL;
	ledger_free(srv->ledger);
	srv->ledger = NULL;
}

static struct ledger_client
pack(const struct tend_conn *c)
{
	struct ledger_client client = { .family = AF_UNIX };

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

/* Whoever serves several at once has others than the one seat of a process. */
static bool
is_only_client(const struct tend_server *srv, const struct tend_conn *c)
{
	return c == &srv->seat.conn;
}

int64_t
status_serving(struct tend_server *srv, const struct tend_conn *c)
{
	if (srv->ledger == NULL)
		return 0;
	if (is_only_client(srv, c)) {
		struct ledger_client client = pack(c);

		ledger_show(srv->ledger, srv->ledger_page, &client);
	}
	return srv->settings.value.metrics != NULL ? clock_now() : 0;
}

static void
add_up(struct tend_server *srv, enum ledger_count what, uint64_t *n)
{
	if (*n > 0)
		ledger_add(srv->ledger, srv->ledger_page, what, *n);
	*n = 0;
}

void
status_took(struct tend_server *srv, int64_t began)
{
	if (began != 0)
		ledger_took(srv->ledger, srv->ledger_page, clock_now() - began);
}

/* The counts are those of all connections that share a mood: sooner or later each is put down. */
void
status_closed(struct tend_server *srv, struct tend_conn *c)
{
	if (srv->ledger == NULL)
		return;
	add_up(srv, LEDGER_RECEIVED, &c->mood->received);
	add_up(srv, LEDGER_SENT, &c->mood->sent);
	if (c->timed_out)
		status_count(srv, LEDGER_TIMED_OUT);
	if (is_only_client(srv, c))
		ledger_show(srv->ledger, srv->ledger_page, NULL);
}
