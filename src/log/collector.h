/*
 * The socket to whoever collects lines: syslogd, the journal, a machine far away. It is connected
 * at the start, while names can be looked up and paths are those of the outside, and connects again
 * by itself.
 *
 * Its descriptor keeps its number for life, so that threads may write while one reconnects. After
 * fork it is shared: datagrams are whole in any case, and on a stream a line is one send.
 */
#ifndef TEND_LOG_COLLECTOR_H
#define TEND_LOG_COLLECTOR_H

#include "log/shared.h"
#include "net/addr.h"

#define COLLECTOR_TARGETS 8

/* What follows a line. */
enum collector_end {
	END_NEWLINE, /* the newline that it has */
	END_NUL,     /* as libc ends it on a stream */
	END_NONE,    /* a datagram has an end of its own */
};

struct collector_target {
	struct addr        addr;
	int                type; /* SOCK_DGRAM or SOCK_STREAM */
	enum collector_end end;
};

struct collector {
	struct collector_target        targets[COLLECTOR_TARGETS]; /* tried in this order */
	size_t                         count;
	const struct collector_target *now;  /* the one in use */
	int                            fd;
	bool                           down; /* for this process: connect before the next line */
	unsigned                       mended; /* as in struct log_shared, as far as is known here */
};

/* Returns the target that was added, or NULL when there is no room. */
struct collector_target *collector_add(struct collector *c, const struct addr *a, int type,
	enum collector_end end);

/* Connects. That nobody is there is no error: lines are lost until somebody is. 0 or -errno. */
int  collector_open(struct collector *c, struct log_shared *s);
void collector_close(struct collector *c);

/* Connects again before the next line, pause or no pause. */
void collector_refresh(struct collector *c, struct log_shared *s);

/*
 * Connects if another process had to: before a fork, so that each child need not do it again.
 */
void collector_follow(struct collector *c, struct log_shared *s);

/* Together less than a tenth of a second, which a line may take. */
#define COLLECTOR_CONNECT_MS 50
#define COLLECTOR_PATIENCE_MS 40

/*
 * Sends a line, whose newline is overwritten. Waits `patience_ms` (COLLECTOR_PATIENCE_MS at most)
 * for a collector that is slow and COLLECTOR_CONNECT_MS for a connection, which is tried once in a
 * while by one process. 0, or why the line was not sent.
 */
int collector_put(struct collector *c, struct log_shared *s, char *line, size_t length,
	int patience_ms);

#endif
