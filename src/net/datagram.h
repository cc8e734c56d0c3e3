/*
 * The inside of datagram sockets on a loop. `struct post` is what all of a loop share: memory for a
 * batch that comes in and for one that goes out, warm memory for datagrams that wait to be sent, and
 * the list of sockets that have something to be done at the end of the turn.
 */
#ifndef TEND_NET_DATAGRAM_H
#define TEND_NET_DATAGRAM_H

#include <tend/datagram.h>

#include "loop/loop.h"
#include "net/addr.h"
#include "net/datagram_batch.h"

/* Longer ones are cut. */
#define DATAGRAM_ROOM 65536

/* A datagram that waits to be sent; its data follows. */
struct letter {
	struct letter    *next;
	uint32_t          size;
	uint8_t           class; /* of its memory */
	bool              tried; /* the kernel has refused it once */
	struct tend_route to;
	char              data[];
};

#define LETTER_CLASSES 6

/* One batch: what the kernel is given, and where it writes. */
struct batch {
	struct mmsghdr    messages[DATAGRAM_BATCH];
	struct iovec      parts[DATAGRAM_BATCH];
	struct packet_info info[DATAGRAM_BATCH];
};

struct post {
	struct tenant     tenant;
	struct tend_loop *loop;
	struct tend_link  sockets, stopped;
	struct tend_datagrams *due, **due_end; /* at the end of the turn */
	struct tend_later attend;
	struct letter    *spare[LETTER_CLASSES];
	size_t            spare_bytes;

	struct batch      outgoing, incoming;
	struct tend_route routes[DATAGRAM_BATCH]; /* of the incoming ones */
	char             *room;                   /* for the incoming ones */
	unsigned          used;                   /* so many of them are to be made ready again */
	bool              with_info;
};

struct tend_datagrams {
	struct post      *post;
	struct tend_link  place; /* in `sockets` or in `stopped` */
	struct tend_datagrams *next_due;
	struct tend_watch watch;
	int               fd; /* -1: stopped */
	int               family;
	bool              exclusive; /* other processes wait for it as well: one of them is woken */
	bool              paused;
	bool              is_due;
	bool              connected;
	bool              with_info;    /* it is bound to all addresses, and tells which */
	bool              blocked;      /* the kernel takes no more */
	bool              owes_drained; /* something was refused since `drained` was called */
	int               error;        /* of sending, to be told of */
	struct letter    *first, **end; /* what waits to be sent */
	unsigned          letters;
	size_t            queued, most; /* bytes */
	const struct tend_datagram_hooks *hooks;
	void             *data;
	/* How many it may take now, at most; its owner counts them. NULL: any number. */
	unsigned        (*allowed)(void *data);
	struct tend_datagram_stats stats;
	char             *path; /* to be removed */
	char              address[ADDR_TEXT_MAX];
};

/* As tend_datagrams_adopt(), for a socket that other processes may have, too. */
int datagrams_new(struct tend_datagrams **into, struct tend_loop *loop, int fd, bool exclusive,
	const struct tend_datagram_hooks *hooks, void *data);
/* Receives no more. What is sent still leaves. */
void datagrams_pause(struct tend_datagrams *s);
/* So many bytes are the most that a datagram can have. */
size_t datagrams_largest(const struct tend_datagrams *s);

/* ---- between the files of this kind ---- */

/* Of this loop, made when first asked for; goes with it. NULL: out of memory. */
struct post *post_of(struct tend_loop *loop);
/* At the end of the turn something is to be done for it. */
void post_attend(struct tend_datagrams *s);
/* Memory for a datagram of `size` bytes; NULL: there is none. And back. */
struct letter *post_letter(struct post *p, size_t size);
void post_forget(struct post *p, struct letter *l);

/* Sends what is queued, as far as the kernel takes it. */
void datagrams_flush(struct tend_datagrams *s);
/* At the end of the turn: sends, and tells what there is to tell. */
void datagrams_due(struct tend_datagrams *s);
/* Drops what is queued. */
void datagrams_drop(struct tend_datagrams *s);
/* The loop watches for what it waits for now. 0 or -errno. */
int  datagrams_watch(struct tend_datagrams *s);

#endif
