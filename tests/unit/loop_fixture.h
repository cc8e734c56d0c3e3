/* What the tests of the loop share: every test runs on every poller (DS-T09). */
#ifndef TEND_TESTS_LOOP_FIXTURE_H
#define TEND_TESTS_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "pollers.h"

/* The initial state of a test is the name of its poller; `*state` becomes the loop. */
static int
open_loop(void **state)
{
	*state = tend_loop_new(*state);
	return *state != NULL ? 0 : -1;
}

static int
close_loop(void **state)
{
	tend_loop_free(*state);
	return 0;
}

#define ON(poller, test) \
	{ poller ": " #test, test, open_loop, close_loop, (void *)(uintptr_t)poller }

#define ON_EACH_POLLER(test) ON_POLLERS(ON, test)

#endif
