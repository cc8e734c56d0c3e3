/*
 * How connections are given to processes. A personality is what differs between them and nothing
 * more: the phases before and after are lifecycle.c's, serving a client is serve.c's, looking after
 * children is master.c's.
 */
#ifndef TEND_SERVER_PERSONALITY_H
#define TEND_SERVER_PERSONALITY_H

#include "server/server.h"

enum {
	PERSONALITY_FORKS = 1,   /* has children: a board, sig_passthrough, dequeue */
	PERSONALITY_WORKERS = 4, /* its children accept for themselves */
	PERSONALITY_NO_BIND = 2, /* the client is there already; no listeners, no restart */
	PERSONALITY_MANY = 8,    /* a process has many clients at once */
	PERSONALITY_THREADS = 32, /* in threads: hooks of connections run at the same time */
	PERSONALITY_EVENTED = 16, /* knows what to do with the hook `readable` */
};

struct personality {
	const char *name;
	unsigned    traits;
	/* The defaults that differ from the table's: option, value, ..., NULL. May be NULL. */
	const char *const *defaults;
	/* Options are known, nothing is bound: check and complete them. May be NULL. */
	int (*prepare)(struct tend_server *srv);
	/* Zeroed memory of this size is srv->personality_state from open to close. */
	size_t state_size;
	/* Privileges are dropped: makes all that can fail, before the server says it is ready. May be
	   NULL; close is called after it in any case. */
	int (*open)(struct tend_server *srv);
	/* Serves until told to stop. */
	int (*loop)(struct tend_server *srv);
	/*
	 * Its share of master_loop(), called after every turn while nobody has told the server to stop:
	 * starts and retires children. Returns when it wants to be called again at the latest
	 * (monotonic clock), even if nothing happens. FORKS only.
	 */
	int64_t (*manage)(struct tend_server *srv, int64_t now);
	/* The same in a worker, until it has had `most` clients (0: no limit). WORKERS only. */
	int (*work)(struct tend_server *srv, unsigned long most);
	void (*close)(struct tend_server *srv);
	/* TTIN and TTOU: so many servers more or fewer. NULL: the signals are ignored. */
	void (*resize)(struct tend_server *srv, int by);
	/* How many may serve at the same time now. NULL where there is no such number. */
	unsigned (*servers)(struct tend_server *srv);
};

extern const struct personality personality_single;
extern const struct personality personality_inet;
extern const struct personality personality_fork;
extern const struct personality personality_preforksimple;
extern const struct personality personality_prefork;
extern const struct personality personality_multiplex;
extern const struct personality personality_thread;

/* By name, any case; NULL: unknown, and `*nearest` is the name that was probably meant, or NULL. */
const struct personality *personality_find(const char *name, const char **nearest);

/* "Single, INET, ..." Static. */
const char *personality_names(void);

#endif
