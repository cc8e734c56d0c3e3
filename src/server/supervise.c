/* What a supervisor hears of this server, and what it has given to it. */
#include "server/supervise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/restart.h"

/* How many texts there are for one endpoint, and how long they are. */
#define TEXT_SIZE ADDR_TEXT_MAX

static void beat(struct tend_timer *t);

int
supervise_init(struct tend_server *srv)
{
	struct supervise *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	notify_init(&s->notify);
	tend_timer_init(&s->beat, beat, srv);
	srv->supervise = s;
	return 0;
}

void
supervise_done(struct tend_server *srv)
{
	if (srv->supervise == NULL)
		return;
	free(srv->supervise->passed);
	free(srv->supervise->endpoints);
	free(srv->supervise->texts);
	free(srv->supervise);
	srv->supervise = NULL;
}

/* ---- telling ---- */

static int64_t
monotonic_microseconds(void)
{
	return clock_now() / 1000;
}

void
supervise_ready(struct tend_server *srv, const char *status)
{
	struct supervise *s = srv->supervise;

	/* The pid is news where we went into the background. */
	notify_send(&s->notify, "READY=1\nMAINPID=%ld\nSTATUS=%s", (long)getpid(), status);
	notify_ready_fd(&s->notify);
}

void
supervise_reloading(struct tend_server *srv, const char *status)
{
	notify_send(&srv->supervise->notify, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=%s",
	    (long long)monotonic_microseconds(), status);
}

void
supervise_unchanged(struct tend_server *srv, const char *status)
{
	supervise_reloading(srv, status);
	supervise_ready(srv, status);
}

void
supervise_stopping(struct tend_server *srv)
{
	notify_send(&srv->supervise->notify, "STOPPING=1\nSTATUS=Stopping");
}

/*
 * That this runs shows that the loop turns. A master whose workers are all gone, or have run wild
 * over the board, serves nobody although it turns.
 */
static bool
makes_progress(struct tend_server *srv)
{
	if (srv->board == NULL)
		return true;
	if (board_count(srv->board).unsound > 0)
		return false;
	return !(srv->personality->traits & PERSONALITY_WORKERS) || srv->stop != STOP_NOT ||
	    srv->master->children.by_kind[TEND_CHILD_WORKER] > 0;
}

static void
beat(struct tend_timer *t)
{
	struct tend_server *srv = t->data;
	struct supervise *s = srv->supervise;

	if (makes_progress(srv))
		notify_send(&s->notify, "WATCHDOG=1");
	tend_timer_start(srv->loop, t, clock_to_seconds(s->notify.watchdog) / 3);
}

int
supervise_open(struct tend_server *srv)
{
	struct supervise *s = srv->supervise;
	int ready_fd = srv->settings.value.notify_fd, r;

	/* Told already, and closed, by the image before. */
	if (inherit_is_pending(srv))
		ready_fd = 0;
	r = notify_open(&s->notify, ready_fd, &srv->error);
	if (r == 0 && s->notify.watchdog > 0)
		beat(&s->beat);
	return r;
}

void
supervise_close(struct tend_server *srv)
{
	tend_timer_stop(&srv->supervise->beat);
	notify_close(&srv->supervise->notify);
}

void
supervise_leave(const struct tend_server *srv)
{
	notify_leave(&srv->supervise->notify);
}

/* ---- sockets ---- */

int
supervise_receive(struct tend_server *srv)
{
	struct supervise *s = srv->supervise;
	int count;

	/* After a restart they come from the image before; the variables are those of the start. */
	if (inherit_is_pending(srv)) {
		unsetenv("LISTEN_PID");
		unsetenv("LISTEN_FDS");
		unsetenv("LISTEN_FDNAMES");
		return 0;
	}
	count = passed_sockets(&s->passed, &srv->error);
	s->passed_count = count > 0 ? (size_t)count : 0;
	return count < 0 ? count : 0;
}

static bool
is_v6_only(int fd)
{
	int on = 0;
	socklen_t size = sizeof(on);

	return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &size) == 0 && on != 0;
}

static unsigned
ipv_of(const struct addr *a, int fd)
{
	if (a->u.any.sa_family == AF_INET)
		return IPV_4;
	return a->u.any.sa_family == AF_INET6 && !is_v6_only(fd) && addr_is_wildcard(a) ? IPV_ANY : IPV_6;
}

/* By its name, which is the port as it is written, or by its address. */
static bool
is_for(const struct passed_socket *p, const struct endpoint *ep)
{
	struct addr a = { .length = sizeof(a.u) };

	if (p->fd < 0)
		return false;
	if (p->name[0] != '\0' && strcmp(p->name, ep->configured_port) == 0)
		return true;
	return addr_of_socket(&a, p->fd) == 0 && addr_equal(&a, &ep->addr) &&
	    (a.u.any.sa_family != AF_INET6 || ipv_of(&a, p->fd) == ep->ipv);
}

int
supervise_listener(struct tend_server *srv, size_t i)
{
	struct supervise *s = srv->supervise;
	struct listener *l = &srv->listeners[i];
	size_t j;
	int fd, r;

	for (j = 0; j < s->passed_count && !is_for(&s->passed[j], &srv->endpoints.list[i]); j++)
		;
	if (j == s->passed_count)
		return 0;
	fd = s->passed[j].fd;
	s->passed[j].fd = -1;
	r = listener_adopt(l, fd, &srv->endpoints.list[i], &srv->error);
	if (r < 0)
		return r;
	l->passed = true;
	l->owner = 0;
	tend_log(srv, TEND_LOG_NOTICE, "Descriptor %d of the supervisor%s%s is for %s port %s", fd,
	    s->passed[j].name[0] != '\0' ? ", " : "", s->passed[j].name, l->proto_upper, l->service);
	return 1;
}

void
supervise_bound(struct tend_server *srv)
{
	struct supervise *s = srv->supervise;
	size_t i;

	for (i = 0; i < s->passed_count; i++) {
		if (s->passed[i].fd < 0)
			continue;
		tend_log(srv, TEND_LOG_WARNING,
		    "Descriptor %d of the supervisor%s%s is for no endpoint of the configuration; closing it",
		    s->passed[i].fd, s->passed[i].name[0] != '\0' ? ", " : "", s->passed[i].name);
		close(s->passed[i].fd);
	}
	s->passed_count = 0;
}

/* Four texts for each: port, host, and two that are constant. */
static void
describe(struct tend_listen *into, char texts[2][TEXT_SIZE], int fd)
{
	struct addr a = { .length = sizeof(a.u) };
	unsigned ipv;

	if (addr_of_socket(&a, fd) < 0)
		return;
	if (a.u.any.sa_family == AF_UNIX) {
		snprintf(texts[0], TEXT_SIZE, "%s%.*s", a.u.un.sun_path[0] == '\0' ? "@" : "",
		    (int)sizeof(a.u.un.sun_path) - 1, a.u.un.sun_path + (a.u.un.sun_path[0] == '\0'));
		*into = (struct tend_listen){ .port = texts[0], .proto = "unix" };
		return;
	}
	ipv = ipv_of(&a, fd);
	snprintf(texts[0], TEXT_SIZE, "%u", addr_port(&a));
	addr_host_text(&a, texts[1]);
	*into = (struct tend_listen){
		.port = texts[0],
		.host = texts[1],
		.proto = "tcp",
		.ipv = ipv == IPV_4 ? "4" : ipv == IPV_6 ? "6" : "*",
	};
}

const struct tend_listen *
supervise_endpoints(struct tend_server *srv)
{
	struct supervise *s = srv->supervise;
	const struct handover *from = srv->restart->from;
	size_t most = from != NULL ? from->listener_count : s->passed_count, i, n = 0;
	char (*texts)[TEXT_SIZE];

	free(s->endpoints);
	free(s->texts);
	s->endpoints = calloc(most + 1, sizeof(*s->endpoints));
	s->texts = calloc(most + 1, 2 * TEXT_SIZE);
	texts = (char (*)[TEXT_SIZE])s->texts;
	if (s->endpoints == NULL || texts == NULL)
		return NULL;
	for (i = 0; i < most; i++) {
		if (from != NULL && from->listeners[i].ours)
			continue;
		describe(&s->endpoints[n], &texts[2 * n], from != NULL ? from->listeners[i].fd
		    : s->passed[i].fd);
		n += s->endpoints[n].port != NULL;
	}
	return n > 0 ? s->endpoints : NULL;
}
