/*
 * Between the files that make endpoints of options: resolve.c, which walks the lists, and
 * resolve_host.c, which knows hosts and IP versions. Nobody else includes it.
 */
#ifndef TEND_NET_RESOLVE_H
#define TEND_NET_RESOLVE_H

#include "net/endpoint.h"
#include "net/transport.h"

struct resolving {
	struct endpoints             *into;
	const struct endpoint_config *from;
	endpoint_note_fn              note;
	void                         *note_data;
	struct error                 *e;
};

/* One port of the configuration, which may become several endpoints. */
struct request {
	const char             *text;  /* what was written, for sentences */
	struct endpoint_text    parts; /* none of host, port, proto is NULL once complete */
	unsigned                ipv;
	int                     backlog;
	const struct tend_transport *transport;
	unsigned                port; /* as resolved */
	size_t                  first; /* index of its first endpoint */
};

/* Adds an endpoint of `q` at `a`, unless it is there already. 0 or -ENOMEM. */
int resolve_add(struct resolving *r, const struct request *q, const struct addr *a, unsigned ipv);

/* Adds an endpoint for each address that the host of `q` stands for. */
int resolve_host(struct resolving *r, const struct request *q);

void resolve_note(const struct resolving *r, const char *format, ...) TEND_PRINTF(2, 3);

#endif
