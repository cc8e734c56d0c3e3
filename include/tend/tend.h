/*
 * tend: the server engine for C. You write what happens with one client; tend does the rest.
 *
 * This header includes all others. A first server:
 *
 *	#include <tend/tend.h>
 *
 *	static void
 *	say_hello(struct tend_conn *c)
 *	{
 *		tend_printf(c, "hello, %s\n", tend_peer(c));
 *	}
 *
 *	static const struct tend_service hello = { .hooks.process = say_hello };
 *
 *	int main(void) { return tend_serve(&hello); }
 */
#ifndef TEND_TEND_H
#define TEND_TEND_H

#include <tend/base.h>
#include <tend/log.h>
#include <tend/loop.h>
#include <tend/options.h>
#include <tend/conn.h>
#include <tend/transport.h>
#include <tend/evented.h>
#include <tend/datagram.h>
#include <tend/service.h>
#include <tend/server.h>

#endif
