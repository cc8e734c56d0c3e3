/*
 * The service of test_thread.py: says which thread serves, meets others, forks.
 *
 * Each line of a client is answered with one, unless it says otherwise:
 *   thread         "PID TID" of who serves
 *   meet N         the same, once N handlers of this process have said so at the same time
 *   fork           a child tells the log and the client: "child TASKS BLOCKED", how many threads it
 *                  has and how many signals are blocked; then the parent: "parent STATUS"
 *   forks N        the same N times, without a word to the client until the end: "N STATUSES"
 *   return         a child comes back from the handler; the parent waits for it: "parent STATUS"
 *   program        a child runs a program that tells its mask of signals: two lines
 *   sleep          none; then how the wait ended: "slept CODE"
 *   compute        none, for ever
 *   retire, die    none; this worker retires, dies
 *   streams        "IN OUT", whether descriptors 0 and 1 are sockets; printf() says "lost"
 *   log            its number, which the log has, too
 * Anything else comes back. The end is told to the log: "Ended with CODE".
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tend/tend.h>

static atomic_uint inside, lines_logged;

static int
child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	tend_log(srv, TEND_LOG_NOTICE, "child_start in thread %ld of %ld", (long)gettid(),
	    (long)getpid());
	return 0;
}

static void
child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	tend_log(srv, TEND_LOG_NOTICE, "child_exit in thread %ld of %ld", (long)gettid(),
	    (long)getpid());
}

static void
say_thread(struct tend_conn *c)
{
	tend_printf(c, "%ld %ld\n", (long)getpid(), (long)gettid());
}

static void
meet(struct tend_conn *c, unsigned count)
{
	atomic_fetch_add(&inside, 1);
	while (atomic_load(&inside) < count && tend_sleep(c, 0.005) == 0)
		;
	say_thread(c);
}

static int
tasks(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return n;
}

static int
blocked(void)
{
	sigset_t mask;
	int i, n = 0;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (i = 1; i < NSIG; i++)
		n += sigismember(&mask, i) == 1;
	return n;
}

static int
wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int
fork_once(struct tend_conn *c, bool silent)
{
	pid_t pid;

	tend_flush(c);
	pid = fork();
	if (pid != 0)
		return wait_for(pid);
	/* A child that finds a lock held by a thread that is not there does not wait for ever. */
	signal(SIGALRM, SIG_DFL);
	alarm(60);
	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "In a child of the handler's own");
	if (!silent) {
		tend_printf(c, "child %d %d\n", tasks(), blocked());
		tend_flush(c);
	}
	_exit(0);
}

static void
fork_often(struct tend_conn *c, int count)
{
	int i, statuses = 0;

	for (i = 0; i < count; i++)
		statuses |= fork_once(c, true);
	tend_printf(c, "%d %d\n", count, statuses);
}

/* True in the child. */
static bool
return_from_child(struct tend_conn *c)
{
	pid_t pid;

	tend_flush(c);
	pid = fork();
	if (pid != 0)
		tend_printf(c, "parent %d\n", wait_for(pid));
	else
		tend_printf(c, "child\n");
	return pid == 0;
}

static void
run_program(struct tend_conn *c)
{
	FILE *f = popen("grep -E 'Sig(Blk|Ign)' /proc/self/status", "re");
	char line[256];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		tend_printf(c, "%s", line);
	if (f != NULL)
		pclose(f);
}

static void
sleep_long(struct tend_conn *c)
{
	tend_flush(c);
	tend_printf(c, "slept %d\n", tend_sleep(c, 600));
}

static _Noreturn void
compute(struct tend_conn *c)
{
	tend_flush(c);
	for (volatile unsigned i = 0;; i++)
		;
}

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void
say_streams(struct tend_conn *c)
{
	printf("lost\n");
	fflush(stdout);
	tend_printf(c, "%d %d\n", is_socket(STDIN_FILENO), is_socket(STDOUT_FILENO));
}

static void
log_line(struct tend_conn *c)
{
	unsigned n = atomic_fetch_add(&lines_logged, 1);

	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "Line %u", n);
	tend_printf(c, "%u\n", n);
}

/* False: nothing more is to be read. */
static bool
answer(struct tend_conn *c, const char *line)
{
	if (strcmp(line, "thread") == 0)
		say_thread(c);
	else if (strncmp(line, "meet ", 5) == 0)
		meet(c, (unsigned)atoi(line + 5));
	else if (strcmp(line, "fork") == 0)
		tend_printf(c, "parent %d\n", fork_once(c, false));
	else if (strncmp(line, "forks ", 6) == 0)
		fork_often(c, atoi(line + 6));
	else if (strcmp(line, "return") == 0)
		return !return_from_child(c);
	else if (strcmp(line, "program") == 0)
		run_program(c);
	else if (strcmp(line, "sleep") == 0)
		sleep_long(c);
	else if (strcmp(line, "compute") == 0)
		compute(c);
	else if (strcmp(line, "retire") == 0)
		tend_worker_retire(tend_conn_server(c));
	else if (strcmp(line, "die") == 0)
		abort();
	else if (strcmp(line, "streams") == 0)
		say_streams(c);
	else if (strcmp(line, "log") == 0)
		log_line(c);
	else
		tend_printf(c, "%s\n", line);
	return true;
}

static void
process(struct tend_conn *c)
{
	char *line;
	ssize_t n;

	while ((n = tend_getline(c, &line)) > 0)
		if (!answer(c, line))
			return;
	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "Ended with %s",
	    n < 0 ? strerrorname_np((int)-n) : "the client");
}

static void
full(struct tend_conn *c)
{
	tend_printf(c, "full\n");
}

static void
dequeue(struct tend_server *srv)
{
	tend_log(srv, TEND_LOG_NOTICE, "Dequeue in %ld, %d thread", (long)getpid(), tasks());
}

static const struct tend_service service = {
	.name = "threads",
	.about = "Says which thread serves, meets others, forks.",
	.hooks.child_start = child_start,
	.hooks.child_exit = child_exit,
	.hooks.process = process,
	.hooks.full = full,
	.hooks.dequeue = dequeue,
};

int
main(int argc, char **argv)
{
	static const struct rlimit nothing;

	/* The aborts are no accidents: they leave no core files. */
	setrlimit(RLIMIT_CORE, &nothing);
	return tend_main(argc, argv, &service);
}
