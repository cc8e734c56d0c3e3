/*
 * tend's side of the benchmarks: the same work as the bare servers do, written as a service.
 * The personality comes on the command line, as for any server made with tend.
 */
#include <tend/tend.h>

/* 63 characters and a newline. */
static const char answer[] =
    "the quick brown fox jumps over the lazy dog, 64 bytes at a time\n";
_Static_assert(sizeof(answer) == 64 + 1, "the answer has 64 bytes");

static void
answer_line(struct tend_conn *c)
{
	char *line;

	if (tend_getline(c, &line) > 0)
		tend_write(c, answer, sizeof(answer) - 1);
}

static const struct tend_service service = {
	.name = "tend_bench",
	.config.no_client_stdout = true,
	.hooks.process = answer_line,
	.about = "answers a line with 64 bytes; measured by bench/run",
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
