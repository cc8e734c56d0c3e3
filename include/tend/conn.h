/*
 * A connection: one client, with buffers, deadlines and addresses, and the same calls whatever the
 * transport (tcp, unix, udp and unixdgram, later tls, or your own: tend/transport.h) and whatever the
 * personality.
 *
 * In a blocking personality (Single, INET, Fork, PreForkSimple, PreFork) a call that cannot go on
 * waits until the connection's deadline and then returns -ETIMEDOUT. Output is buffered: it leaves
 * when the buffer is full, before a call waits for input, on tend_flush() and when the handler
 * returns.
 *
 * Errors are negative errno values. These are common to all calls that read or write:
 *	-ETIMEDOUT   a deadline passed (options first_byte_timeout, idle_timeout, connection_timeout)
 *	-ECANCELED   the server was told to stop now; finish and return
 *	-ECONNRESET, -EPIPE   the client is gone
 *	-ENOTCONN    the connection was closed by tend_close() or tend_abort() before
 *	-EBUSY       of those that read: another handler's connection, in a personality with fibers
 * Calls that read tell once that the server stops or that connection_timeout has passed, and see the
 * end of input after that; -ETIMEDOUT of the others they tell again: the client may still wake up.
 *
 * Context, for all of this header: the process or thread that serves the connection, inside the
 * hooks that are handed it. A connection is freed after `closed` has run.
 */
#ifndef TEND_CONN_H
#define TEND_CONN_H

#include <stdio.h>
#include <sys/socket.h>

#include <tend/base.h>

TEND_BEGIN_DECLS

/* ---- input ---- */

/*
 * Reads what is there, at most `size` bytes, waiting for the first. Returns the count, 0 when the
 * client has finished sending, or -errno.
 */
TEND_API ssize_t tend_read(struct tend_conn *c, void *into, size_t size);

/*
 * The same without a copy: stores where the bytes lie that have come, at most `most` of them (0, or more
 * than 64 KiB: 64 KiB), waiting for the first. They are NUL-terminated, belong to the connection and
 * are valid until the next call that reads, and in an evented hook until it returns. For handlers that
 * pass on what they read: in Multiplex many of them take turns on one piece of memory. Returns the
 * count, 0 when the client has finished sending, or -errno, with `*data` untouched.
 */
TEND_API ssize_t tend_take(struct tend_conn *c, char **data, size_t most);

/*
 * Reads a line. Stores a pointer to its text, NUL-terminated and without "\n" or "\r\n", and
 * returns its length plus one: 1 for an empty line, 0 when the client has finished sending. A last
 * line that lacks its newline counts as a line. Binary zeros are kept; the length tells.
 * The text belongs to the connection and is valid as with tend_take().
 *
 * -EMSGSIZE: the line is longer than the option max_line (default 64 KiB) allows. It is not
 * consumed: further calls say the same until tend_read() takes the bytes.
 * -ETIMEDOUT: the line was not complete within idle_timeout, however many pieces of it came.
 */
TEND_API ssize_t tend_getline(struct tend_conn *c, char **line);

/* Why tend_read_until() returned. */
enum tend_until {
	TEND_UNTIL_ERROR,
	TEND_UNTIL_TERMINATOR, /* 1, as in Net::Server's read_until (NS-CIO-08) */
	TEND_UNTIL_LIMIT,      /* 2 */
	TEND_UNTIL_END,        /* the client finished sending first (NS-CIO-09) */
};

/*
 * Reads up to and including `terminator`, or until `limit` bytes are there, whichever is first.
 * `terminator` may be NULL, or `limit` 0 for the option max_line, but not both (-EINVAL). The data
 * is NUL-terminated, belongs to the connection and is valid as with tend_take().
 * Returns its length (0 is possible only at the end of input) or -errno; `why` may be NULL.
 */
TEND_API ssize_t tend_read_until(struct tend_conn *c, const char *terminator, size_t limit,
	char **data, enum tend_until *why);

/*
 * Puts bytes in front of the input: they are what is read next. Copies. -ENOMEM, -ENOTCONN.
 */
TEND_API int tend_unread(struct tend_conn *c, const void *data, size_t size);

/* ---- output ---- */

/* Sends bytes. Returns `size`, all of them accepted, or -errno. */
TEND_API ssize_t tend_write(struct tend_conn *c, const void *data, size_t size);

/* Sends formatted text. Returns the bytes it came to, or -errno (-EINVAL: a bad format). */
TEND_API ssize_t tend_printf(struct tend_conn *c, const char *format, ...) TEND_PRINTF(2, 3);
TEND_API ssize_t tend_vprintf(struct tend_conn *c, const char *format, va_list args)
	TEND_PRINTF(2, 0);

/* Hands all buffered output to the kernel, waiting as long as idle_timeout allows. 0 or -errno. */
TEND_API int tend_flush(struct tend_conn *c);

/*
 * Sends bytes that are not copied: they stay yours, unchanged, until `release` (may be NULL) is
 * called with `arg`, which is when they have been sent or never will be, also when this call fails.
 * 0 or -errno; -EBUSY: the connection's own handler is in the middle of a large tend_write().
 */
TEND_API int tend_conn_give(struct tend_conn *c, const void *data, size_t size,
	void (*release)(void *arg), void *arg);

/* `status`: 0, or -ECANCELED when the output before will never leave. */
typedef void (*tend_written_fn)(struct tend_conn *c, void *arg, int status);
/*
 * Runs fn once all output before it is with the kernel; at once when there is none. It may write,
 * which goes behind everything queued, and may close; it may free the loop in a turn of that loop
 * only. One that it adds runs in the next turn, where a process has many clients. 0 or -errno, as
 * tend_conn_give().
 */
TEND_API int tend_conn_after_write(struct tend_conn *c, tend_written_fn fn, void *arg);

/*
 * Flushes and ends the output: the client reads end of file. Input goes on. 0 or -errno.
 */
TEND_API int tend_shutdown(struct tend_conn *c);

/*
 * Flushes and closes. If the client may still be sending, waits (at most linger_timeout) for it to
 * stop, so that the last answer is not lost to a reset. A handler need not call it: returning does.
 */
TEND_API void tend_close(struct tend_conn *c);

/* Closes at once; unsent output is lost and the client of a TCP connection sees a reset. */
TEND_API void tend_abort(struct tend_conn *c);

/*
 * Says that serving this client failed: writes a warning with the client's address, the sentence and
 * the meaning of `code`, a negative errno, to the log. The connection goes on until the handler
 * returns; a child that has no other client ends with EX_SOFTWARE (NW-117). Returns `code`.
 */
TEND_API int tend_conn_fail(struct tend_conn *c, int code, const char *format, ...)
	TEND_PRINTF(3, 4);

/* ---- time ---- */

/*
 * Sets how long a call may wait for this client, in seconds; TEND_NONE is for ever, 0 restores
 * the option idle_timeout.
 */
TEND_API void tend_set_timeout(struct tend_conn *c, double seconds);

/* Lets the connection end `seconds` from now whatever happens; TEND_NONE: no such limit. */
TEND_API void tend_set_deadline(struct tend_conn *c, double seconds);

/*
 * Waits until there is input to read, or end of file. Returns 1, or 0 when `seconds` have passed,
 * or -errno. Flushes output first.
 */
TEND_API int tend_wait_readable(struct tend_conn *c, double seconds);

/*
 * Sleeps without holding up other clients where the personality has several. 0 or -ECANCELED. With
 * 0 seconds it only shows that the handler is well (option busy_timeout).
 */
TEND_API int tend_sleep(struct tend_conn *c, double seconds);

/*
 * Connects to another server: "192.0.2.1:80", "[::1]:80", "/run/x.sock". Waits, at most `seconds`
 * (TEND_NONE: until the deadline of `c`), as all calls of the handler of `c` do. The new connection
 * is used with the same calls and limits, by this handler alone; it is closed with `c` at the
 * latest, and its memory lives as long. 0, -EINVAL: no such address, -ETIMEDOUT, -ECANCELED, or
 * -errno of the system. -EAGAIN in an evented hook: use tend_conn_connect() there.
 */
TEND_API int tend_connect(struct tend_conn *c, const char *where, double seconds,
	struct tend_conn **into);

/* ---- who and where ---- */

/*
 * Addresses as text, static for the life of the connection: "192.0.2.1:4711", "[::1]:4711",
 * "unix:/run/x.sock", "unix:" for a client without a path. Never NULL.
 */
TEND_API const char *tend_peer(struct tend_conn *c);
TEND_API const char *tend_local(struct tend_conn *c);

/* The parts. The host of a unix client is "", its port 0. */
TEND_API const char *tend_peer_host(struct tend_conn *c);
TEND_API unsigned    tend_peer_port(struct tend_conn *c);
TEND_API const char *tend_local_host(struct tend_conn *c);
TEND_API unsigned    tend_local_port(struct tend_conn *c);

/*
 * The name of the peer's host, which the options reverse_lookups and double_reverse_lookups let the
 * server find out; NULL when it is not known, or not confirmed where it has to be. Letters, digits,
 * hyphens, underscores and dots, never what could be taken for an address. Known from `accepted` on
 * (with accepted_in_parent from `allow` on), until `closed` has run. Without double lookups it is
 * what the owner of the address says, and not to be trusted.
 */
TEND_API const char *tend_peer_name(struct tend_conn *c);

/* The peer's address itself. Returns its length, 0 when there is none. */
TEND_API socklen_t tend_peer_sockaddr(struct tend_conn *c, struct sockaddr_storage *into);

/* The protocol of the listener, upper case: "TCP", "UNIX", ... */
TEND_API const char *tend_conn_proto(struct tend_conn *c);

/* The port or path that the listener was configured with (NS-BND-11). */
TEND_API const char *tend_conn_service(struct tend_conn *c);

TEND_API struct tend_server *tend_conn_server(struct tend_conn *c);

/* Why a client is refused: which limit, and the option that moves it. */
enum tend_refusal {
	TEND_REFUSAL_NONE,
	TEND_REFUSAL_SERVERS,     /* max_servers, where the option full is "refuse" */
	TEND_REFUSAL_CONNECTIONS, /* max_connections */
	TEND_REFUSAL_SOURCE,      /* max_per_source */
	TEND_REFUSAL_RATE,        /* source_rate, and source_hold after it */
	TEND_REFUSALS             /* how many there are; more may come */
};

/* In the hook `full`, and in `closed` after it: why. TEND_REFUSAL_NONE: it was not refused. */
TEND_API enum tend_refusal tend_conn_refusal(const struct tend_conn *c);

/* The descriptor of the socket; it stays the connection's own. -1 after tend_close(). */
TEND_API int tend_conn_fd(struct tend_conn *c);

/*
 * A pointer of yours that goes with the connection. `release` (may be NULL) is called with it when
 * it is replaced and after `closed` has run.
 */
TEND_API void  tend_conn_set_data(struct tend_conn *c, void *data, void (*release)(void *));
TEND_API void *tend_conn_data(struct tend_conn *c);

/* ---- other ways to read and write ---- */

/*
 * Two standard streams over the connection, through its buffers and its transport, so that fgets()
 * and fprintf() obey its deadlines. They belong to the connection and are flushed and closed with
 * it; do not fclose() them. 0 or -ENOMEM. Output may be mixed with that of the calls above and
 * leaves in the order of writing; fflush() sends it, as tend_flush() does. Input that a stream has
 * read ahead is the stream's.
 */
TEND_API int tend_conn_stdio(struct tend_conn *c, FILE **in, FILE **out);

/* How tend_conn_exec() runs a program. All zero is a good default. */
struct tend_exec {
	char *const *environment; /* "NAME=value", NULL-terminated; NULL: the server's own */
	bool         stderr_to_log; /* standard error stays the server's instead of the client */
	double       half_close_timeout; /* how long a program may run on without sending after
	                                    the client has finished sending, seconds; 0: 10 */
	double       kill_timeout; /* between TERM and KILL once the client is gone; 0: 2 */
	void        *reserved[4];
};

/*
 * Runs a program with the client as its standard input, output and error, as inetd does, in a
 * process group of its own and with the environment of UCSPI-TCP or UCSPI-UNIX (PROTO, TCPREMOTEIP,
 * TCPREMOTEHOST where the name is known, ...) added. Nothing else of the server is inherited: no descriptor, no signal disposition.
 * Waits until the program ends; when the client leaves, the connection's deadline comes or the
 * server stops, the program is sent TERM and then KILL. Returns the wait status (as of waitpid()) or
 * -errno: -ENOENT or -EACCES when `argv[0]`, searched for in PATH, cannot be run, -EAGAIN or -ENOMEM
 * when no process can be had, -EINVAL when input was read that the program would miss, or when the
 * transport's bytes are not the client's (TLS). `options` may be NULL.
 */
TEND_API int tend_conn_exec(struct tend_conn *c, char *const argv[], const struct tend_exec *options);

TEND_END_DECLS

#endif
