/*
 * UDP echo (RFC 862) on a loop of its own: each datagram goes back to who sent it. Says its address,
 * and ends with a line of counts on TERM or INT.
 *
 *	udp_echo 127.0.0.1:7007
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <tend/tend.h>

static void
arrived(struct tend_datagrams *s, const struct tend_datagram *d)
{
	tend_datagrams_send_to(s, d->from, d->data, d->size);
}

static void
stop(struct tend_signal *signal)
{
	tend_loop_stop(signal->data);
}

int
main(int argc, char **argv)
{
	static const struct tend_datagram_hooks hooks = { .arrived = arrived };
	const char *where = argc > 1 ? argv[1] : "127.0.0.1:7007";
	struct tend_loop *loop = tend_loop_new(NULL);
	struct tend_signal term, interrupt;
	struct tend_datagram_stats stats;
	struct tend_datagrams *echo;
	int r = loop != NULL ? tend_datagrams_start(&echo, loop, where, &hooks, NULL) : -1;

	if (r < 0) {
		fprintf(stderr, "udp_echo: cannot use %s: %s\n", where, strerror(-r));
		return 1;
	}
	tend_signal_init(&term, stop, loop);
	tend_signal_init(&interrupt, stop, loop);
	tend_signal_start(loop, &term, SIGTERM);
	tend_signal_start(loop, &interrupt, SIGINT);
	printf("%s\n", tend_datagrams_address(echo));
	fflush(stdout);
	tend_loop_run(loop);
	tend_datagrams_stats(echo, &stats);
	printf("%llu received, %llu sent\n", (unsigned long long)stats.received,
	    (unsigned long long)stats.sent);
	tend_loop_free(loop);
	return 0;
}
