/*
 * The figures of status.h for monitoring: OpenMetrics text, and an endpoint that gives it to who
 * asks over HTTP, beside the questions whether the server lives and whether it serves.
 */
#ifndef TEND_SERVER_METRICS_H
#define TEND_SERVER_METRICS_H

#include "base/buf.h"
#include "server/desk.h"
#include "server/server.h"

/* All families, ended by "# EOF". 0 or -ENOMEM. */
int metrics_text(struct tend_server *srv, struct buf *into);

/* The desk_answer_fn of the endpoint; `data` is the server. */
void metrics_answer(struct desk_client *c, void *data);

/* To one client too many. */
#define METRICS_FAREWELL                                                                      \
	"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"         \
	"Content-Length: 0\r\n\r\n"

#endif
