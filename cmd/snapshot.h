/* What a server told of itself at one moment: the answer to "status", taken to pieces. */
#ifndef CMD_SNAPSHOT_H
#define CMD_SNAPSHOT_H

#include <stddef.h>

/* A child, or one of its threads. */
struct shown_child {
	long        pid;
	int         thread; /* -1: it is a child */
	const char *kind, *state; /* kind: of a thread its number */
	double      age, since; /* seconds */
	unsigned    clients;
	unsigned long long served;
	const char *client; /* "-": none */
	double      rate;   /* for who compares two moments */
};

#define SNAPSHOT_ENDPOINTS 64

/* Texts point into the answer. */
struct snapshot {
	const char *server, *version, *server_type, *state, *ready, *began_by;
	long        pid;
	double      uptime;
	unsigned long long max_servers, waiting, busy, leaving, dequeue;
	unsigned long long threads_waiting, threads_busy;
	unsigned long long accepted, active, denied_rules, denied_service;
	unsigned long long refused_max_servers, refused_max_connections, refused_max_per_source;
	unsigned long long refused_source_rate, handshake_failed, timed_out, accept_errors, bytes_received, bytes_sent;
	const char *endpoints[SNAPSHOT_ENDPOINTS];
	size_t      endpoint_count;
	struct shown_child *children; /* and behind them their threads */
	size_t      child_count;
};

/* By all limits together. */
static inline unsigned long long
snapshot_refused(const struct snapshot *s)
{
	return s->refused_max_servers + s->refused_max_connections + s->refused_max_per_source +
	    s->refused_source_rate;
}

/* Cuts `text` up and keeps it; keys that are not known are passed over. 0 or -ENOMEM. */
int  snapshot_take(struct snapshot *s, char *text);
void snapshot_done(struct snapshot *s);

/* Those that do something come first. */
int snapshot_rank(const struct shown_child *c);

/* "12.3s", "4m05s", "3h20m", "12d03h": seven characters at most. */
const char *duration_text(char into[16], double seconds);

#endif
