/*
 * Net::Waiter's words for tend's options (NW-01 to -13). They only choose defaults: what is said in
 * tend's own words wins.
 */
#ifndef TEND_SERVER_WAITER_H
#define TEND_SERVER_WAITER_H

#include "server/server.h"

/* The personality that prefork, maxfork or nofork ask for; NULL: none of them was said. */
const char *waiter_personality(const struct tend_server *srv);

/* Checks the words and sets the defaults that follow from them. 0 or -errno. */
int waiter_translate(struct tend_server *srv);

#endif
