/*
 * The pollers that a test runs on: the one of the system, and poll(), which is everywhere (DS-T09).
 */
#ifndef TEND_TESTS_POLLERS_H
#define TEND_TESTS_POLLERS_H

#include "config.h"

/* on("epoll", ...), on("poll", ...): the rows of a test. */
#if HAVE_EPOLL_CREATE1
#define ON_POLLERS(on, ...) on("epoll", __VA_ARGS__), on("poll", __VA_ARGS__)
#else
#define ON_POLLERS(on, ...) on("poll", __VA_ARGS__)
#endif

#endif
