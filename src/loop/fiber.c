/*
 * Fibers and the pool of their stacks. A fiber that returns puts its stack among the idle ones
 * itself, while it still stands on it: nobody else runs before it has left. So who resumes has
 * nothing to do after the switch, and the switch is a tail call.
 */
#include "loop/fiber.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/hot.h"
#include "base/prefetch.h"
#include "loop/fiber_stack.h"
#include "loop/fiber_switch.h"
#include "loop/link.h"

/* So many idle stacks are left as they are; those that more than these lie upon are trimmed. */
#define HOT_STACKS 16
/* A stack that never lies below is trimmed now and then: the deep handler may have been the last. */
#define USES_BETWEEN_TRIMS 64
/* Bytes of frames between a suspension and the handler. */
#define FRAMES_SOON 768

/* A few words, so that libtend.so may claim them of the room for threads that exists at the start. */
#if defined(__ELF__)
#define THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define THREAD_LOCAL _Thread_local
#endif

struct fiber_thread {
	struct fiber   *current;
	void           *saved; /* where the thread's own stack was left */
	struct sanitize sanitize;
};

static THREAD_LOCAL struct fiber_thread this_thread;

static struct fiber *
fiber_of(const struct tend_link *l)
{
	return LINK_OWNER(l, struct fiber, link);
}

HOT struct fiber *
fiber_current(void)
{
	return this_thread.current;
}

/* ---- the pool ---- */

int
fiber_pool_open(struct fiber_pool *p, size_t stack_size, unsigned keep)
{
	int r;

	*p = (struct fiber_pool){ .keep = keep > 0 ? keep : 1 };
	link_head_init(&p->hot);
	link_head_init(&p->cold);
	r = fiber_stacks_init(p, stack_size);
	return r < 0 ? r : fiber_signal_stack_open();
}

static struct fiber *
take_idle(struct fiber_pool *p, struct tend_link *l)
{
	link_remove(l);
	p->idle--;
	return fiber_of(l);
}

static struct fiber *
take_hot(struct fiber_pool *p, struct tend_link *l)
{
	p->hot_count--;
	return take_idle(p, l);
}

void
fiber_pool_close(struct fiber_pool *p)
{
	if (p->stack_size == 0)
		return;
	assert(p->live == 0);
	while (!link_is_empty(&p->hot))
		fiber_stack_unmap(take_hot(p, p->hot.next));
	while (!link_is_empty(&p->cold))
		fiber_stack_unmap(take_idle(p, p->cold.next));
	fiber_signal_stack_close();
	p->stack_size = 0;
}

void
fiber_pool_forget(struct fiber_pool *p)
{
	if (p->stack_size == 0)
		return;
	this_thread.current = NULL;
	fiber_signal_stack_forget();
	*p = (struct fiber_pool){ 0 };
}

/* Out of the way of the hot ones, or out of the process. */
static void
put_cold(struct fiber_pool *p, struct fiber *f)
{
	fiber_stack_trim(f);
	link_insert(p->cold.next, &f->link);
	p->idle++;
	if (p->idle > p->keep)
		fiber_stack_unmap(take_idle(p, p->cold.prev));
}

/* Called on the stack of `f`, which stays mapped: it is the last one that could have to go. */
static void
give_back(struct fiber_pool *p, struct fiber *f)
{
	p->live--;
	if (++f->uses >= USES_BETWEEN_TRIMS)
		fiber_stack_trim(f);
	link_insert(p->hot.next, &f->link);
	p->idle++;
	p->hot_count++;
	if (p->hot_count > HOT_STACKS || p->idle > p->keep)
		put_cold(p, take_hot(p, p->hot.prev));
}

static int
take_stack(struct fiber_pool *p, struct fiber **into)
{
	if (p->idle == 0)
		return fiber_stack_map(p, into);
	*into = p->hot_count > 0 ? take_hot(p, p->hot.next) : take_idle(p, p->cold.next);
	return 0;
}

/* ---- running ---- */

/* The first and last function on every stack. */
SANITIZE_NO_THREAD static void
run(void *data)
{
	struct fiber *f = data;
	struct fiber_thread *t = f->thread;

	sanitize_arrive_first(&f->sanitize, &t->sanitize);
	f->fn(f->arg);
	/* A child that has forgotten the fibers of its parent has nowhere to return to. */
	assert(t->current == f);
	give_back(f->pool, f);
	t->current = NULL;
	sanitize_leave_for_good(&f->sanitize, &t->sanitize);
	fiber_switch(&f->saved, t->saved, false);
	abort();
}

int
fiber_start(struct fiber_pool *p, struct fiber **into, void (*fn)(void *), void *arg)
{
	struct fiber_thread *t = &this_thread;
	struct fiber *f;
	bool alive;
	int r;

	assert(t->current == NULL);
	r = take_stack(p, &f);
	if (r < 0)
		return r;
	f->thread = t;
	f->fn = fn;
	f->arg = arg;
	p->live++;
	*into = t->current = f;
	sanitize_leave(&t->sanitize, &f->sanitize);
	alive = fiber_switch_new(&t->saved, fiber_stack_low(f), fiber_stack_room(f), run, f);
	sanitize_arrive(&t->sanitize);
	return alive;
}

HOT bool
fiber_resume(struct fiber *f)
{
	struct fiber_thread *t = &this_thread;
	bool alive;

	assert(f->thread == t && t->current == NULL && !link_is_in(&f->link));
	t->current = f;
	sanitize_leave(&t->sanitize, &f->sanitize);
	alive = fiber_switch(&t->saved, f->saved, true);
	sanitize_arrive(&t->sanitize);
	return alive;
}

void
fiber_foresee(const struct fiber *f, bool frames)
{
	if (frames)
		prefetch(f->saved, FRAMES_SOON);
	else
		prefetch(f, sizeof(*f));
}

HOT void
fiber_suspend(void)
{
	struct fiber_thread *t = &this_thread;
	struct fiber *f = t->current;

	assert(f != NULL);
	t->current = NULL;
	sanitize_leave(&f->sanitize, &t->sanitize);
	fiber_switch(&f->saved, t->saved, true);
	sanitize_arrive(&f->sanitize);
}
