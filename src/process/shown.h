/*
 * The client that somebody serves, where others may see it: an address in shared memory that its
 * owner replaces again and again, and of which nobody ever reads half.
 */
#ifndef TEND_PROCESS_SHOWN_H
#define TEND_PROCESS_SHOWN_H

#include <stdatomic.h>
#include <stdint.h>

#include <tend/base.h>

/* A client's address, packed: what a reader shows of it. */
struct shown_client {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0: none is shown */
	uint16_t port;
	uint8_t  address[16]; /* an IPv4 address in the first four */
};

/* In three words, behind a count that is odd while they are being written. Zeroed: none. */
struct shown {
	_Atomic uint32_t sequence;
	_Atomic uint32_t where;
	_Atomic uint64_t address[2];
};

/* The owner. NULL: none any more. */
void shown_put(struct shown *s, const struct shown_client *client);
/* Anybody. False: none is shown, or it is just being written. */
bool shown_get(const struct shown *s, struct shown_client *into);

#endif
