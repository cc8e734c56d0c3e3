/* The option log_trace: a line of the log for each event, read, write and end of a connection. */
#ifndef TEND_SERVER_TRACE_H
#define TEND_SERVER_TRACE_H

#include "server/server.h"

/* Takes over what the option says, if that is news. */
void trace_refresh(struct tend_server *srv);

/* Whether it is on stands in `word` from now on, shared with others; NULL: in this process. */
void trace_share(struct tend_server *srv, atomic_bool *word);

/* A tracer that writes to the log, for a thread of its own or for a loop. */
void trace_init(struct tend_server *srv, struct tracer *t);

#endif
