/* Who wants to hear of all that happens: on a loop, and on connections without one. */
#ifndef TEND_LOOP_TRACE_H
#define TEND_LOOP_TRACE_H

#include <stdatomic.h>

#include <tend/loop.h>

#include "base/hot.h"

struct tracer {
	/* What `*on` says decides, which may be shared with other processes. NULL: it is off. */
	const atomic_bool *on;
	tend_trace_fn      fn;
	void              *data;
	bool               inside; /* fn runs: what it does is not told */
};

static inline bool
tracer_wants(const struct tracer *t)
{
	return t->on != NULL && atomic_load_explicit(t->on, memory_order_relaxed);
}

COLD void tracer_tell(struct tracer *t, const struct tend_trace *what);

#endif
