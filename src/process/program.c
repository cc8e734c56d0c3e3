/*
 * Any program as a handler: tend_conn_exec(). The client's socket becomes the program's standard
 * input and output, as inetd does, and addresses stand in the environment, as UCSPI says. vfork()
 * makes the cost independent of how much memory the server has.
 *
 * Between vfork() and exec the child shares our memory: it makes system calls and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"

#if HAVE_PIDFD_OPEN
#include <sys/pidfd.h>
#endif

#include "base/buf.h"
#include "base/clock.h"
#include "net/conn.h"

#define HALF_CLOSE_TIMEOUT 10.0
#define KILL_TIMEOUT 2.0
/* Where no descriptor tells of a child's end, it is asked for so often. */
#define ASK_AGAIN (50 * CLOCK_MILLISECOND)

extern char **environ;

/* ---- environment ---- */

/* A table of "NAME=value", owned. */
struct environment {
	char **list;
	size_t count, size;
};

static const char *const ucspi_names[] = {
	"PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT",
	"TCPREMOTEHOST", "TCPREMOTEINFO", "UNIXLOCALPATH", "UNIXLOCALUID", "UNIXLOCALGID",
	"UNIXLOCALPID", "UNIXREMOTEPATH", "UNIXREMOTEEUID", "UNIXREMOTEEGID", "UNIXREMOTEPID",
};

static void
environment_done(struct environment *env)
{
	size_t i;

	for (i = 0; i < env->count; i++)
		free(env->list[i]);
	free(env->list);
}

/* Takes `entry`; NULL stands for "no memory". */
static int
environment_take(struct environment *env, char *entry)
{
	if (entry == NULL)
		return -ENOMEM;
	if (env->count + 1 >= env->size) {
		size_t size = env->size > 0 ? env->size * 2 : 64;
		char **list = realloc(env->list, size * sizeof(*list));

		if (list == NULL) {
			free(entry);
			return -ENOMEM;
		}
		env->list = list;
		env->size = size;
	}
	env->list[env->count++] = entry;
	env->list[env->count] = NULL;
	return 0;
}

static int
environment_add(struct environment *env, const char *name, const char *value)
{
	char *entry;

	if (asprintf(&entry, "%s=%s", name, value) < 0)
		entry = NULL;
	return environment_take(env, entry);
}

static int
environment_add_number(struct environment *env, const char *name, long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", value);
	return environment_add(env, name, text);
}

static bool
is_ucspi(const char *entry)
{
	size_t i;

	for (i = 0; i < sizeof(ucspi_names) / sizeof(ucspi_names[0]); i++) {
		size_t n = strlen(ucspi_names[i]);

		if (strncmp(entry, ucspi_names[i], n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

/* Addresses of an older connection in our own environment would be lies. */
static int
environment_copy(struct environment *env, char *const *from)
{
	int r = 0;

	for (; r == 0 && from != NULL && *from != NULL; from++)
		if (!is_ucspi(*from))
			r = environment_take(env, strdup(*from));
	return r;
}

static const char *
unmapped(const char *host)
{
	return strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL ? host + 7 : host;
}

static int
describe_tcp(struct environment *env, struct tend_conn *c)
{
	int r = environment_add(env, "PROTO", "TCP");

	if (r == 0)
		r = environment_add(env, "TCPLOCALIP", unmapped(tend_local_host(c)));
	if (r == 0)
		r = environment_add_number(env, "TCPLOCALPORT", (long)tend_local_port(c));
	if (r == 0)
		r = environment_add(env, "TCPREMOTEIP", unmapped(tend_peer_host(c)));
	if (r == 0)
		r = environment_add_number(env, "TCPREMOTEPORT", (long)tend_peer_port(c));
	if (r == 0 && tend_peer_name(c) != NULL)
		r = environment_add(env, "TCPREMOTEHOST", tend_peer_name(c));
	return r;
}

static int
describe_unix(struct environment *env, struct tend_conn *c)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	const char *path = tend_peer(c);
	int r = environment_add(env, "PROTO", "UNIX");

	if (r == 0)
		r = environment_add(env, "UNIXLOCALPATH", tend_conn_service(c));
	if (r == 0)
		r = environment_add_number(env, "UNIXLOCALUID", (long)geteuid());
	if (r == 0)
		r = environment_add_number(env, "UNIXLOCALGID", (long)getegid());
	if (r == 0)
		r = environment_add_number(env, "UNIXLOCALPID", (long)getpid());
	if (r == 0 && strncmp(path, "unix:", 5) == 0)
		r = environment_add(env, "UNIXREMOTEPATH", path + 5);
	if (r < 0 || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return r;
	r = environment_add_number(env, "UNIXREMOTEEUID", (long)peer.uid);
	if (r == 0)
		r = environment_add_number(env, "UNIXREMOTEEGID", (long)peer.gid);
	if (r == 0)
		r = environment_add_number(env, "UNIXREMOTEPID", (long)peer.pid);
	return r;
}

static int
make_environment(struct environment *env, struct tend_conn *c, char *const *from)
{
	int r = environment_copy(env, from != NULL ? from : environ);

	if (r < 0)
		return r;
	return conn_is_local(c) ? describe_unix(env, c) : describe_tcp(env, c);
}

/* ---- starting ---- */

static void
default_signals(void)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		sigaction(signo, &normal, NULL);
}

/* Everything above standard error. What tend opened closes by itself; this is for the others. */
static void
close_the_rest(void)
{
#if HAVE_CLOSE_RANGE
	if (close_range(3, ~0U, 0) == 0)
		return;
#endif
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

/* In the child of vfork(). Returns only when it failed, errno saying why. */
static void
become_program(int fd, char *const argv[], char *const env[], bool keep_stderr)
{
	sigset_t none;

	setpgid(0, 0);
	/* Whatever becomes of us, the program does not serve a client on its own. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	default_signals();
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    (!keep_stderr && dup2(fd, STDERR_FILENO) < 0))
		return;
	close_the_rest();
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	execvpe(argv[0], argv, env);
}

static pid_t
start_program(int fd, char *const argv[], char *const env[], bool keep_stderr)
{
	volatile int failure = 0;
	sigset_t all, before;
	pid_t pid;

	/* Our handlers must not run in the child while it shares our memory. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = vfork();
	if (pid == 0) {
		become_program(fd, argv, env, keep_stderr);
		failure = errno;
		_exit(127);
	}
	if (pid < 0)
		failure = errno;
	else if (failure != 0)
		waitpid(pid, NULL, 0);
	else
		/* Where vfork() is no more than fork(), the child may not have come so far. */
		setpgid(pid, pid);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failure == 0 ? pid : -failure;
}

/* ---- watching ---- */

/* A program at work for one client. */
struct job {
	struct tend_conn *c;
	pid_t             pid;
	int               pid_fd;      /* readable when it has ended; -1: the system has none */
	int               signal_fd;   /* for processes whose signals are not events; -1 */
	int               signal_seen; /* to be raised again when the program is gone */
	sigset_t          mask;
	bool              half_closed; /* the client has finished sending */
	uint64_t          moved;       /* bytes between client and program, when last looked at */
	int64_t           deadline;    /* for progress, then for the program's end */
	bool              told;        /* TERM was sent */
	bool              cancelled;   /* its handler was told to end */
	int64_t           half_close_timeout, kill_timeout;
};

static bool
signals_are_events(const struct job *j)
{
	return j->c->mood->interrupt_fd >= 0 || j->c->mood->poll != NULL;
}

/*
 * Where signals are no events, as in a child of Fork, TERM would end us and leave the program
 * behind. It is held back until the program is gone too.
 */
static void
hold_signals(struct job *j)
{
	sigset_t set;

	j->signal_fd = -1;
	if (signals_are_events(j))
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &j->mask);
	j->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
release_signals(struct job *j)
{
	if (signals_are_events(j))
		return;
	if (j->signal_fd >= 0)
		close(j->signal_fd);
	if (j->signal_seen != 0)
		raise(j->signal_seen);
	pthread_sigmask(SIG_SETMASK, &j->mask, NULL);
}

/* Bytes that a TCP client has sent and been sent; 0 where the system does not tell. */
static uint64_t
bytes_moved(const struct tend_conn *c)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return 0;
	return info.tcpi_bytes_sent + info.tcpi_bytes_received;
}

/* The program is to end; it gets a moment to do so in order. */
static void
tell_program(struct job *j, int signo)
{
	kill(-j->pid, signo);
	j->told = true;
	j->deadline = clock_after(clock_now(), signo == SIGKILL ? CLOCK_NEVER / 2 : j->kill_timeout);
}

/*
 * Client and program may be silent for so long together, as the client of any handler may
 * (idle_timeout). Of local clients the system tells nothing.
 */
static void
expect_progress(struct job *j)
{
	int64_t patience = j->half_closed ? j->half_close_timeout : j->c->idle;

	if (conn_is_local(j->c))
		return;
	j->moved = bytes_moved(j->c);
	j->deadline = patience == CLOCK_NEVER ? CLOCK_NEVER : clock_after(clock_now(), patience);
}

/*
 * A client that has finished sending may be waiting for a long answer, or be gone: TCP does not say
 * which until something is sent to it. So the program goes on for as long as it makes progress. A
 * local client that is gone says so by itself.
 */
static void
client_half_closed(struct job *j)
{
	j->half_closed = true;
	expect_progress(j);
}

static void
deadline_passed(struct job *j)
{
	if (j->told)
		tell_program(j, SIGKILL);
	else if (bytes_moved(j->c) == j->moved)
		tell_program(j, SIGTERM);
	else
		expect_progress(j);
}

static bool
told_to_stop(struct job *j)
{
	const struct conn_mood *mood = j->c->mood;
	struct signalfd_siginfo info;

	if (j->cancelled)
		return true;

	if (mood->cancelled != NULL)
		return mood->cancelled(mood->data);
	if (j->signal_fd >= 0 && read(j->signal_fd, &info, sizeof(info)) == sizeof(info))
		j->signal_seen = (int)info.ssi_signo;
	return j->signal_seen != 0;
}

/* Where signals of ours are heard of. */
static int
listen_fd(const struct job *j)
{
	return j->signal_fd >= 0 ? j->signal_fd : j->c->mood->interrupt_fd;
}

/* In the way of the connection's mood. False: a signal came between. */
static bool
wait_for_any(struct job *j, struct pollfd fds[3], int64_t now, int64_t until)
{
	struct conn_mood *mood = j->c->mood;
	int r;

	if (mood->poll == NULL)
		return poll(fds, 3, clock_poll_timeout(now, until)) >= 0;
	r = mood->poll(j->c, fds, 3, until, j->told);
	if (r == -ECANCELED)
		j->cancelled = true;
	return true;
}

/* One wait. What there is to hear: the program's end, the client's, or a signal of ours. */
static void
watch_once(struct job *j)
{
	struct pollfd fds[3] = {
		{ .fd = j->pid_fd, .events = POLLIN },
		{ .fd = j->told ? -1 : j->c->fd, .events = j->half_closed ? 0 : POLLRDHUP },
		/* Nobody looks at it once the program is told to end. */
		{ .fd = j->told ? -1 : listen_fd(j), .events = POLLIN },
	};
	int64_t now = clock_now(), until = j->deadline;

	/* The time of the whole connection is the program's too. */
	if (!j->told && until > j->c->deadline)
		until = j->c->deadline;
	if (j->pid_fd < 0 && until > now + ASK_AGAIN)
		until = now + ASK_AGAIN;
	if (!wait_for_any(j, fds, now, until))
		return;
	if (fds[2].revents != 0 && j->signal_fd < 0)
		j->cancelled = conn_interrupted(j->c->mood);
	if (!j->told && (told_to_stop(j) || conn_expired(j->c) ||
	    (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))))
		tell_program(j, SIGTERM);
	else if (fds[1].revents & POLLRDHUP)
		client_half_closed(j);
	if (clock_now() >= j->deadline)
		deadline_passed(j);
}

static void
tell_of_wait(const struct job *j, bool begins)
{
	const struct conn_mood *mood = j->c->mood;

	if (mood->waits != NULL)
		mood->waits(mood->data, begins);
}

static int
watch_program(struct job *j)
{
	siginfo_t ended = { .si_pid = 0 };
	int status = 0;

	tell_of_wait(j, true);
	while (waitid(P_PID, (id_t)j->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    ended.si_pid == 0)
		watch_once(j);
	tell_of_wait(j, false);
	/* What the program left running belongs to a client that is gone. Before it is reaped: the
	   number of its group is nobody else's until then. */
	if (j->told)
		kill(-j->pid, SIGKILL);
	return waitpid(j->pid, &status, 0) == j->pid ? status : -ECHILD;
}

static int64_t
seconds_or(double seconds, double otherwise)
{
	return clock_from_seconds(seconds > 0 ? seconds : otherwise);
}

static int
run_program(struct tend_conn *c, char *const argv[], char *const env[],
	const struct tend_exec *options)
{
	struct job j = {
		.c = c,
		.pid_fd = -1,
		.deadline = CLOCK_NEVER,
		.half_close_timeout = seconds_or(options->half_close_timeout, HALF_CLOSE_TIMEOUT),
		.kill_timeout = seconds_or(options->kill_timeout, KILL_TIMEOUT),
	};
	int r;

	hold_signals(&j);
	expect_progress(&j);
	j.pid = start_program(tend_conn_fd(c), argv, env, options->stderr_to_log);
	r = j.pid;
	if (j.pid > 0) {
#if HAVE_PIDFD_OPEN
		j.pid_fd = pidfd_open(j.pid, 0);
#endif
		r = watch_program(&j);
		if (j.pid_fd >= 0)
			close(j.pid_fd);
	}
	release_signals(&j);
	return r;
}

int
tend_conn_exec(struct tend_conn *c, char *const argv[], const struct tend_exec *options)
{
	static const struct tend_exec defaults;
	struct environment env = { NULL, 0, 0 };
	int r;

	if (options == NULL)
		options = &defaults;
	if (!c->open)
		return -ENOTCONN;
	/* What was read cannot be put back into the socket, and a wrapped one is not the client. */
	if (buf_length(&c->in) > c->taken || !conn_is_plain(c) || conn_pending(c) > 0)
		return -EINVAL;
	r = tend_flush(c);
	if (r < 0)
		return r;
	r = make_environment(&env, c, options->environment);
	if (r == 0) {
		r = run_program(c, argv, env.list, options);
	}
	environment_done(&env);
	return r;
}
