/*
 * A ticker on a loop of its own, without a server: everybody who connects hears a beat, one for all.
 * Clients that are too slow for it miss beats; nothing piles up.
 *
 *	./ticker 127.0.0.1:7007 0.5        then: nc 127.0.0.1 7007
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tend/tend.h>

static unsigned long beats;

static void
beat(struct tend_timer *t)
{
	struct tend_loop *loop = t->data;
	struct tend_conn *c;

	beats++;
	for (c = tend_loop_conn_first(loop); c != NULL; c = tend_conn_next(c))
		if (tend_conn_queued(c) == 0)
			tend_printf(c, "%lu\n", beats);
}

/* What they say is of no interest, but it has to go somewhere. */
static void
ignore(struct tend_conn *c)
{
	char scrap[512];

	while (tend_read(c, scrap, sizeof(scrap)) > 0)
		;
}

static void
stop(struct tend_signal *s)
{
	tend_loop_stop(s->data);
}

int
main(int argc, char **argv)
{
	static const struct tend_conn_hooks hooks = { .readable = ignore };
	const char *where = argc > 1 ? argv[1] : "127.0.0.1:7007";
	struct tend_loop *loop = tend_loop_new(NULL);
	struct tend_listener *listener;
	struct tend_timer timer;
	struct tend_signal term;
	int r = loop != NULL ? 0 : -errno;

	if (r == 0)
		r = tend_listener_start(&listener, loop, where, &hooks, NULL);
	if (r < 0) {
		fprintf(stderr, "ticker: cannot listen at %s: %s\n", where, strerror(-r));
		return 1;
	}
	fprintf(stderr, "ticker: listening on %s\n", tend_listener_address(listener));
	tend_signal_init(&term, stop, loop);
	tend_signal_start(loop, &term, SIGTERM);
	tend_timer_init(&timer, beat, loop);
	tend_timer_repeat(loop, &timer, argc > 2 ? atof(argv[2]) : 1);
	r = tend_loop_run(loop);
	tend_listener_stop(listener);
	tend_loop_free(loop);
	return r < 0;
}
