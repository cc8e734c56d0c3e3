/*
 * What you write: a description of your server. All members may be left zero; zero means the
 * default everywhere. The description is constant and must outlive the server made from it.
 */
#ifndef TEND_SERVICE_H
#define TEND_SERVICE_H

#include <tend/base.h>
#include <tend/log.h>
#include <tend/options.h>

TEND_BEGIN_DECLS

/* What a child process is for. */
enum tend_child_kind {
	TEND_CHILD_FORK,    /* serves one connection (Fork) */
	TEND_CHILD_WORKER,  /* accepts connections itself (PreForkSimple, PreFork) */
	TEND_CHILD_DEQUEUE, /* runs the dequeue hook */
};

/*
 * The moments of a server's life, in their order. Each says where it runs. A hook that returns int
 * returns 0 to go on, or what tend_server_fail() returned to refuse; in the parent before the loop
 * that ends the start.
 */
struct tend_hooks {
	/* Parent, before options are read: tend_server_set() here is as strong as the code. */
	int (*configure)(struct tend_server *srv);
	/* Parent, options read and checked, log open. May check and change options. */
	int (*configured)(struct tend_server *srv);
	/* Parent, sockets bound, still with the privileges of the start. */
	int (*bound)(struct tend_server *srv);
	/* Parent, privileges dropped, in the working directory, about to loop. */
	int (*ready)(struct tend_server *srv);

	/* Parent, before each fork. `left`: how many this batch still starts, with this one. */
	void (*before_spawn)(struct tend_server *srv, enum tend_child_kind kind, unsigned left);
	/* Parent, after each fork. Always before child_died of the same pid. */
	void (*child_born)(struct tend_server *srv, pid_t pid, enum tend_child_kind kind);
	/* Child, its first and its last moment. child_exit runs on every regular end. A child of Fork
	   then ends with _exit(): streams of your own are yours to flush. */
	int (*child_start)(struct tend_server *srv, enum tend_child_kind kind);
	void (*child_exit)(struct tend_server *srv, enum tend_child_kind kind);
	/* Parent: a child of the server ended; `status` as of waitpid(). */
	void (*child_died)(struct tend_server *srv, pid_t pid, int status);
	/* Parent: a child ended that the server did not start. */
	void (*stranger_died)(struct tend_server *srv, pid_t pid, int status);
	/* Parent and child: `idle_period` passed without anything to do. */
	void (*idle)(struct tend_server *srv);
	void (*child_idle)(struct tend_server *srv);
	/* Parent: a child called tend_tell_parent() (option child_communication). */
	void (*child_spoke)(struct tend_server *srv, pid_t pid, const void *data, size_t size);

	/* The process that accepts, each time before it waits for a connection. */
	void (*before_accept)(struct tend_server *srv);
	/* The process that accepts: accept failed with errno `error`; it tries again by itself. */
	void (*accept_failed)(struct tend_server *srv, int error);

	/* From here on: the process or thread that serves the connection, once per connection. */
	void (*accepted)(struct tend_conn *c);
	/* Asked after the access rules have allowed; false denies. */
	bool (*allow)(struct tend_conn *c);
	/* Instead of `process` for a connection that was denied. */
	void (*denied)(struct tend_conn *c);
	/* Instead of `process` when a limit refuses the connection (tend_conn_refusal() tells which);
	   the process that accepts. */
	void (*full)(struct tend_conn *c);
	/* The TLS handshake failed; `reason` says why. Only `closed` follows. */
	void (*tls_failed)(struct tend_conn *c, const char *reason);
	/* The work, written with blocking calls. */
	void (*process)(struct tend_conn *c);
	/* The work for one datagram (Multiplex), whose connection `c` is: what is written leaves as one
	   datagram to its sender. Waits for nothing; `data` is valid until it returns. NULL: `process`. */
	void (*datagram)(struct tend_conn *c, const void *data, size_t size);
	/* The work, evented (Multiplex). */
	void (*readable)(struct tend_conn *c);
	void (*drained)(struct tend_conn *c);
	void (*ended)(struct tend_conn *c);
	void (*failed)(struct tend_conn *c, int error);
	void (*timed_out)(struct tend_conn *c);
	/* Served or denied; the client is still connected. */
	void (*processed)(struct tend_conn *c, bool allowed);
	/* The connection is closed; addresses and user data can still be read. On every path. */
	void (*closed)(struct tend_conn *c);

	/* A child of its own, every check_for_dequeue seconds. */
	void (*dequeue)(struct tend_server *srv);
	/* Parent or child, from the loop, never inside another hook: HUP, USR1, USR2 and the
	   signals of sig_passthrough. */
	void (*signal)(struct tend_server *srv, int signo);

	/* Parent: about to stop, or to restart; all children are gone, which does not come before a
	   restart. */
	void (*stopping)(struct tend_server *srv);
	void (*children_gone)(struct tend_server *srv);
	/* Parent: about to execute the next image of the program; in that one, before it binds. */
	void (*before_restart)(struct tend_server *srv);
	void (*after_restart)(struct tend_server *srv);

	/* Any process: the server cannot go on; `text` says why. Before it is logged. */
	void (*fatal)(struct tend_server *srv, const char *text);
	/* Any process: takes the place of the log file, which is not even opened. One line, escaped,
	   without newline. */
	void (*log)(struct tend_server *srv, enum tend_log_level level, const char *line);

	void *reserved[8];
};

/* One place to listen, in parts instead of as a string; ends with one whose port is NULL. */
struct tend_listen {
	const char *port;  /* number, service name or path; "0": the kernel chooses */
	const char *host;  /* NULL: as the option host says */
	const char *proto; /* NULL: as the option proto says */
	const char *ipv;   /* NULL: as the option ipv says */
	int         backlog;
	void       *reserved[3];
};

/*
 * The options that every server has, as set in code; they beat the command line. Text options with
 * several values are written with commas: "7007, [::1]:7008/tls". doc/tend.conf.5 has each option's
 * meaning, unit and default; names are the same everywhere.
 */
struct tend_config {
	/* where to listen */
	const char *port;
	const char *host;
	const char *proto;
	const char *ipv;
	const struct tend_listen *listen_at; /* instead of port */
	int         listen;                  /* backlog */

	/* how to serve */
	const char *personality; /* the option server_type */
	int         max_servers;
	int         min_servers;
	int         min_spare_servers;
	int         max_spare_servers;
	int         max_requests;
	int         max_requests_jitter;
	double      check_for_dead;
	double      check_for_waiting;
	double      check_for_spawn;
	double      min_child_ttl;
	double      idle_to_minimum;
	double      dismiss_interval;
	double      idle_period;
	bool        child_communication;
	const char *serialize;
	const char *lock_file;
	int         max_dequeue;
	double      check_for_dequeue;
	const char *sig_passthrough;
	bool        no_close_by_child;
	bool        no_client_stdout;
	bool        multi_port;

	/* what a client may do */
	double handshake_timeout;
	double first_byte_timeout;
	double idle_timeout;
	double connection_timeout;
	double linger_timeout;
	int    max_line; /* bytes */

	/* who may come; patterns cannot be given in a comma list: one each here, more by
	   tend_server_set() in `configure` or in a conf file */
	const char *allow;
	const char *deny;
	const char *cidr_allow;
	const char *cidr_deny;
	const char *reverse_lookups;
	const char *double_reverse_lookups;

	/* as whom and where to run */
	const char *user;
	const char *group;
	const char *chroot;
	bool        background;
	bool        setsid;
	const char *pid_file;

	/* log */
	int         log_level; /* TEND_NONE: silent */
	const char *log_file;

	/* stopping */
	double stop_timeout;
	double graceful_timeout;
	bool   leave_children_open_on_hup;

	const char *conf_file;

	/* where the models that tend unites differ: tend.conf(5) says which does what */
	const char *full;   /* at max_servers: "queue" or "refuse" */
	const char *growth; /* of PreFork: "spare" or "tenth" */
	const char *child_stop; /* TERM to a child: "now" or "finish" */
	const char *hup;    /* "restart", "hook", "workers" or "ignore" */
	double      worker_idle_timeout;
	bool        worker_idle_unused;
	bool        accepted_in_parent;
	bool        process_titles;

	/* Net::Waiter's own words; they choose all of the above */
	int    prefork; /* below zero: as many, and no more */
	int    maxfork;
	bool   nofork;
	double timeout;
	double px_idle;
	bool   prop_sigusr;
	bool   debug;

	bool        leave_busy;   /* stopping */
	bool        log_trace;    /* log */
	int         notify_fd;    /* for supervisors that wait for a newline */
	double      busy_timeout; /* how to serve */
	const char *strangers;    /* where the models differ: "reap" or "leave" */

	/* Multiplex and Thread */
	const char *workers; /* processes: a number, or "auto" for one a processor */
	const char *poller;  /* of every loop: "epoll", "poll" or "auto" */
	int         fiber_stack; /* bytes of address space */
	int         max_output;  /* bytes queued for one client */
	double      stall_warning;
	bool        defer_accept;
	/* limits that all processes share */
	int         max_connections;
	int         max_per_source;
	const char *source_rate; /* "20/10": twenty within ten seconds */
	double      source_hold;
	int         source_prefix_v4;
	int         source_prefix_v6;
	const char *limit_exempt;
	double      limit_report;

	/* more about the log */
	const char *log_format; /* "text", "json" or "logfmt" */
	const char *syslog_ident;
	const char *syslog_logopt;
	const char *syslog_facility;
	const char *syslog_logsock;

	/* being looked at */
	const char *control; /* path of a Unix socket */
	const char *metrics; /* an endpoint, as port */

	/* who may come: seconds that looking up a client's name may take */
	double lookup_timeout;

	/* where to listen: the files of Unix sockets */
	const char *socket_mode; /* octal digits: "0660" */
	const char *socket_user;
	const char *socket_group;

	/* as whom and where to run */
	const char *directory;

	/* how to serve: when workers are replaced */
	double      max_worker_age;
	int         max_worker_memory; /* MiB */

	void *reserved[1];
};

struct tend_service {
	const char               *name; /* in messages; NULL: the base name of the program */
	struct tend_config        config;
	struct tend_hooks         hooks;
	const struct tend_option *options;  /* your own, ended by TEND_END; or NULL */
	const char *const        *defaults; /* "key", "value", ..., NULL: weaker than the conf file */
	const char               *about;    /* one line for --help */
	bool                      keep_leftovers; /* tend_main() takes unknown arguments for yours */
	void                     *data;     /* tend_server_data() gives it back */
	void                     *reserved[8];
};

TEND_END_DECLS

#endif
