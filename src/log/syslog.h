/*
 * What the options syslog_* say, in the words of Net::Server and Sys::Syslog (NS-LOG-40 to -43),
 * and the sink made of it.
 */
#ifndef TEND_LOG_SYSLOG_H
#define TEND_LOG_SYSLOG_H

#include "base/error.h"
#include "log/collector.h"
#include "log/log.h"

#define SYSLOG_IDENT_MAX 64
#define SYSLOG_HOST_MAX 256

/* How the collector is reached. */
enum syslog_way {
	SYSLOG_UNIX,    /* a socket of this machine, for datagrams or else a stream */
	SYSLOG_STREAM,  /* the same, a stream in any case */
	SYSLOG_UDP,
	SYSLOG_TCP,
	SYSLOG_INET,    /* tcp, or else udp */
	SYSLOG_CONSOLE,
};

struct syslog_setup {
	char            ident[SYSLOG_IDENT_MAX];
	unsigned        facility; /* in its place in a priority */
	bool            with_pid;
	bool            console_too; /* where lines go that nobody collects */
	bool            stderr_too;
	enum syslog_way way;
	char            host[SYSLOG_HOST_MAX]; /* or the path */
	char            port[32];
};

/* 0, or -EINVAL with a sentence that names the option and the word. */
int syslog_parse(struct syslog_setup *into, const struct log_options *o, struct error *e);

/* Fills in where to connect to. Looks names up. 0, or EX_NOHOST. */
int syslog_resolve(const struct syslog_setup *setup, struct collector *into, struct error *e);

#endif
