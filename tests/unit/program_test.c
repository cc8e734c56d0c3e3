/* Any program as the handler: what it is given, what it is spared, and how it ends. */
#include "conn_fixture.h"
#include "under_valgrind.h"

#include <sys/stat.h>

/* Program and arguments, for the shell where it takes more than one. */
#define RUN(...) (char *const[]){ __VA_ARGS__, NULL }
/* A shell tells its standard error, the client, when a command was killed; a client that is gone
   would then end it by PIPE. */
#define QUIETLY "exec 2>/dev/null; "
#define WORD(text) ((char *)(uintptr_t)(text))
#define SH(script) RUN(WORD("sh"), WORD("-c"), WORD(script))

static bool
no_child_is_left(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* No test leaves a zombie behind. */
static int
part_cleanly(void **state)
{
	int r = part(state);

	return no_child_is_left() ? r : -1;
}

#define UNIX(test) { #test " (unix)", test, over_unix, part_cleanly, NULL }
#define TCP(test) { #test " (tcp)", test, over_tcp, part_cleanly, NULL }
#define BOTH(test) UNIX(test), TCP(test)

/* All that the client hears until the end of output, as text. */
static char *
all_the_client_hears(struct meeting *m)
{
	static char heard[65536];
	ssize_t n;

	tend_close(&m->c);
	n = client_receive_all(m, heard, sizeof(heard) - 1);
	assert_true(n >= 0);
	heard[n] = '\0';
	return heard;
}

static void
runs_well(struct meeting *m, char *const argv[])
{
	assert_int_equal(tend_conn_exec(&m->c, argv, NULL), 0);
}

static void
assert_exited(int status, int code)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("status %x instead of exit %d", (unsigned)status, code);
}

static void
assert_killed_by(int status, int signo)
{
	if (!WIFSIGNALED(status) || WTERMSIG(status) != signo)
		fail_msg("status %x instead of signal %d", (unsigned)status, signo);
}

/* ---- input and output ---- */

static int
send_and_get_back(struct meeting *m)
{
	static char sent[300000], heard[sizeof(sent)];
	size_t i, at, piece;

	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i % 251);
	/* In pieces, so that neither side has to hold it all. */
	for (at = 0; at < sizeof(sent); at += piece) {
		piece = sizeof(sent) - at < 4096 ? sizeof(sent) - at : 4096;
		if (client_send(m, sent + at, piece) < 0)
			return 1;
		if (client_receive_all(m, heard + at, piece) != (ssize_t)piece)
			return 2;
	}
	if (memcmp(sent, heard, sizeof(sent)) != 0)
		return 3;
	if (shutdown(m->client, SHUT_WR) < 0)
		return 4;
	/* The end comes back as well. */
	return client_receive(m, heard, 1) == 0 ? 0 : 5;
}

static void
the_client_is_standard_input_and_output(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, send_and_get_back);

	/* NS-CIO-01; "cat" is searched for in PATH */
	runs_well(m, RUN(WORD("cat")));
	tend_close(&m->c);
	client_has_done_well(pid);
}

static void
what_the_handler_wrote_comes_first_and_last(void **state)
{
	struct meeting *m = *state;

	tend_printf(&m->c, "banner\n");
	runs_well(m, SH("echo program"));
	tend_printf(&m->c, "good bye\n");
	assert_string_equal(all_the_client_hears(m), "banner\nprogram\ngood bye\n");
}

static void
standard_error_is_the_client_unless_it_goes_to_the_log(void **state)
{
	static const struct tend_exec to_log = { .stderr_to_log = true };
	struct meeting *m = *state;
	int log[2], saved = dup(STDERR_FILENO), status;
	char heard[64];
	ssize_t n;

	runs_well(m, SH("echo one; echo two >&2"));
	assert_int_equal(pipe(log), 0);
	dup2(log[1], STDERR_FILENO);
	close(log[1]);
	status = tend_conn_exec(&m->c, SH("echo three; echo four >&2"), &to_log);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(status, 0);
	n = read(log[0], heard, sizeof(heard));
	close(log[0]);
	assert_int_equal(n, 5);
	assert_memory_equal(heard, "four\n", 5);
	assert_string_equal(all_the_client_hears(m), "one\ntwo\nthree\n");
}

static void
the_connection_outlives_the_program(void **state)
{
	struct meeting *m = *state;

	client_says(m, "for the program\n");
	runs_well(m, SH("read -r line; echo \"got $line\""));
	client_says(m, "for the handler\n");
	handler_gets_line(&m->c, "for the handler");
	assert_string_equal(all_the_client_hears(m), "got for the program\n");
}

/* ---- environment ---- */

/* How many lines of `text` begin with `name` and "="; the last one's value in `value`. */
static unsigned
find_variable(const char *text, const char *name, char *value, size_t size)
{
	size_t n = strlen(name);
	unsigned found = 0;

	value[0] = '\0';
	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n') {
		if (strncmp(text, name, n) != 0 || text[n] != '=')
			continue;
		found++;
		snprintf(value, size, "%.*s", (int)strcspn(text + n + 1, "\n"), text + n + 1);
	}
	return found;
}

static void
assert_variable(const char *text, const char *name, const char *value)
{
	char is[256];

	assert_int_equal(find_variable(text, name, is, sizeof(is)), 1);
	assert_string_equal(is, value);
}

static void
assert_number(const char *text, const char *name, long value)
{
	char number[24];

	snprintf(number, sizeof(number), "%ld", value);
	assert_variable(text, name, number);
}

static void
assert_no_variable(const char *text, const char *name)
{
	char is[256];

	assert_int_equal(find_variable(text, name, is, sizeof(is)), 0);
}

/* What an older connection may have left in our own environment. */
static void
tell_lies(void)
{
	setenv("PROTO", "LIE", 1);
	setenv("TCPREMOTEIP", "203.0.113.1", 1);
	setenv("TCPREMOTEHOST", "liar.example", 1);
	setenv("UNIXREMOTEPID", "1", 1);
	setenv("TEND_TEST_KEPT", "kept", 1);
}

static void
take_back_lies(void)
{
	unsetenv("PROTO");
	unsetenv("TCPREMOTEIP");
	unsetenv("TCPREMOTEHOST");
	unsetenv("UNIXREMOTEPID");
	unsetenv("TEND_TEST_KEPT");
}

static void
tcp_addresses_stand_in_the_environment(void **state)
{
	struct meeting *m = *state;
	unsigned peer = tend_peer_port(&m->c), local = tend_local_port(&m->c);
	const char *text;

	tell_lies();
	runs_well(m, RUN(WORD("env")));
	take_back_lies();
	text = all_the_client_hears(m);
	assert_variable(text, "PROTO", "TCP");
	assert_variable(text, "TCPREMOTEIP", "127.0.0.1");
	assert_number(text, "TCPREMOTEPORT", peer);
	assert_variable(text, "TCPLOCALIP", "127.0.0.1");
	assert_number(text, "TCPLOCALPORT", local);
	assert_no_variable(text, "TCPREMOTEHOST");
	assert_no_variable(text, "UNIXREMOTEPID");
	assert_variable(text, "TEND_TEST_KEPT", "kept");
}

/* UCSPI: where it is known. */
static void
the_name_of_a_tcp_client_stands_in_the_environment(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(conn_set_peer_name(&m->c, "client.example"), 0);
	tell_lies();
	runs_well(m, RUN(WORD("env")));
	take_back_lies();
	assert_variable(all_the_client_hears(m), "TCPREMOTEHOST", "client.example");
}

static void
unix_clients_are_known_by_their_credentials(void **state)
{
	struct meeting *m = *state;
	const char *text;

	tell_lies();
	runs_well(m, RUN(WORD("env")));
	take_back_lies();
	text = all_the_client_hears(m);
	assert_variable(text, "PROTO", "UNIX");
	assert_variable(text, "UNIXLOCALPATH", "7007");
	assert_number(text, "UNIXLOCALUID", (long)geteuid());
	assert_number(text, "UNIXLOCALGID", (long)getegid());
	assert_number(text, "UNIXLOCALPID", (long)getpid());
	assert_number(text, "UNIXREMOTEEUID", (long)geteuid());
	assert_number(text, "UNIXREMOTEEGID", (long)getegid());
	assert_number(text, "UNIXREMOTEPID", (long)getpid());
	assert_no_variable(text, "TCPREMOTEIP");
	assert_variable(text, "TEND_TEST_KEPT", "kept");
}

static void
a_given_environment_replaces_our_own(void **state)
{
	static char *const given[] = {
		(char *)(uintptr_t)"ONLY=this", (char *)(uintptr_t)"PROTO=LIE", NULL,
	};
	static const struct tend_exec options = { .environment = given };
	struct meeting *m = *state;
	const char *text;

	setenv("TEND_TEST_KEPT", "kept", 1);
	assert_int_equal(tend_conn_exec(&m->c, RUN(WORD("env")), &options), 0);
	unsetenv("TEND_TEST_KEPT");
	text = all_the_client_hears(m);
	assert_variable(text, "ONLY", "this");
	assert_variable(text, "PROTO", m->real == &transport_tcp ? "TCP" : "UNIX");
	assert_no_variable(text, "TEND_TEST_KEPT");
	assert_no_variable(text, "PATH");
}

/* Of a socket for both families: programs expect dotted numbers. */
static void
mapped_addresses_are_shown_as_ipv4(void **state)
{
	struct meeting *m = *state;
	const char *text;

	m->c.peer.length = sizeof(struct sockaddr_in6);
	memset(&m->c.peer.u, 0, sizeof(m->c.peer.u));
	m->c.peer.u.v6.sin6_family = AF_INET6;
	m->c.peer.u.v6.sin6_port = htons(4711);
	memcpy(&m->c.peer.u.v6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\1", 16);
	runs_well(m, RUN(WORD("env")));
	text = all_the_client_hears(m);
	assert_variable(text, "TCPREMOTEIP", "192.0.2.1");
	assert_number(text, "TCPREMOTEPORT", 4711);
}

/* ---- what is not inherited ---- */

static void
no_descriptor_is_inherited(void **state)
{
	struct meeting *m = *state;
	int fds[6];
	size_t i;

	/* Not close-on-exec, as what an application opened without a thought; one far above. */
	for (i = 0; i < 5; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	fds[5] = dup2(fds[0], 700);
	assert_int_equal(fds[5], 700);
	runs_well(m, RUN(WORD("ls"), WORD("-1"), WORD("/proc/self/fd")));
	for (i = 0; i < 6; i++)
		close(fds[i]);
	/* 3 is the directory that ls reads. */
	assert_string_equal(all_the_client_hears(m), "0\n1\n2\n3\n");
}

static void
note(int signo)
{
	(void)signo;
}

/* NS-CIO-10: the server ignores PIPE, a program expects to be ended by it. */
static void
no_signal_is_ignored_blocked_or_handled(void **state)
{
	struct meeting *m = *state;
	struct sigaction ignored = { .sa_handler = SIG_IGN }, handled = { .sa_handler = note };
	struct sigaction pipe_before, hup_before, usr1_before;
	sigset_t blocked, before;
	const char *text;

	sigaction(SIGPIPE, &ignored, &pipe_before);
	sigaction(SIGHUP, &ignored, &hup_before);
	sigaction(SIGUSR1, &handled, &usr1_before);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	runs_well(m, RUN(WORD("cat"), WORD("/proc/self/status")));
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGPIPE, &pipe_before, NULL);
	sigaction(SIGHUP, &hup_before, NULL);
	sigaction(SIGUSR1, &usr1_before, NULL);
	text = all_the_client_hears(m);
	assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(text, "SigIgn:\t0000000000000000\n"));
	assert_non_null(strstr(text, "SigCgt:\t0000000000000000\n"));
}

static void
our_own_signals_are_as_before(void **state)
{
	struct meeting *m = *state;
	struct sigaction handled = { .sa_handler = note }, before, after;
	sigset_t mask_before, mask_after;
	int signo;

	sigaction(SIGUSR1, &handled, &before);
	sigprocmask(SIG_BLOCK, NULL, &mask_before);
	runs_well(m, RUN(WORD("true")));
	sigprocmask(SIG_BLOCK, NULL, &mask_after);
	sigaction(SIGUSR1, &before, &after);
	assert_ptr_equal(after.sa_handler, note);
	for (signo = 1; signo < 32; signo++)
		assert_int_equal(sigismember(&mask_before, signo), sigismember(&mask_after, signo));
}

static void
it_has_a_process_group_of_its_own(void **state)
{
	struct meeting *m = *state;

	runs_well(m, SH("read -r pid name mode parent group rest </proc/$$/stat\n"
			"[ \"$group\" = $$ ] && echo own || echo \"$group\""));
	assert_string_equal(all_the_client_hears(m), "own\n");
}

/* ---- how it ends ---- */

static void
the_exit_status_is_delivered(void **state)
{
	struct meeting *m = *state;
	int status = tend_conn_exec(&m->c, SH("exit 7"), NULL);

	assert_exited(status, 7);
	assert_killed_by(tend_conn_exec(&m->c, SH("kill -9 $$"), NULL), SIGKILL);
	runs_well(m, RUN(WORD("true")));
}

/* Under valgrind vfork() is fork(), so the child cannot tell why it failed but by its status. */
static void
assert_failed(int result, int code)
{
	if (under_valgrind() && result > 0)
		assert_int_equal(WEXITSTATUS(result), 127);
	else
		assert_int_equal(result, code);
}

static void
a_program_that_cannot_be_run_is_an_error(void **state)
{
	struct meeting *m = *state;
	char path[] = "/tmp/tend-program-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_failed(tend_conn_exec(&m->c, RUN(WORD("/no/such/program")), NULL), -ENOENT);
	assert_failed(tend_conn_exec(&m->c, RUN(WORD("no-such-program-in-path")), NULL), -ENOENT);
	assert_failed(tend_conn_exec(&m->c, RUN(path), NULL), -EACCES);
	assert_failed(tend_conn_exec(&m->c, RUN(WORD("/")), NULL), -EACCES);
	unlink(path);
	assert_true(no_child_is_left());
	/* The client can be told. */
	tend_printf(&m->c, "sorry\n");
	assert_string_equal(all_the_client_hears(m), "sorry\n");
}

static void
input_that_the_program_would_miss_is_an_error(void **state)
{
	struct meeting *m = *state;

	client_says(m, "a line\n");
	handler_gets_line(&m->c, "a line");
	/* All of it was read, so nothing is missed. */
	runs_well(m, RUN(WORD("true")));
	client_says(m, "two\nlines\n");
	handler_gets_line(&m->c, "two");
	assert_int_equal(tend_conn_exec(&m->c, RUN(WORD("cat")), NULL), -EINVAL);
	handler_gets_line(&m->c, "lines");
}

static void
a_transport_in_between_is_an_error(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(tend_conn_exec(&m->c, RUN(WORD("cat")), NULL), -EINVAL);
}

static void
a_closed_connection_is_an_error(void **state)
{
	struct meeting *m = *state;

	tend_close(&m->c);
	assert_int_equal(tend_conn_exec(&m->c, RUN(WORD("true")), NULL), -ENOTCONN);
}

static void
output_that_cannot_leave_starts_nothing(void **state)
{
	struct meeting *m = *state;

	tend_printf(&m->c, "banner");
	client_leaves(m);
	assert_int_equal(tend_conn_exec(&m->c, RUN(WORD("true")), NULL), -EPIPE);
}

/* ---- a client that leaves ---- */

static int
leave_when_ready(struct meeting *m)
{
	char byte;

	if (client_receive(m, &byte, 1) != 1 || byte != 'r')
		return 1;
	client_slams_the_door(m);
	return 0;
}

static void
the_program_is_told_when_the_client_is_gone(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, leave_when_ready);
	int status;

	status = tend_conn_exec(&m->c,
	    SH(QUIETLY "trap 'exit 3' TERM; printf r; while :; do sleep 0.02; done"), NULL);
	assert_exited(status, 3);
	client_has_done_well(pid);
}

static void
a_program_that_does_not_listen_is_killed(void **state)
{
	static const struct tend_exec options = { .kill_timeout = 0.1 };
	struct meeting *m = *state;
	pid_t pid = client_start(m, leave_when_ready);
	int64_t begun = clock_now();
	int status;

	status = tend_conn_exec(&m->c,
	    SH(QUIETLY "trap '' TERM; printf r; while :; do sleep 0.02; done"), &options);
	assert_killed_by(status, SIGKILL);
	assert_lasted(begun, 0.1);
	client_has_done_well(pid);
}

/* True when the process is gone, or is a corpse that somebody else has to reap. */
static bool
is_gone(pid_t pid)
{
	char path[64], text[256] = "", *state;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	state = n > 0 ? strrchr(text, ')') : NULL;
	return state == NULL || state[2] == 'Z' || state[2] == 'X';
}

static bool
goes_away(pid_t pid)
{
	int i;

	for (i = 0; i < (int)(PATIENCE * 1000) && !is_gone(pid); i++)
		usleep(1000);
	return is_gone(pid);
}

static void
what_it_left_running_goes_with_it(void **state)
{
	struct meeting *m = *state;
	char path[] = "/tmp/tend-program-XXXXXX", script[256], text[32] = "";
	int fd = mkstemp(path), status;
	pid_t pid = client_start(m, leave_when_ready);

	assert_true(fd >= 0);
	snprintf(script, sizeof(script),
	    QUIETLY "trap 'exit 3' TERM; (trap '' TERM; exec sleep 60) & echo $! >%s\n"
		    "printf r; wait", path);
	status = tend_conn_exec(&m->c, SH(script), NULL);
	assert_exited(status, 3);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	unlink(path);
	assert_true(atol(text) > 1);
	assert_true(goes_away((pid_t)atol(text)));
	client_has_done_well(pid);
}

/* ---- a client that has finished ---- */

/* Only a local client can be seen to be there still. */
static void
a_finished_local_client_may_wait_as_long_as_it_takes(void **state)
{
	static const struct tend_exec options = { .half_close_timeout = 0.02 };
	struct meeting *m = *state;

	client_finishes(m);
	assert_int_equal(tend_conn_exec(&m->c, SH("sleep 0.3; echo late"), &options), 0);
	assert_string_equal(all_the_client_hears(m), "late\n");
}

static void
a_program_without_progress_is_ended_after_the_client_finished(void **state)
{
	static const struct tend_exec options = { .half_close_timeout = 0.1 };
	struct meeting *m = *state;
	int64_t begun = clock_now();

	client_finishes(m);
	assert_killed_by(tend_conn_exec(&m->c, RUN(WORD("sleep"), WORD("60")), &options), SIGTERM);
	assert_lasted(begun, 0.1);
}

static void
a_program_that_makes_progress_goes_on(void **state)
{
	static const struct tend_exec options = { .half_close_timeout = 1 };
	struct meeting *m = *state;

	client_finishes(m);
	assert_int_equal(tend_conn_exec(&m->c,
	    SH("for i in 1 2 3 4 5 6 7 8; do printf $i; sleep 0.2; done"), &options), 0);
	assert_string_equal(all_the_client_hears(m), "12345678");
}

/* NS-CIO-11 */
static void
client_and_program_may_not_be_silent_for_ever(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	tend_set_timeout(&m->c, 0.1);
	assert_killed_by(tend_conn_exec(&m->c, RUN(WORD("sleep"), WORD("60")), NULL), SIGTERM);
	assert_lasted(begun, 0.1);
}

static void
the_deadline_of_the_connection_ends_the_program(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	tend_set_deadline(&m->c, 0.1);
	assert_killed_by(tend_conn_exec(&m->c, RUN(WORD("sleep"), WORD("60")), NULL), SIGTERM);
	assert_lasted(begun, 0.1);
}

/* ---- a server that stops ---- */

static void
a_stop_ends_the_program(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	signal_arrives(m, true);
	assert_killed_by(tend_conn_exec(&m->c, RUN(WORD("sleep"), WORD("60")), NULL), SIGTERM);
	assert_true(since(begun) < PATIENCE / 2);
}

static void
another_signal_does_not_end_the_program(void **state)
{
	struct meeting *m = *state;

	signal_arrives(m, false);
	runs_well(m, SH("sleep 0.1; echo done"));
	assert_string_equal(all_the_client_hears(m), "done\n");
}

/* As a child of Fork does, whose signals are no events: it runs the program in a child of ours. */
static pid_t
run_in_child(struct meeting *m, const char *script)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct sigaction normal = { .sa_handler = SIG_DFL };

		alarm(60);
		sigaction(SIGTERM, &normal, NULL);
		close(m->client);
		m->mood.interrupt_fd = -1;
		m->mood.cancelled = NULL;
		tend_conn_exec(&m->c, SH(script), NULL);
		_exit(9);
	}
	assert_true(pid > 0);
	/* Ours would keep the socket open. */
	conn_leave(&m->c);
	return pid;
}

static pid_t
hear_pid(struct meeting *m)
{
	char text[32] = "";
	size_t n = 0;

	do
		assert_int_equal(client_receive(m, text + n, 1), 1);
	while (text[n] != '\n' && ++n < sizeof(text) - 1);
	return (pid_t)atol(text);
}

/* NS-SHD-07 */
static void
one_that_is_ended_by_a_signal_takes_its_program_along(void **state)
{
	struct meeting *m = *state;
	pid_t pid = run_in_child(m, "echo $$; exec sleep 60"), program = hear_pid(m);
	int status;

	assert_true(program > 1);
	assert_false(is_gone(program));
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* First the program, which it has reaped, then itself, as if nothing had been held back. */
	assert_killed_by(status, SIGTERM);
	assert_true(is_gone(program));
	client_hears_the_end(m);
}

static void
one_that_is_killed_does_not_leave_its_program_behind(void **state)
{
	struct meeting *m = *state;
	pid_t pid = run_in_child(m, "echo $$; exec sleep 60"), program = hear_pid(m);
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_killed_by(status, SIGKILL);
	assert_true(goes_away(program));
	client_hears_the_end(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(the_client_is_standard_input_and_output),
		BOTH(what_the_handler_wrote_comes_first_and_last),
		UNIX(standard_error_is_the_client_unless_it_goes_to_the_log),
		BOTH(the_connection_outlives_the_program),
		TCP(tcp_addresses_stand_in_the_environment),
		TCP(the_name_of_a_tcp_client_stands_in_the_environment),
		UNIX(unix_clients_are_known_by_their_credentials),
		BOTH(a_given_environment_replaces_our_own),
		TCP(mapped_addresses_are_shown_as_ipv4),
		BOTH(no_descriptor_is_inherited),
		UNIX(no_signal_is_ignored_blocked_or_handled),
		UNIX(our_own_signals_are_as_before),
		UNIX(it_has_a_process_group_of_its_own),
		UNIX(the_exit_status_is_delivered),
		UNIX(a_program_that_cannot_be_run_is_an_error),
		UNIX(input_that_the_program_would_miss_is_an_error),
		{ "a_transport_in_between_is_an_error", a_transport_in_between_is_an_error,
			over_awkward, part_cleanly, NULL },
		UNIX(a_closed_connection_is_an_error),
		UNIX(output_that_cannot_leave_starts_nothing),
		BOTH(the_program_is_told_when_the_client_is_gone),
		BOTH(a_program_that_does_not_listen_is_killed),
		BOTH(what_it_left_running_goes_with_it),
		UNIX(a_finished_local_client_may_wait_as_long_as_it_takes),
		TCP(a_program_without_progress_is_ended_after_the_client_finished),
		TCP(a_program_that_makes_progress_goes_on),
		TCP(client_and_program_may_not_be_silent_for_ever),
		BOTH(the_deadline_of_the_connection_ends_the_program),
		BOTH(a_stop_ends_the_program),
		BOTH(another_signal_does_not_end_the_program),
		UNIX(one_that_is_ended_by_a_signal_takes_its_program_along),
		TCP(one_that_is_ended_by_a_signal_takes_its_program_along),
		BOTH(one_that_is_killed_does_not_leave_its_program_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
