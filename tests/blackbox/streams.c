/*
 * A service of test_core_pool.py whose handler knows nothing of tend: it prints, and reads with
 * fgets. Each line of a client is a word, with an argument for some:
 *
 *	say TEXT   prints it
 *	where      prints what the descriptors 0, 1 and 2 are
 *	raw        prints "go", then read() and write() on the descriptors until the client has
 *	           finished sending; what fgets has read ahead before that is lost to it
 *	cat        the same by a child program
 *	both       prints, and lets a child program print
 *	residue    prints half a line and leaves a full buffer of input unread
 *	close      lets go of the client and waits at the gate
 *	own TEXT   prints to what is standard output without the binding
 *
 * Option `trace`: a file, to which the hook `closed` tells what the descriptors are and how reading
 * ended. Option `gate`: a fifo that somebody opens. Option `handle`: the handler does not use the
 * standard streams but asks for the connection's.
 *
 * After the server it goes on with its own input and output: the first line of one to the other.
 * USR2 lets the parent kill one of its children and wait for it, behind the server's back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tend/tend.h>

static struct {
	const char *trace, *gate;
	bool        handle;
	pid_t       newborn;
	int         reading; /* errno of the read that ended it */
} own;

static const struct tend_option options[] = {
	{ "trace", TEND_INTO(&own.trace), .help = "file to tell of every end" },
	{ "gate", TEND_INTO(&own.gate), .help = "fifo to wait at" },
	{ "handle", TEND_INTO(&own.handle), .value = "no", .help = "leave standard streams alone" },
	TEND_END
};

static const char *
what_is(int fd, char text[64])
{
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, text, 63);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? text : "closed";
}

static void
say_where(FILE *to, const char *first)
{
	char text[3][64];

	fprintf(to, "%s %s %s %s\n", first, what_is(0, text[0]), what_is(1, text[1]),
	    what_is(2, text[2]));
}

static void
relay(void)
{
	char piece[256];
	ssize_t n;

	while ((n = read(0, piece, sizeof(piece))) > 0)
		if (write(1, piece, (size_t)n) != n)
			return;
}

/* The client is gone, the handler goes on. */
static void
close_early(struct tend_conn *c)
{
	tend_close(c);
	close(open(own.gate, O_RDONLY | O_CLOEXEC));
	printf("for nobody\n");
	fflush(stdout);
}

static void
run(struct tend_conn *c, FILE *out, const char *word, const char *rest)
{
	if (strcmp(word, "say") == 0)
		fprintf(out, "%s\n", rest);
	else if (strcmp(word, "where") == 0)
		say_where(out, "at");
	else if (strcmp(word, "raw") == 0 || strcmp(word, "cat") == 0) {
		fprintf(out, "go\n");
		fflush(out);
		if (strcmp(word, "raw") == 0)
			relay();
		else if (system("cat") != 0)
			fprintf(out, "cat failed\n");
	} else if (strcmp(word, "residue") == 0)
		fprintf(out, "half");
	else if (strcmp(word, "close") == 0)
		close_early(c);
	else if (strcmp(word, "own") == 0)
		printf("%s\n", rest);
	else if (strcmp(word, "both") == 0) {
		fprintf(out, "first\n");
		fflush(out);
		if (system("echo second") == 0)
			fprintf(out, "third\n");
	}
}

static void
process(struct tend_conn *c)
{
	FILE *in = stdin, *out = stdout;
	char line[256];

	if (own.handle && tend_conn_stdio(c, &in, &out) < 0)
		return;
	errno = 0;
	for (;;) {
		char *rest;

		fprintf(out, "? ");
		if (fgets(line, sizeof(line), in) == NULL)
			break;
		line[strcspn(line, "\n")] = '\0';
		rest = line + strcspn(line, " ");
		if (*rest != '\0')
			*rest++ = '\0';
		run(c, out, line, rest);
		if (strcmp(line, "residue") == 0)
			return;
	}
	own.reading = ferror(in) ? errno : 0;
}

static void
closed(struct tend_conn *c)
{
	FILE *f = own.trace != NULL ? fopen(own.trace, "ae") : NULL;

	(void)c;
	if (f == NULL)
		return;
	say_where(f, own.reading == 0 ? "end"
	    : own.reading == ETIMEDOUT ? "ETIMEDOUT" : "error");
	fclose(f);
}

static void
child_born(struct tend_server *srv, pid_t pid, enum tend_child_kind kind)
{
	(void)srv;
	(void)kind;
	own.newborn = pid;
}

static void
on_signal(struct tend_server *srv, int signo)
{
	(void)srv;
	if (signo != SIGUSR2 || own.newborn == 0)
		return;
	kill(own.newborn, SIGKILL);
	waitpid(own.newborn, NULL, 0);
}

static const struct tend_service service = {
	.name = "streams",
	.about = "A handler that prints and reads with fgets.",
	.options = options,
	.hooks.child_born = child_born,
	.hooks.process = process,
	.hooks.closed = closed,
	.hooks.signal = on_signal,
};

int
main(int argc, char **argv)
{
	int status = tend_main(argc, argv, &service);
	char line[64];

	if (fgets(line, sizeof(line), stdin) != NULL)
		printf("mine again: %s", line);
	return status;
}
