/*
 * The pollers that a test runs on: the one of the system, and poll(), which is everywhere (DS-T09).
 * TEST_POLLER is set where the tests are built once more for one poller alone (emulation/).
 */
#ifndef TEND_TESTS_POLLERS_H
#define TEND_TESTS_POLLERS_H

#include "config.h"

/* on("epoll", ...), on("poll", ...): the rows of a test. */
#if defined(TEST_POLLER)
#define ON_POLLERS(on, ...) on(TEST_POLLER, __VA_ARGS__)
#elif HAVE_KQUEUE
#define ON_POLLERS(on, ...) on("kqueue", __VA_ARGS__), on("poll", __VA_ARGS__)
#elif HAVE_EPOLL_CREATE1
#define ON_POLLERS(on, ...) on("epoll", __VA_ARGS__), on("poll", __VA_ARGS__)
#else
#define ON_POLLERS(on, ...) on("poll", __VA_ARGS__)
#endif

#endif
