/*
 * One mapping a stack. The kernel joins neighbours that are alike, so that larger slabs would save
 * one of two calls for a new stack, and could not be given back one by one.
 */
#include "loop/fiber_stack.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_STACK
#define MAP_STACK 0
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
/* Linux 6.13, younger than the headers; elsewhere no advice has this number. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define STACK_SMALLEST ((size_t)16 * 1024)
/* One page would be stepped over by a function with a buffer of a page or two. */
#define GUARD_SIZE ((size_t)64 * 1024)
#define KEPT_WHEN_TRIMMED ((size_t)8 * 1024)

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t
round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

int
fiber_stacks_init(struct fiber_pool *p, size_t stack_size)
{
	if (stack_size > SIZE_MAX / 4)
		return -EINVAL;
	if (stack_size < STACK_SMALLEST)
		stack_size = STACK_SMALLEST;
	p->stack_size = round_up(stack_size, page_size());
	p->guard_size = round_up(GUARD_SIZE, page_size());
	return 0;
}

static int
split_guard(struct fiber_pool *p, char *base)
{
	if (mprotect(base, p->guard_size, PROT_NONE) < 0)
		return -errno;
#ifdef MADV_NOHUGEPAGE
	/* Kernels with marks for guards spare stacks from huge pages by themselves. */
	madvise(base + p->guard_size, p->stack_size, MADV_NOHUGEPAGE);
#endif
	return 0;
}

/* Emulators and sandboxes may take any advice and do nothing. The kernel says what is there. */
static bool
is_guarded(void *base)
{
	return uname(base) < 0 && errno == EFAULT;
}

static int
install_guard(struct fiber_pool *p, char *base)
{
	if (!p->guards_split) {
		if (madvise(base, p->guard_size, MADV_GUARD_INSTALL) == 0) {
			p->guards_marked = p->guards_marked || is_guarded(base);
			if (p->guards_marked)
				return 0;
		} else if (errno == ENOMEM || errno == EAGAIN) {
			/* Of the moment; all else is the age of the kernel. */
			return -errno;
		}
		p->guards_split = true;
	}
	return split_guard(p, base);
}

int
fiber_stack_map(struct fiber_pool *p, struct fiber **into)
{
	size_t size = p->guard_size + p->stack_size;
	struct fiber *f = calloc(1, sizeof(*f));
	char *base;
	int r;

	if (f == NULL)
		return -ENOMEM;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	r = errno == EAGAIN ? -EAGAIN : -ENOMEM;
	if (base == MAP_FAILED)
		goto free_block;
	r = install_guard(p, base);
	if (r < 0)
		goto unmap;
	f->pool = p;
	f->low = base + p->guard_size;
	sanitize_init(&f->sanitize, fiber_stack_low(f), fiber_stack_room(f));
	*into = f;
	return 0;
unmap:
	munmap(base, size);
free_block:
	free(f);
	return r;
}

void
fiber_stack_unmap(struct fiber *f)
{
	struct fiber_pool *p = f->pool;
	char *base = fiber_stack_low(f) - p->guard_size;

	sanitize_done(&f->sanitize);
	/* It may need one mapping more, and may be refused when they have run out. */
	if (munmap(base, p->guard_size + p->stack_size) < 0)
		madvise(base, p->guard_size + p->stack_size, MADV_DONTNEED);
	free(f);
}

void
fiber_stack_trim(struct fiber *f)
{
	size_t kept = round_up(KEPT_WHEN_TRIMMED, page_size());

	f->uses = 0;
	if (f->pool->stack_size > kept)
		madvise(fiber_stack_low(f), f->pool->stack_size - kept, MADV_DONTNEED);
}

bool
fiber_stack_guards(const struct fiber *f, const void *address)
{
	uintptr_t low = (uintptr_t)fiber_stack_low(f), at = (uintptr_t)address;

	return at < low && at >= low - f->pool->guard_size;
}
