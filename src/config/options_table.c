/*
 * The table of options. A row here is the whole of an option's definition: the parsers, the checks,
 * --help, `dump`, the manual and shell completion are made from it. Rows stand in the order in
 * which all of these show them.
 */
#include "config/options_table.h"

#include <limits.h>

#include "config.h"
#include "config/settings.h"

#define SECONDS_MAX 1e9
#define SERVERS_MAX 100000
#define CONNECTIONS_MAX 1000000
#define LINE_MAX_BYTES (16 * 1024 * 1024)
#define MEMORY_MAX_MIB (16 * 1024 * 1024)

/* An option with one value: its type is that of the member of struct tend_config. */
#define ONE(member)                                                                           \
	.type = _Generic(((struct tend_config *)0)->member,                                   \
		const char *: TEND_OPTION_TEXT,                                               \
		bool: TEND_OPTION_BOOL,                                                       \
		int: TEND_OPTION_INT,                                                         \
		double: TEND_OPTION_DOUBLE),                                                  \
	.code = offsetof(struct tend_config, member),                                         \
	.setting = offsetof(struct settings, value.member)

/* One with several, text in the code and a list in the settings. */
#define SEVERAL(member, list)                                                                 \
	.type = TEND_OPTION_LIST, .code = offsetof(struct tend_config, member),               \
	.setting = offsetof(struct settings, list)

#define COUNT(member, from) ONE(member), .min = (from), .max = INT_MAX, .unit = "NUMBER"
#define SERVERS(member, from) ONE(member), .min = (from), .max = SERVERS_MAX, .unit = "NUMBER"
#define SECONDS(member) ONE(member), .min = 0, .max = SECONDS_MAX, .unit = "SECONDS"

#define RESERVED(why)                                                                         \
	.type = TEND_OPTION_TEXT, .flags = ROW_RESERVED, .code = ROW_NOWHERE,                 \
	.setting = ROW_NOWHERE, .reason = (why)
#define IGNORED(note)                                                                         \
	.type = TEND_OPTION_TEXT, .flags = ROW_IGNORED, .code = ROW_NOWHERE,                  \
	.setting = ROW_NOWHERE, .reason = (note)

/* Those that were built, beside auto. */
#if HAVE_EPOLL_CREATE1
#define POLLER_WORDS "epoll", "poll"
#define POLLER_UNIT "auto|epoll|poll"
#elif HAVE_KQUEUE
#define POLLER_WORDS "kqueue", "poll"
#define POLLER_UNIT "auto|kqueue|poll"
#else
#define POLLER_WORDS "poll"
#define POLLER_UNIT "auto|poll"
#endif

#define NO_UDP "options of datagram sockets are not part of this build"
#define NO_DATAGRAM "a type of Unix sockets is not part of this build; proto unixdgram is"
#define NO_LOG4PERL                                                                           \
	"logging through Log4perl is not part of this build; a program may take its lines "    \
	"with the hook `log`"
#define NO_TLS "TLS is not part of this build"
#define NO_HTTP "HTTP is not part of this build"

static const char *const reverse_words[] = { "0", "no", "false", "off", "1", "yes", "true", "on",
	"double", "double-detail", "double-debug", "double-autofail", "2", "2-detail", "2-debug",
	"2-autofail", "", NULL };
static const char *const double_words[] = { "0", "no", "false", "off", "1", "yes", "true", "on",
	"detail", "debug", "autofail", "", NULL };
static const char *const serialize_words[] = { "flock", "semaphore", "pipe", "none", NULL };
static const char *const poller_words[] = { "auto", POLLER_WORDS, NULL };
static const char *const full_words[] = { "queue", "refuse", NULL };
static const char *const growth_words[] = { "spare", "tenth", NULL };
static const char *const child_stop_words[] = { "now", "finish", NULL };
static const char *const hup_words[] = { "restart", "hook", "workers", "ignore", NULL };
static const char *const strangers_words[] = { "reap", "leave", NULL };
static const char *const stream_words[] = { "sock_stream", "stream", "1", NULL };
static const char *const format_words[] = { "text", "json", "logfmt", NULL };
/* A log backend of Net::Server; as the name of a file it would surprise. */
static const char *const log4perl_names[] = { "Log::Log4perl", "Net::Server::Log::Log::Log4perl",
	NULL };

const struct row option_rows[] = {
	/* where to listen */
	{ .name = "port", SEVERAL(port, port), .flags = ROW_CODE_SPLIT,
		.group = GROUP_WHERE_TO_LISTEN, .unit = "[HOST:]PORT[/PROTO][/IPVn]",
		.standard = "what the server offers, else 20203",
		.help = "Where to listen: a port number, a service name or a path, with host, "
			"protocol and IP version where they differ from the options below; 0: the "
			"kernel chooses. May be given several times." },
	{ .name = "host", SEVERAL(host, host), .flags = ROW_CODE_SPLIT,
		.group = GROUP_WHERE_TO_LISTEN, .unit = "HOST", .value = "*",
		.help = "Address or name to listen on, * for all. Given several times, the first "
			"goes with the first port and so on; the last serves the rest." },
	{ .name = "proto", SEVERAL(proto, proto), .flags = ROW_CODE_SPLIT,
		.group = GROUP_WHERE_TO_LISTEN, .unit = "PROTO", .value = "tcp",
		.help = "Protocol of ports that do not name one: tcp or unix. Pairs with port as "
			"host does." },
	{ .name = "ipv", SEVERAL(ipv, ipv), .flags = ROW_CODE_SPLIT,
		.group = GROUP_WHERE_TO_LISTEN, .unit = "4|6|46|*", .value = "*",
		.standard = "the environment's IPV, else *",
		.help = "IP versions to listen with; * takes what the host resolves to. Pairs with "
			"port as host does." },
	{ .name = "listen", COUNT(listen, 0), .group = GROUP_WHERE_TO_LISTEN, .value = "0",
		.help = "Clients that may wait in the kernel's queue, per port; 0: as many as the "
			"system allows." },
	{ .name = "socket_mode", ONE(socket_mode), .group = GROUP_WHERE_TO_LISTEN,
		.unit = "MODE", .standard = "what the umask leaves",
		.help = "Mode of the files of Unix sockets, in octal digits, as 0660: who may write to "
			"one may connect to it." },
	{ .name = "socket_user", ONE(socket_user), .group = GROUP_WHERE_TO_LISTEN,
		.unit = "USER", .standard = "the user that the server becomes",
		.help = "Name or number of the user whom files of Unix sockets belong to." },
	{ .name = "socket_group", ONE(socket_group), .group = GROUP_WHERE_TO_LISTEN,
		.unit = "GROUP", .standard = "the group that the server becomes",
		.help = "Name or number of their group." },
	{ .name = "multi_port", ONE(multi_port), .group = GROUP_WHERE_TO_LISTEN,
		.help = "Has no effect: no accept ever blocks, with a single port either." },

	/* how to serve */
	{ .name = "server_type", .alias = "personality", SEVERAL(personality, server_type),
		.flags = ROW_SPLIT, .group = GROUP_HOW_TO_SERVE, .unit = "NAME", .value = "Fork",
		.help = "How clients are handled: Single, Fork, PreForkSimple, PreFork, INET, Multiplex or "
			"Thread. Of several names the first that can be had is used." },
	{ .name = "max_servers", SERVERS(max_servers, 1),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE, .value = "0",
		.standard = "256 for Fork and Thread, 50 for PreFork and PreForkSimple",
		.help = "Child processes that serve at the same time, at most; Thread: threads of each "
			"worker." },
	{ .name = "min_servers", SERVERS(min_servers, 0),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.standard = "5, but not above max_servers",
		.help = "PreFork: workers that are there at least." },
	{ .name = "min_spare_servers", SERVERS(min_spare_servers, 0),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.standard = "2, but not above min_servers and max_spare_servers",
		.help = "PreFork: start workers while fewer than this wait for clients." },
	{ .name = "max_spare_servers", SERVERS(max_spare_servers, 0),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.standard = "10, but below max_servers",
		.help = "PreFork: dismiss workers while more than this wait for clients." },
	{ .name = "max_requests", COUNT(max_requests, 0),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_HOW_TO_SERVE,
		.value = "1000",
		.help = "Connections that a worker serves before it is replaced; 0: no limit." },
	{ .name = "max_requests_jitter", COUNT(max_requests_jitter, 0),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_HOW_TO_SERVE, .value = "0",
		.help = "Connections by which max_requests may differ from worker to worker, so "
			"that they are not all replaced at once." },
	{ .name = "max_worker_age", SECONDS(max_worker_age),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE, .value = "0",
		.help = "Seconds after which a worker is replaced, up to a tenth more from worker to "
			"worker; 0: no limit." },
	{ .name = "max_worker_memory", ONE(max_worker_memory), .min = 0, .max = MEMORY_MAX_MIB,
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE, .unit = "MIB", .value = "0",
		.help = "Memory that a worker may have for itself, resident and neither of files nor "
			"shared, in MiB, before it is replaced; looked at every 5 seconds. 0: no "
			"limit." },
	{ .name = "check_for_dead", SECONDS(check_for_dead),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "60",
		.help = "Seconds between checks that every child still exists; 0: never." },
	{ .name = "busy_timeout", SECONDS(busy_timeout), .group = GROUP_HOW_TO_SERVE, .value = "0",
		.help = "Seconds that a child may work for its client without once waiting for it "
			"before it is ended, with TERM and then KILL; 0: no limit." },
	{ .name = "check_for_waiting", SECONDS(check_for_waiting),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "10",
		.help = "PreFork: seconds between looks for spare workers to dismiss; 0: never." },
	{ .name = "check_for_spawn", SECONDS(check_for_spawn),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "30",
		.help = "PreFork: seconds between recounts of the workers; 0: never." },
	{ .name = "min_child_ttl", SECONDS(min_child_ttl),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "10",
		.help = "PreFork: seconds after the last start before spare workers are "
			"dismissed." },
	{ .name = "idle_to_minimum", SECONDS(idle_to_minimum),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "30",
		.help = "PreFork: seconds without a client after which the pool shrinks to its "
			"minimum; Thread: after which a thread that waits in vain ends, all but one; "
			"0: never." },
	{ .name = "dismiss_interval", SECONDS(dismiss_interval),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "10",
		.help = "PreFork: seconds between two dismissals of spare workers, at least." },
	{ .name = "idle_period", SECONDS(idle_period),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_HOW_TO_SERVE, .value = "10",
		.help = "Seconds without anything to do after which the idle hooks run; 0: "
			"never." },
	{ .name = "child_communication", ONE(child_communication), .group = GROUP_HOW_TO_SERVE,
		.help = "Open a channel from each worker to the parent." },
	{ .name = "workers", ONE(workers), .group = GROUP_HOW_TO_SERVE, .unit = "NUMBER|auto",
		.value = "1",
		.help = "Multiplex, Thread: processes that share the listeners, each with many "
			"clients; auto: one for each processor." },
	{ .name = "poller", ONE(poller), .group = GROUP_HOW_TO_SERVE, .unit = POLLER_UNIT,
		.value = "auto", .words = poller_words,
		.help = "How processes ask the kernel for events; auto takes the best there is: "
			"epoll on Linux, kqueue on a BSD or macOS, else poll." },
	{ .name = "fiber_stack", ONE(fiber_stack), .min = 32768, .max = 1 << 30,
		.group = GROUP_HOW_TO_SERVE, .unit = "BYTES", .value = "262144",
		.help = "Multiplex: the stack of a handler that is written with blocking calls. "
			"Memory is taken only for what is used of it." },
	{ .name = "defer_accept", ONE(defer_accept), .group = GROUP_HOW_TO_SERVE,
		.help = "Serve a client from when it has sent something on: for protocols in which "
			"the client speaks first. Clients that are silent cost next to nothing." },
	{ .name = "stall_warning", SECONDS(stall_warning), .group = GROUP_HOW_TO_SERVE,
		.value = "1",
		.help = "Multiplex: warn of a handler that holds up all other clients for so many "
			"seconds; 0: never." },
	{ .name = "serialize", ONE(serialize), .group = GROUP_HOW_TO_SERVE,
		.unit = "flock|semaphore|pipe|none", .value = "none", .words = serialize_words,
		.help = "How workers take turns at accepting; none leaves it to the kernel." },
	{ .name = "lock_file", ONE(lock_file), .group = GROUP_HOW_TO_SERVE, .unit = "FILE",
		.standard = "no file", .help = "The file that serialize flock locks." },
	{ .name = "max_dequeue", SERVERS(max_dequeue, 0), .group = GROUP_HOW_TO_SERVE, .value = "0",
		.help = "Dequeue children that run at the same time, at most; 0: none." },
	{ .name = "check_for_dequeue", SECONDS(check_for_dequeue),
		.flags = ROW_LIVE, .group = GROUP_HOW_TO_SERVE,
		.value = "0", .help = "Seconds between starts of a dequeue child; 0: never." },
	{ .name = "sig_passthrough", SEVERAL(sig_passthrough, sig_passthrough), .flags = ROW_SPLIT,
		.group = GROUP_HOW_TO_SERVE, .unit = "SIGNAL[,SIGNAL]",
		.help = "Signals that the parent hands on to every child." },
	{ .name = "no_close_by_child", ONE(no_close_by_child),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_HOW_TO_SERVE,
		.help = "A child may not stop the server." },
	{ .name = "no_client_stdout", ONE(no_client_stdout), .group = GROUP_HOW_TO_SERVE,
		.help = "Leave standard input and output alone instead of binding them to the "
			"client." },

	/* what a client may do */
	{ .name = "handshake_timeout", SECONDS(handshake_timeout),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO, .value = "10",
		.help = "Seconds that a TLS handshake may take; 0: no limit." },
	{ .name = "first_byte_timeout", SECONDS(first_byte_timeout),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO, .value = "60",
		.help = "Seconds that a new client may be silent; 0: no limit." },
	{ .name = "idle_timeout", SECONDS(idle_timeout),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO,
		.value = "300",
		.help = "Seconds that a client may neither send nor take anything while it is "
			"waited for; 0: no limit." },
	{ .name = "connection_timeout", SECONDS(connection_timeout),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO, .value = "0",
		.help = "Seconds that a connection may last; 0: no limit." },
	{ .name = "linger_timeout", SECONDS(linger_timeout),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO,
		.value = "2",
		.help = "Seconds to wait at a close for the client to stop sending, so that the "
			"last answer reaches it." },
	{ .name = "max_line", ONE(max_line), .min = 1, .max = LINE_MAX_BYTES,
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO,
		.unit = "BYTES", .value = "65536",
		.help = "Bytes that a line of a client may have, 16777216 at most." },
	{ .name = "max_output", ONE(max_output), .min = 16384, .max = 1 << 30,
		.flags = ROW_LIVE_WORKERS, .group = GROUP_WHAT_A_CLIENT_MAY_DO, .unit = "BYTES", .value = "1048576",
		.help = "Multiplex: output that may be queued for a client that does not read; one "
			"more byte ends the connection." },

	/* how many may come */
	{ .name = "max_connections", ONE(max_connections), .min = 0, .max = CONNECTIONS_MAX,
		.group = GROUP_HOW_MANY_MAY_COME, .unit = "NUMBER", .value = "0",
		.help = "Clients that may be connected at the same time, in all processes together; "
			"one that is too many is refused. 0: no limit of this kind." },
	{ .name = "max_per_source", ONE(max_per_source), .min = 0, .max = CONNECTIONS_MAX,
		.group = GROUP_HOW_MANY_MAY_COME, .unit = "NUMBER", .value = "0",
		.help = "Clients of the same source that may be connected at the same time; 0: no "
			"limit." },
	{ .name = "source_rate", ONE(source_rate), .group = GROUP_HOW_MANY_MAY_COME,
		.unit = "NUMBER/SECONDS", .value = "0", .standard = "0, no limit",
		.help = "New clients of the same source within so many seconds, as 20/10; a source "
			"that is faster is refused for source_hold." },
	{ .name = "source_hold", SECONDS(source_hold), .group = GROUP_HOW_MANY_MAY_COME,
		.value = "60",
		.help = "Seconds for which a source is refused after more clients than source_rate "
			"allows; 0: until that many seconds are over." },
	{ .name = "source_prefix_v4", ONE(source_prefix_v4), .min = 0, .max = 32,
		.group = GROUP_HOW_MANY_MAY_COME, .unit = "BITS", .value = "32",
		.help = "How many bits of an IPv4 address make it a source of its own." },
	{ .name = "source_prefix_v6", ONE(source_prefix_v6), .min = 0, .max = 128,
		.group = GROUP_HOW_MANY_MAY_COME, .unit = "BITS", .value = "64",
		.help = "How many bits of an IPv6 address make it a source of its own." },
	{ .name = "limit_exempt", SEVERAL(limit_exempt, limit_exempt), .flags = ROW_CODE_SPLIT,
		.group = GROUP_HOW_MANY_MAY_COME, .unit = "NETWORK",
		.help = "Network whose clients none of these limits refuses, as 192.0.2.0/24. May be "
			"given several times." },
	{ .name = "limit_report", SECONDS(limit_report), .group = GROUP_HOW_MANY_MAY_COME,
		.value = "60",
		.help = "Seconds between two log lines about clients that one of these limits "
			"refused, at least." },

	/* who may come */
	{ .name = "allow", SEVERAL(allow, allow), .group = GROUP_WHO_MAY_COME, .unit = "PATTERN",
		.help = "Regular expression for addresses, and for names where they are looked up, "
			"that may come. May be given several times." },
	{ .name = "deny", SEVERAL(deny, deny), .group = GROUP_WHO_MAY_COME, .unit = "PATTERN",
		.help = "Regular expression for addresses and names that may not. May be given "
			"several times." },
	{ .name = "cidr_allow", SEVERAL(cidr_allow, cidr_allow), .flags = ROW_CODE_SPLIT,
		.group = GROUP_WHO_MAY_COME, .unit = "NETWORK",
		.help = "Network that may come, as 192.0.2.0/24. May be given several times." },
	{ .name = "cidr_deny", SEVERAL(cidr_deny, cidr_deny), .flags = ROW_CODE_SPLIT,
		.group = GROUP_WHO_MAY_COME, .unit = "NETWORK",
		.help = "Network that may not come. May be given several times." },
	{ .name = "reverse_lookups", ONE(reverse_lookups), .group = GROUP_WHO_MAY_COME,
		.unit = "off|on|double[-MODE]", .value = "off", .words = reverse_words,
		.help = "Look up the names of clients, for log, patterns and programs; double: as "
			"double_reverse_lookups, with its modes." },
	{ .name = "double_reverse_lookups", ONE(double_reverse_lookups),
		.group = GROUP_WHO_MAY_COME, .unit = "off|on|MODE", .value = "off",
		.words = double_words,
		.help = "Deny clients without a name that leads back to their address. Modes: "
			"detail and debug log more, autofail denies all." },
	{ .name = "lookup_timeout", SECONDS(lookup_timeout), .group = GROUP_WHO_MAY_COME,
		.value = "5",
		.help = "Seconds that looking up a client's name may take; 0: no limit." },

	/* as whom and where to run */
	{ .name = "conf_file", ONE(conf_file), .group = GROUP_AS_WHOM_AND_WHERE, .unit = "FILE",
		.help = "File of options, a key and a value a line." },
	{ .name = "user", ONE(user), .group = GROUP_AS_WHOM_AND_WHERE, .unit = "USER",
		.standard = "whoever starts it",
		.help = "Name or number of the user to become once the ports are bound." },
	{ .name = "group", ONE(group), .group = GROUP_AS_WHOM_AND_WHERE, .unit = "GROUP[,GROUP]",
		.standard = "the groups of user",
		.help = "Names or numbers of the groups to become, separated by blanks or "
			"commas." },
	{ .name = "chroot", ONE(chroot), .group = GROUP_AS_WHOM_AND_WHERE, .unit = "DIRECTORY",
		.help = "Directory to be locked into once the ports are bound." },
	{ .name = "directory", ONE(directory), .group = GROUP_AS_WHOM_AND_WHERE,
		.unit = "DIRECTORY", .standard = "that of the start",
		.help = "Directory to work in once privileges are dropped, ~ for the home of user; "
			"inside of chroot, where there is one. Paths of other options stay relative to "
			"the directory of the start." },
	{ .name = "background", ONE(background), .group = GROUP_AS_WHOM_AND_WHERE,
		.help = "Go to the background." },
	{ .name = "setsid", ONE(setsid), .group = GROUP_AS_WHOM_AND_WHERE,
		.help = "Go to the background, in a session of its own, with the standard streams "
			"on the null device." },
	{ .name = "pid_file", ONE(pid_file), .group = GROUP_AS_WHOM_AND_WHERE, .unit = "FILE",
		.help = "File that holds the server's process number while it runs." },
	{ .name = "notify_fd", ONE(notify_fd), .group = GROUP_AS_WHOM_AND_WHERE, .min = 0,
		.max = 65535, .unit = "NUMBER", .value = "0",
		.help = "Descriptor that gets a newline when the server serves, as s6 and others wait "
			"for; 0: none." },

	/* being looked at */
	{ .name = "control", ONE(control), .group = GROUP_LOOKED_AT, .unit = "FILE",
		.standard = "none",
		.help = "Unix socket, for its owner and root only, behind tend status, top and "
			"ctl; 1: the pid file's name and .control." },
	{ .name = "metrics", ONE(metrics), .group = GROUP_LOOKED_AT, .unit = "[HOST:]PORT",
		.standard = "none",
		.help = "Where figures for monitoring are given over HTTP, as OpenMetrics, and "
			"whether the server is ready; of this machine unless HOST is said. "
			"PATH/unix is a Unix socket." },

	/* log */
	{ .name = "log_level", ONE(log_level), .min = 0, .max = 4,
		.flags = ROW_LEVEL | ROW_LIVE,
		.group = GROUP_LOG, .unit = "0-4", .value = "2",
		.help = "How much is logged: 0 nothing, 1 warnings, 2 notices, 3 information, 4 "
			"everything. More than 4 is 4; what is no such number is 2." },
	{ .name = "log_trace", ONE(log_trace), .flags = ROW_LIVE, .group = GROUP_LOG,
		.help = "With log_level 4: a line for each event, each read and write with its size, "
			"and each end of a connection with the reason." },
	{ .name = "log_file", ONE(log_file), .group = GROUP_LOG, .unit = "FILE|syslog|journal",
		.standard = "standard error", .reserved = log4perl_names, .reason = NO_LOG4PERL,
		.help = "File that log lines are appended to; or syslog (also called Sys::Syslog), or "
			"the journal of systemd." },
	{ .name = "log_format", ONE(log_format), .group = GROUP_LOG, .unit = "text|json|logfmt",
		.value = "text", .words = format_words,
		.help = "Form of a line: for people, an object of JSON, or pairs of key and value." },
	{ .name = "syslog_ident", ONE(syslog_ident), .group = GROUP_LOG, .unit = "NAME",
		.value = "net_server", .help = "Name in front of each line for syslog." },
	{ .name = "syslog_facility", ONE(syslog_facility), .group = GROUP_LOG, .unit = "FACILITY",
		.value = "daemon",
		.help = "Under what syslog files the lines: auth, authpriv, cron, daemon, ftp, kern, "
			"lpr, mail, news, syslog, user, uucp or local0 to local7." },
	{ .name = "syslog_logopt", ONE(syslog_logopt), .group = GROUP_LOG,
		.unit = "WORD[,WORD]", .value = "pid",
		.help = "pid: the process number behind the name; cons: what nobody collects goes to "
			"the console; perror: all lines go to standard error too. ndelay, nowait and "
			"nofatal say what is so anyway." },
	{ .name = "syslog_logsock", ONE(syslog_logsock), .group = GROUP_LOG,
		.unit = "unix[:PATH]|udp[:HOST[:PORT]]|tcp[:HOST[:PORT]]", .standard = "unix",
		.help = "How syslog is reached: by a socket of this machine (unix, native, stream; "
			"/dev/log), by udp, by tcp, by inet (tcp or else udp; 127.0.0.1:514), or not at "
			"all (console)." },

	/* stopping */
	{ .name = "stop_timeout", SECONDS(stop_timeout),
		.flags = ROW_LIVE, .group = GROUP_STOPPING, .value = "8",
		.help = "Seconds that children get to end after TERM or INT before they are "
			"killed." },
	{ .name = "graceful_timeout", SECONDS(graceful_timeout),
		.flags = ROW_LIVE, .group = GROUP_STOPPING,
		.value = "0",
		.help = "Seconds that children get to finish their clients after QUIT, and those of "
			"before a restart; 0: no limit." },
	{ .name = "leave_busy", ONE(leave_busy), .group = GROUP_STOPPING,
		.help = "Children that still serve after stop_timeout are not killed but left "
			"behind, to finish with their clients." },
	{ .name = "leave_children_open_on_hup", ONE(leave_children_open_on_hup),
		.group = GROUP_STOPPING,
		.help = "Let children of before a restart finish their clients without limit, "
			"whatever graceful_timeout is." },

	/* where the models differ */
	{ .name = "full", ONE(full), .group = GROUP_DIFFERENCES, .unit = "queue|refuse",
		.value = "queue", .words = full_words,
		.help = "Fork, when max_servers children serve: let clients wait in the kernel's "
			"queue, or accept them and let the hook `full` say farewell." },
	{ .name = "growth", ONE(growth), .group = GROUP_DIFFERENCES, .unit = "spare|tenth",
		.value = "spare", .words = growth_words,
		.help = "PreFork: keep min_spare_servers to max_spare_servers waiting; or start "
			"min_servers more whenever a tenth of the workers or fewer wait, and dismiss "
			"nobody." },
	{ .name = "child_stop", ONE(child_stop),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_DIFFERENCES, .unit = "now|finish",
		.value = "now", .words = child_stop_words,
		.help = "What TERM means to a child with a client: cut the client off, or finish "
			"with it; stop_timeout ends either." },
	{ .name = "hup", ONE(hup), .group = GROUP_DIFFERENCES,
		.unit = "restart|hook|workers|ignore", .value = "restart", .words = hup_words,
		.help = "What HUP means: a restart; a call of the hook `signal` and nothing else; "
			"fresh workers, and all else stays as it is; or nothing." },
	{ .name = "strangers", ONE(strangers), .group = GROUP_DIFFERENCES, .unit = "reap|leave",
		.value = "reap", .words = strangers_words,
		.help = "Children that the program started itself: wait for them and tell the hook "
			"`stranger_died`, or leave both to the program." },
	{ .name = "worker_idle_timeout", SECONDS(worker_idle_timeout),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_DIFFERENCES,
		.value = "0",
		.help = "Seconds after its last client after which a worker retires; 0: never." },
	{ .name = "worker_idle_unused", ONE(worker_idle_unused),
		.flags = ROW_LIVE_WORKERS, .group = GROUP_DIFFERENCES,
		.help = "Let workers that never had a client retire after worker_idle_timeout, "
			"too." },
	{ .name = "accepted_in_parent", ONE(accepted_in_parent), .group = GROUP_DIFFERENCES,
		.help = "Fork: run the hook `accepted` in the parent, before the fork, also for "
			"clients that are refused." },
	{ .name = "process_titles", ONE(process_titles), .group = GROUP_DIFFERENCES,
		.help = "Show in the process list what a child does: \"name | *:7\" is busy with its "
			"seventh client, \"name | -:7 [4]\" has waited for 4 seconds since." },

	/* Net::Waiter's words */
	{ .name = "prefork", COUNT(prefork, -SERVERS_MAX), .group = GROUP_WAITER,
		.flags = ROW_YIELDS | ROW_SIGNED,
		.help = "So many workers that accept for themselves, more while they are busy, up "
			"to maxfork; below zero: as many, and no more." },
	{ .name = "maxfork", COUNT(maxfork, 0), .group = GROUP_WAITER,
		.flags = ROW_YIELDS | ROW_SIGNED, .standard = "1024",
		.help = "Children at the same time, at most. Without prefork there is a child for "
			"each client, and one too many is told by the hook `full`." },
	{ .name = "nofork", ONE(nofork), .group = GROUP_WAITER, .flags = ROW_YIELDS,
		.help = "Serve in the one process, one client after the other." },
	{ .name = "timeout", ONE(timeout), .min = -SECONDS_MAX, .max = SECONDS_MAX,
		.unit = "SECONDS", .group = GROUP_WAITER, .flags = ROW_YIELDS | ROW_SIGNED,
		.standard = "4", .help = "idle_period, from 1 to 3600." },
	{ .name = "px_idle", ONE(px_idle), .min = -SECONDS_MAX, .max = SECONDS_MAX,
		.unit = "SECONDS", .group = GROUP_WAITER, .flags = ROW_YIELDS | ROW_SIGNED,
		.standard = "31", .help = "worker_idle_timeout, at least 1." },
	{ .name = "prop_sigusr", ONE(prop_sigusr), .group = GROUP_WAITER, .flags = ROW_YIELDS,
		.help = "Pass USR1 and USR2 on to all children, after the parent's own hook." },
	{ .name = "debug", ONE(debug), .group = GROUP_WAITER, .flags = ROW_YIELDS,
		.help = "log_level 4." },

	/* Net::Server's names that have no meaning here. */
	{ .name = "spare_servers", IGNORED("the option spare_servers is obsolete and has no "
		"effect; min_spare_servers and max_spare_servers do its work") },
	{ .name = "ipv6_package", IGNORED(NULL) },
	{ .name = "unix_path", IGNORED(NULL) },
	{ .name = "tie_client_stdout", IGNORED(NULL) },

	/* Known names of work that is not in this build. */
	{ .name = "udp_recv_len", RESERVED(NO_UDP) },
	{ .name = "udp_recv_flags", RESERVED(NO_UDP) },
	{ .name = "udp_broadcast", RESERVED(NO_UDP) },
	{ .name = "unix_type", RESERVED(NO_DATAGRAM), .words = stream_words },
	{ .name = "log4perl_conf", RESERVED(NO_LOG4PERL) },
	{ .name = "log4perl_logger", RESERVED(NO_LOG4PERL) },
	{ .name = "log4perl_poll", RESERVED(NO_LOG4PERL) },
	{ .name = "SSL_key_file", RESERVED(NO_TLS) },
	{ .name = "SSL_cert_file", RESERVED(NO_TLS) },
	{ .name = "SSL_use_cert", RESERVED(NO_TLS) },
	{ .name = "SSL_verify_mode", RESERVED(NO_TLS) },
	{ .name = "SSL_verify_callback", RESERVED(NO_TLS) },
	{ .name = "SSL_ca_path", RESERVED(NO_TLS) },
	{ .name = "SSL_ca_file", RESERVED(NO_TLS) },
	{ .name = "SSL_cipher_list", RESERVED(NO_TLS) },
	{ .name = "SSL_passwd_cb", RESERVED(NO_TLS) },
	{ .name = "SSL_version", RESERVED(NO_TLS) },
	{ .name = "SSL_max_getline_length", RESERVED(NO_TLS) },
	{ .name = "SSL_error_callback", RESERVED(NO_TLS) },
	{ .name = "timeout_header", RESERVED(NO_HTTP) },
	{ .name = "timeout_idle", RESERVED(NO_HTTP) },
	{ .name = "max_header_size", RESERVED(NO_HTTP) },
	{ .name = "server_revision", RESERVED(NO_HTTP) },
	{ .name = "access_log_file", RESERVED(NO_HTTP) },
	{ .name = "access_log_function", RESERVED(NO_HTTP) },
	{ .name = "access_log_format", RESERVED(NO_HTTP) },
	{ .name = "default_content_type", RESERVED(NO_HTTP) },
	{ .name = "allow_body_on_all_statuses", RESERVED(NO_HTTP) },
	{ .name = "enable_dispatch", RESERVED(NO_HTTP) },
	{ .name = "app", RESERVED(NO_HTTP) },
};

const size_t option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);

const char *
row_group_title(enum row_group group)
{
	static const char *const titles[GROUP_COUNT] = {
		[GROUP_SERVICE] = "Of this server",
		[GROUP_WHERE_TO_LISTEN] = "Where to listen",
		[GROUP_HOW_TO_SERVE] = "How to serve",
		[GROUP_WHAT_A_CLIENT_MAY_DO] = "What a client may do",
		[GROUP_HOW_MANY_MAY_COME] = "How many may come",
		[GROUP_WHO_MAY_COME] = "Who may come",
		[GROUP_AS_WHOM_AND_WHERE] = "As whom and where to run",
		[GROUP_LOOKED_AT] = "Being looked at",
		[GROUP_LOG] = "Log",
		[GROUP_STOPPING] = "Stopping",
		[GROUP_DIFFERENCES] = "Where the models differ",
		[GROUP_WAITER] = "In the words of Net::Waiter",
	};

	return titles[group];
}
