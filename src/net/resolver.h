/*
 * Names of addresses and addresses of names, with a deadline and without holding up who asks. The
 * system's resolver knows neither: it is asked by a few threads, started for the first question.
 *
 * A request lives in your storage. Either resolver_start() it on the resolver's loop and be called
 * back, or resolver_wait() for it. An answer stays with its request until resolver_stop(), which may
 * also be called at any time before, from inside any callback: the request goes quiet at once.
 *
 * There are as many threads as there are questions under way, those included that nobody waits for
 * any more, up to a limit; beyond that questions wait in line, until their own deadlines.
 *
 * Context: resolver_wait() may be called by any thread, all else by the thread of the loop. A
 * process that was forked has none of its parent's threads: it calls resolver_forget().
 */
#ifndef TEND_NET_RESOLVER_H
#define TEND_NET_RESOLVER_H

#include <tend/loop.h>

#include "net/addr.h"

#define RESOLVER_NAME_MAX 255
#define RESOLVER_ADDRESSES_MAX 256 /* of one name; what is beyond is left out */

struct resolver;
struct resolver_job;

struct resolver_addresses {
	struct addr *list; /* of malloc() */
	size_t       count;
};

/*
 * Who knows. Both calls may block, and several threads make them at the same time. They return 0 or
 * one of the errors of resolver_wait().
 */
struct resolver_backend {
	/* Without a final dot. `a` is no mapped address. */
	int (*reverse)(const struct addr *a, char name[RESOLVER_NAME_MAX + 1]);
	/* `service` may be NULL. Of a failure nothing is left in *into. */
	int (*forward)(const char *name, const char *service, int type,
		struct resolver_addresses *into);
};

/* getnameinfo() and getaddrinfo(). */
extern const struct resolver_backend resolver_system;

/* One of two: what is the name of `address`, or which addresses has `name`. */
struct resolver_question {
	const struct addr *address;
	const char        *name;
	const char        *service; /* the port of the addresses: a number or a name; NULL: 0 */
	int                type;    /* SOCK_STREAM, SOCK_DGRAM */
	int64_t            deadline; /* of the monotonic clock; CLOCK_NEVER: none */
};

struct resolver_request;
typedef void (*resolver_fn)(struct resolver_request *q);

struct resolver_request {
	resolver_fn fn;
	void       *data;
	/* The answer: 0 or -errno; a name or addresses, valid until resolver_stop(). */
	int                result;
	const char        *name;
	const struct addr *addresses;
	size_t             count;
	/* private */
	struct resolver     *resolver; /* while it is on its way */
	struct resolver_job *job;
	struct tend_timer    timer;
	struct tend_link     link;
};

/* Starts nothing yet. `loop` may be NULL where only resolver_wait() is used. NULL: no memory. */
struct resolver *resolver_new(struct tend_loop *loop, const struct resolver_backend *backend);
/* Stops its requests. Waits for no thread that is stuck: it ends by itself. NULL is accepted. */
void resolver_free(struct resolver *r);
/* In a child after fork, instead of resolver_free(): closes what is the parent's. */
void resolver_forget(struct resolver *r);

/* `fn` may be NULL for a request that is waited for. */
void resolver_init(struct resolver_request *q, resolver_fn fn, void *data);

/*
 * Asks; what the question points to is copied. 0, and fn is called once from a turn of the loop; or
 * -errno, and it is not: -EAGAIN when too many wait or no thread can be had, -ENOMEM,
 * -ENAMETOOLONG.
 */
int resolver_start(struct resolver *r, struct resolver_request *q,
	const struct resolver_question *question);

/* Waits until `fd` is readable: 0, or -errno to give up, -ETIMEDOUT when the deadline has come. */
typedef int (*resolver_wait_fn)(void *data, int fd, int64_t deadline);

/*
 * Asks and waits with the function given. Returns what becomes q->result: 0, what resolver_start()
 * returns, what `wait` gave up with, or
 *	-ETIMEDOUT   the deadline has passed
 *	-ENOENT      there is no such name, or the address has none
 *	-EBADMSG     what was answered is no name that a host can have
 *	-EAGAIN      nobody who knows could be reached; later perhaps
 *	-EIO, -ENOMEM, ...
 */
int resolver_wait(struct resolver *r, struct resolver_request *q,
	const struct resolver_question *question, resolver_wait_fn wait, void *data);

/* Ends the request if it is on its way, and frees its answer. Stopped ones are accepted. */
void resolver_stop(struct resolver_request *q);

/*
 * May a host have this name? Letters, digits, hyphens, underscores and dots in the places where
 * they belong, and nothing that could be taken for an address. What a name server says is not to
 * be trusted, and names go to logs, patterns and environments.
 */
bool resolver_is_name(const char *name);

#endif
