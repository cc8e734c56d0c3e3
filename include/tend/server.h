/*
 * The running server. tend_serve() and tend_main() are enough for most; under them stands a ladder
 * of four steps: new, configure, run, free.
 */
#ifndef TEND_SERVER_H
#define TEND_SERVER_H

#include <stdio.h>

#include <tend/base.h>
#include <tend/conn.h>
#include <tend/service.h>

TEND_BEGIN_DECLS

/* ---- whole servers ---- */

/*
 * Runs the service until it is told to stop. Reads no command line. An error goes to standard error
 * as one line. Returns an exit status for main(): 0, or one of sysexits.h.
 */
TEND_API int tend_serve(const struct tend_service *service);

/*
 * The same with a command line: every option of tend and of the service, in all spellings of
 * Net::Server, and --help, --version, --check (check the configuration and end) and --dump (print
 * each option with its origin and end).
 */
TEND_API int tend_main(int argc, char **argv, const struct tend_service *service);

/* ---- the steps ---- */

/*
 * Makes a server from a service, which is borrowed until tend_server_free(). NULL when out of
 * memory; every call below carries a NULL server and answers -ENOMEM.
 */
TEND_API struct tend_server *tend_server_new(const struct tend_service *service);

/*
 * Reads the options from all sources, strongest first: service.config and `configure`, the command
 * line, tend_server_arguments(), the conf file, service.defaults, built-in (NS-OPT-01); then checks
 * them all. `argv` may be NULL. 0 or -errno; tend_server_error() has the sentence.
 */
TEND_API int tend_server_configure(struct tend_server *srv, int argc, char **argv);

/* Key and value pairs, NULL-terminated, as of Net::Server's run(); before configure. Borrowed. */
TEND_API void tend_server_arguments(struct tend_server *srv, const char *const *pairs);

/*
 * Binds, drops privileges, loops until told to stop, closes. Returns in the process that called it
 * and in no other: children end by themselves. 0 or -errno.
 * Context: a process without other threads. User, root, working directory and, for a moment, the mask
 * for new files are the process's.
 */
TEND_API int tend_server_run(struct tend_server *srv);

/* Checks all that can be checked without binding: endpoints, users, paths, patterns. */
TEND_API int tend_server_check(struct tend_server *srv);

TEND_API void tend_server_free(struct tend_server *srv);

/* The sentence of the last failure, "" when there was none; valid until the next call. */
TEND_API const char *tend_server_error(const struct tend_server *srv);

/* The exit status of sysexits.h that fits the last failure, 0 when there was none. */
TEND_API int tend_server_exit_status(const struct tend_server *srv);

/*
 * For hooks that return int: records why and returns `code`, a negative errno, whose meaning is
 * added to the sentence, except for -EINVAL: the value that is wrong is the sentence's to name.
 * `return tend_server_fail(srv, -errno, "cannot open %s", path);`
 */
TEND_API int tend_server_fail(struct tend_server *srv, int code, const char *format, ...)
	TEND_PRINTF(3, 4);

/* ---- configuration ---- */

/*
 * Sets an option by name, as text. In `configure` the value is as strong as one given in code;
 * given several times for a list, it adds up. Later it takes effect when the server next looks at
 * the option (NS-GEN-03). -ENOENT: no such option; -EINVAL: not a value for it; -EBUSY: the start has
 * used it already (the log file in `configured`, ports and user from `bound` on).
 */
TEND_API int tend_server_set(struct tend_server *srv, const char *name, const char *value);

/* The value of an option as text, lists joined with ", ". NULL: no such option. Valid until the
   next call of it or of tend_server_set(). */
TEND_API const char *tend_server_get(struct tend_server *srv, const char *name);

/* Arguments of the command line that were no options, in order; ends with NULL. */
TEND_API char **tend_server_leftovers(struct tend_server *srv, int *count);

/* One line for each option: name, value and where it came from. */
TEND_API void tend_server_dump(struct tend_server *srv, FILE *out);

/* The options of tend and of the service with their help. */
TEND_API void tend_server_usage(struct tend_server *srv, FILE *out);

/* ---- a server at work ---- */

/*
 * Tells the server to stop now, as TERM does. In a child: asks the parent (unless the option
 * no_close_by_child forbids it) and ends this child after the current connection, whose output still
 * leaves; further input is not waited for.
 * Context: any process, from any hook.
 */
TEND_API void tend_server_stop(struct tend_server *srv);

/* In a child: end after the current connection; the parent starts another if it wants one. */
TEND_API void tend_worker_retire(struct tend_server *srv);

/*
 * In a child: reports on the board and in the title that it is busy, or waiting, as if a connection
 * had begun or ended; for handlers that do work of their own. Returns 1, or 0 in the parent, where
 * they do nothing (NW-58). Neither do they where a worker has many clients (Multiplex, Thread).
 */
TEND_API int tend_worker_busy(struct tend_server *srv);
TEND_API int tend_worker_idle(struct tend_server *srv);

/*
 * The pid of child `i` of the parent, in no order; 0 when there are not so many, and in children.
 * Dequeue children are among them.
 */
TEND_API pid_t tend_child_pid(const struct tend_server *srv, unsigned i);

/* Parent: sends a signal to every child. Returns to how many; 0 in children (NW-88). */
TEND_API unsigned tend_signal_children(struct tend_server *srv, int signo);

/*
 * Parent: sends `signo` to every child, gives them `grace` seconds and kills who is left. Returns
 * when no child is left; the server starts others if it goes on. 0 or -errno (NW-89).
 * Context: hooks of the parent other than child_born and child_died.
 */
TEND_API int tend_stop_children(struct tend_server *srv, int signo, double grace);

TEND_API const char *tend_server_name(const struct tend_server *srv);
TEND_API void       *tend_server_data(const struct tend_server *srv);
TEND_API bool        tend_server_is_child(const struct tend_server *srv);
TEND_API pid_t       tend_server_parent(const struct tend_server *srv);

/*
 * The loop of this process, for watches and timers of your own; NULL where it has none (a child of Fork,
 * before the start). A worker's, from `child_start` on, is another than its parent's. Callbacks run
 * between clients where one is served after the other, and among them under Multiplex.
 */
TEND_API struct tend_loop *tend_server_loop(struct tend_server *srv);

/* Connections handled by this process (NS-GEN-07). */
TEND_API unsigned long tend_server_requests(const struct tend_server *srv);

/* Live figures from the board, readable in every process. Dequeue children are not counted. */
TEND_API unsigned      tend_server_children(const struct tend_server *srv);
TEND_API unsigned      tend_server_busy(const struct tend_server *srv);
TEND_API unsigned long tend_server_served(const struct tend_server *srv);

/* Clients refused by a limit, of the whole server (of TEND_REFUSAL_SERVERS: by this process). */
TEND_API unsigned long tend_server_refused(const struct tend_server *srv, enum tend_refusal why);

/* The endpoints that are bound, from the hook `bound` on. */
struct tend_endpoint {
	const char *proto; /* upper case */
	const char *host;  /* "" for unix */
	const char *service; /* the port, as bound, or the path */
	unsigned    port;
	int         fd;
};

/* Fills `*into` for endpoint `i`; false when there are not so many. */
TEND_API bool tend_server_endpoint(struct tend_server *srv, unsigned i, struct tend_endpoint *into);

/*
 * From a child to the hook `child_spoke` of the parent; option child_communication. One message, at
 * most 4096 bytes and at least one. 0; -ENOTCONN: the option is off or this is the parent; -EAGAIN:
 * the parent has not read enough yet; -EMSGSIZE, -EINVAL.
 */
TEND_API int tend_tell_parent(struct tend_server *srv, const void *data, size_t size);

TEND_END_DECLS

#endif
