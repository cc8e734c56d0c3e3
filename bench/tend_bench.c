/*
 * tend's side of the benchmarks: the same work as the bare servers do, written as services.
 *
 *	tend_bench [SERVICE] [options of any server made with tend]
 *
 * The personality is an option; which hooks are filled in is not, so each way to write the work is a
 * service of its own.
 */
#include <errno.h>
#include <string.h>
#include <tend/tend.h>

/* 63 characters and a newline. */
static const char answer[] =
    "the quick brown fox jumps over the lazy dog, 64 bytes at a time\n";
_Static_assert(sizeof(answer) == 64 + 1, "the answer has 64 bytes");

/* What a handler with a buffer of its own reads at once: on a thread's stack, and on a fiber's. */
#define ROOM 65536
#define ROOM_SMALL 1024

static void
answer_line(struct tend_conn *c)
{
	char *line;

	if (tend_getline(c, &line) > 0)
		tend_write(c, answer, sizeof(answer) - 1);
}

static void
answer_line_evented(struct tend_conn *c)
{
	char *line;
	ssize_t n = tend_getline(c, &line);

	if (n > 0)
		tend_write(c, answer, sizeof(answer) - 1);
	if (n != -EAGAIN)
		tend_close(c);
}

/* Without a buffer of its own: clients take turns on the connection's. */
static ssize_t
echo_what_comes(struct tend_conn *c)
{
	char *data;
	ssize_t n;

	while ((n = tend_take(c, &data, 0)) > 0)
		if (tend_write(c, data, (size_t)n) < 0)
			break;
	return n;
}

static void
echo(struct tend_conn *c)
{
	echo_what_comes(c);
}

static void
echo_through(struct tend_conn *c, char *buffer, size_t size)
{
	ssize_t n;

	while ((n = tend_read(c, buffer, size)) > 0)
		if (tend_write(c, buffer, (size_t)n) < 0)
			return;
}

static void
echo_own(struct tend_conn *c)
{
	char buffer[ROOM];

	echo_through(c, buffer, sizeof(buffer));
}

static void
echo_small(struct tend_conn *c)
{
	char buffer[ROOM_SMALL];

	echo_through(c, buffer, sizeof(buffer));
}

static void
echo_evented(struct tend_conn *c)
{
	ssize_t n = echo_what_comes(c);

	if (n != -EAGAIN)
		tend_close(c);
}

#define SERVICE(hook, work, does)                                                              \
	{                                                                                      \
		.name = "tend_bench", .config.no_client_stdout = true, .hooks.hook = (work),   \
		.about = does "; measured by bench/run"                                        \
	}

static const struct {
	const char *name;
	struct tend_service service;
} services[] = {
	{ "answer", SERVICE(process, answer_line, "answers a line with 64 bytes") },
	{ "answer-evented", SERVICE(readable, answer_line_evented, "answers a line, evented") },
	{ "echo", SERVICE(process, echo, "sends every byte back") },
	{ "echo-own", SERVICE(process, echo_own, "sends every byte back, through a buffer of its own") },
	{ "echo-small", SERVICE(process, echo_small, "sends every byte back, 1 KiB at a time") },
	{ "echo-evented", SERVICE(readable, echo_evented, "sends every byte back, evented") },
};

int
main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(services) / sizeof(services[0]); i++) {
		if (strcmp(argv[1], services[i].name) != 0)
			continue;
		argv[1] = argv[0];
		return tend_main(argc - 1, argv + 1, &services[i].service);
	}
	return tend_main(argc, argv, &services[0].service);
}
