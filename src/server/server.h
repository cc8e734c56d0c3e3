/*
 * The running server: what its parts share. Members are grouped by the file that owns them; other
 * files read them and change them through that file's functions.
 */
#ifndef TEND_SERVER_SERVER_H
#define TEND_SERVER_SERVER_H

#include <signal.h>
#include <stdatomic.h>

#include <tend/loop.h>
#include <tend/server.h>

#include "access/access.h"
#include "base/error.h"
#include "config/options.h"
#include "log/log.h"
#include "net/conn.h"
#include "net/endpoint.h"
#include "net/listen.h"
#include "process/board.h"
#include "process/daemonize.h"
#include "process/lanes.h"
#include "process/ledger.h"
#include "process/pidfile.h"
#include "process/privileges.h"

struct control;
struct crowd;
struct parcels;
struct drains;
struct limits;
struct master;
struct personality;
struct resolver;
struct sources;
struct restart;
struct supervise;

/* Which of the server's processes this is. Hooks are checked against it. */
enum role {
	ROLE_PARENT, /* the one that called tend_server_run() */
	ROLE_CHILD,
};

/* How the server, or this child, was told to end. Ordered: more urgent is greater. */
enum stop_how {
	STOP_NOT,
	STOP_GRACEFUL, /* finish what runs, take nothing new */
	STOP_NOW,      /* end what runs */
};

#define SERVER_SIGNALS_MAX 64

/* What the signal HUP means (option hup). */
enum hup_means {
	HUP_RESTARTS,
	HUP_CALLS_HOOK,
	HUP_RENEWS_WORKERS,
	HUP_MEANS_NOTHING,
};

/* Where the models differ: the options of that group, taken from the settings once. */
struct policy {
	bool    refuse_when_full;
	bool    grow_by_tenth;
	bool    children_finish;    /* TERM lets them come to the end of their client */
	enum hup_means hup;
	bool    accepted_in_parent;
	bool    titles;
	bool    unused_retire_too;
	bool    leave_strangers;    /* their ends are the program's to hear of */
	int64_t worker_idle;        /* 0: never */
};

/* Which names of clients are looked up, taken from the settings once. */
struct lookups {
	bool             reverse;
	bool             twice;
	bool             detail, debug, autofail;
	int64_t          timeout;  /* 0: no limit */
	/* Several threads may look up, and the first makes it. NULL: no client had to be looked up. */
	_Atomic(struct resolver *) resolver;
	_Atomic int64_t            warned; /* that it does not answer; 0: not yet */
};

/* The option log_trace: whether it is on stands where all processes see it. */
struct tracing {
	struct tracer tracer; /* of connections that are on no loop */
	atomic_bool   own;    /* where processes share nothing */
	atomic_bool  *word;
	bool          said;   /* the option, when last looked at */
};

/* Where one client at a time is served: a process has one, each thread of Thread another. */
struct seat {
	struct conn_mood mood;
	struct tend_conn conn;
};

struct tend_server {
	/*
	 * This process. First, and together: a child writes here and hardly anywhere else, and each
	 * page that it writes to is copied. Threads that serve write to what is atomic.
	 */
	enum role         role;
	pid_t             parent;
	_Atomic enum stop_how stop;
	atomic_ulong      requests;
	atomic_bool       client_failed; /* tend_conn_fail() */
	struct tend_loop *loop;
	int               parent_channel; /* a child's end of its private channel; -1 */
	int               lifeline;       /* a child's end: end of file means the parent is gone */
	const struct birth *birth;        /* of this child; NULL in the parent */
	unsigned          ledger_page;    /* of this process */

	/* serve.c, accept.c: the connection of a blocking personality */
	struct seat      seat;
	int              null_fd;     /* the null device, open from before a chroot */
	bool             stdio_bound; /* descriptors 0 and 1 are the client */
	FILE            *own_stdin, *own_stdout;   /* while they are */
	int              kept_stdin, kept_stdout;  /* from before the first client; -1 */
	struct drains   *drains;      /* where clients are let go of; NULL: by waiting */
	atomic_bool      listeners_gone; /* of this process, although it still serves */
	int64_t          accept_error_logged;

	/* crowd.c: of a worker of Multiplex; NULL elsewhere */
	struct crowd *crowd;
	/* parcels.c: where it takes datagrams; NULL: nowhere */
	struct parcels *parcels;

	/* limits.c */
	struct sources *sources;       /* shared by all processes; NULL: there is no such limit */
	struct limits  *shared_limits; /* from lifecycle_check() on */
	unsigned long   refused_full;  /* this process: clients refused at max_servers */

	/* master.c: personalities that fork */
	struct master *master;
	struct board  *board;
	int            workers; /* workers.c: how many there are to be */
	struct lanes  *lanes;   /* thread.c: what their threads do; NULL: they have none */

	/* control.c, status.c: who looks on; NULL: nobody may */
	struct control *control;
	struct ledger  *ledger;

	/*
	 * signals.c, here because the master writes to the first few at each death of a child, and has
	 * this page in its hands anyway.
	 */
	struct tend_signal signals[SERVER_SIGNALS_MAX];
	size_t             signal_count;

	/* server.c: the description and the configuration */
	char  *hot; /* a page, which begins with the parent's loop: see server_hot() */
	size_t hot_used;
	struct lukewarm *lukewarm; /* what did not fit there */
	const struct tend_service *service;
	const struct tend_hooks   *hooks;
	struct error               error;
	struct options            *options;
	struct settings            settings;
	const char *const         *arguments;
	char                     **leftovers;
	int                        leftover_count;
	char                      *name;
	bool                       configured; /* tend_server_configure() succeeded */
	bool                       in_configure_hook;
	bool                       strict; /* an unknown key of the conf file is an error */

	/* lifecycle.c: what the phases of the start have made */
	const struct personality *personality;
	void                     *personality_state; /* of the personality's loop, while it runs */
	struct logger             log;
	struct access            *access; /* NULL: everybody may come */
	struct identity           identity;
	struct socket_rights      socket_rights; /* socket_rights.c */
	bool                      socket_rights_asked;
	char                     *directory; /* directory.c: absolute; NULL: that of the start */
	char                     *came_from; /* where it was before it went there; NULL: not known */
	struct pidfile            pidfile;
	struct daemonize          daemon;
	struct endpoints          endpoints;
	struct listener          *listeners;
	size_t                    listener_count;
	struct conn_limits        limits;
	struct policy             policy;
	struct lookups            lookups; /* lookup.c */
	struct tracing            tracing; /* trace.c */
	bool                      running;
	bool                      bound;   /* the phase of binding is over */
	bool                      closing; /* the hook `stopping` has run */
	bool                      end_untold; /* or has not: no hook tells of this end */
	bool                      caller_told; /* of the error: main() need not say it again */

	/* restart.c, inherit.c */
	struct restart *restart;

	/* supervise.c */
	struct supervise *supervise;

	/* signals.c */
	int                passthrough[SERVER_SIGNALS_MAX];
	size_t             passthrough_count;
	struct sigaction   pipe_before, xfsz_before; /* what they did before the server ran */
};

/* ---- server.c ---- */

/* Writes the sentence into srv->error. */
int server_fail(struct tend_server *srv, int status, int code, const char *format, ...)
	TEND_PRINTF(4, 5);

/* A loop on the poller that the option poller names. 0 or -errno, with a sentence. */
int server_new_loop(struct tend_server *srv);

/*
 * Zeroed room in the server's hot page, behind its loop, for what the parent writes to at each fork and
 * death of a child: what is written together is then copied together. When the page is full it is room of its
 * own. NULL: out of memory. All of it is given back together, at the end of a run.
 */
void *server_hot(struct tend_server *srv, size_t size);
void  server_cool(struct tend_server *srv);

/* Reports a failure that ends the server: the fatal hook, then a line at level 0 (NS-LOG-22). */
void server_fatal(struct tend_server *srv);

/* This process ends after the clients that it has, unless it was told to end sooner. Any thread. */
void server_retire(struct tend_server *srv);

/* ---- lifecycle.c ---- */

/* Checks all that can be known before anything is bound or detached (NS-FLW-05). */
int lifecycle_check(struct tend_server *srv);

/* After an option was changed at work: takes over what can be changed then. */
int lifecycle_refresh(struct tend_server *srv);

/* The whole life: every phase, the loop, the close. */
int lifecycle_run(struct tend_server *srv);

/* The first step of every end: the hook `stopping` and the closing line, once. */
void lifecycle_begin_close(struct tend_server *srv);

/* ---- bind.c ---- */

/* Makes a listener of each endpoint, or ends with a sentence. */
int lifecycle_bind(struct tend_server *srv);

/* Closes the listeners: new clients are refused from now on, or taken by a successor. */
void lifecycle_close_listeners(struct tend_server *srv);

/* ---- signals.c ---- */

/* Parent: every signal of the table becomes an event of srv->loop. */
int signals_open_parent(struct tend_server *srv);
/* Parent: tells the log which signals are passed on. */
void signals_announce_passthrough(struct tend_server *srv);
/* Worker: the same with a worker's table, on the worker's own loop. */
int signals_open_worker(struct tend_server *srv);
/* Parent: dispositions as they were before. */
void signals_close(struct tend_server *srv);
/* Before another image is executed, all signals blocked: those that came but were not delivered yet
   wait for it. */
void signals_keep(struct tend_server *srv);
/* In a child, all signals blocked: nothing of the parent's handling is left. */
void signals_reset_child(const struct tend_server *srv, bool will_hear);
/* Of TERM and INT the second ends the process at once, for those who have no master. */
void signals_make_second_final(void);
/* A client that is gone is an error of a write, and so is a log that may not grow; neither is the end
   of a process (NS-CIO-10). */
void signals_ignore_pipe(struct tend_server *srv);
void signals_restore_pipe(struct tend_server *srv);
/* Collects what has come without waiting and without running hooks; true when told to stop now. */
bool signals_stop_requested(struct tend_server *srv);
/* True when what was collected says that this process is to end after the client that it has. */
bool signals_retire_requested(struct tend_server *srv);
/* By the word of the option hup. */
enum hup_means signals_hup_means(const char *word);
/* Number of a name with or without SIG, any case; 0: unknown. */
int signals_number(const char *name);
const char *signals_name(int signo);
/* Parent: does what the signal would do, as if it had come. */
void signals_act(struct tend_server *srv, int signo);

#endif
