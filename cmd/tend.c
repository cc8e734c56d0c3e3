/*
 * tend: which command the first word names. A personality, or no word of ours at all, serves
 * net-server's talkative echo (NS-CLI-01, -02).
 */
#include "tend.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct command {
	const char *name;
	command_fn  run;
	const char *synopsis;
	const char *help;
} commands[] = {
	{ "echo", command_echo, "echo [options]", "every byte comes back (RFC 862)" },
	{ "run", command_run, "run [options] -- PROGRAM ...", "any program as the handler" },
	{ "serve", command_serve, "serve SERVICE.so [options]", "a service in a shared object" },
	{ "check", command_check, "check [command] [options]", "check a configuration, and end" },
	{ "dump", command_dump, "dump [command] [options]", "print each option and its origin" },
	{ "status", command_status, "status --control PATH", "what a running server is doing" },
	{ "top", command_top, "top --control PATH", "the same, again and again" },
	{ "ctl", command_ctl, "ctl --control PATH REQUEST", "reload, stop, resize, ... a running server" },
};

/* Words of net-server; the last four wait for other parts of tend. */
static const char *const personalities[] = {
	"Single", "INET", "Fork", "PreForkSimple", "PreFork", "MultiType",
	"Multiplex", "Thread", "HTTP", "PSGI",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int
complain(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("tend: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return status;
}

static void
say_help(void)
{
	size_t i;

	printf("usage: tend COMMAND [options]\n       tend PERSONALITY [key value]...\n\n");
	for (i = 0; i < COUNT(commands); i++)
		printf("  tend %-30s %s\n", commands[i].synopsis, commands[i].help);
	printf("  tend Fork|PreFork|Single|...        a talkative echo, as net-server does\n"
	       "\n`tend COMMAND --help` lists the options; tend(1) and tend.conf(5) explain them.\n");
}

bool
is_personality(const char *word)
{
	size_t i;

	for (i = 0; i < COUNT(personalities); i++)
		if (strcasecmp(word, personalities[i]) == 0)
			return true;
	return false;
}

/* A first word that is neither of ours nor an option is a mistake (NS-CLI-03, -04). */
static bool
is_plain_word(const char *word)
{
	return word[0] != '\0' &&
	    strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
	    strlen(word);
}

/* A word that differs from ours only in case, or by one letter more, fewer, wrong or swapped. */
static bool
is_near(const char *a, const char *b)
{
	size_t i = 0, j, la = strlen(a), lb = strlen(b);

	while (i < la && i < lb && tolower((unsigned char)a[i]) == tolower((unsigned char)b[i]))
		i++;
	for (j = 0; j < la - i && j < lb - i &&
	    tolower((unsigned char)a[la - 1 - j]) == tolower((unsigned char)b[lb - 1 - j]); j++)
		;
	return la - i - j <= 2 && lb - i - j <= 2 && la > 2;
}

static const char *
nearest(const char *word)
{
	size_t i;

	for (i = 0; i < COUNT(commands); i++)
		if (is_near(word, commands[i].name))
			return commands[i].name;
	for (i = 0; i < COUNT(personalities); i++)
		if (is_near(word, personalities[i]))
			return personalities[i];
	return NULL;
}

static bool
is_option(const char *word)
{
	struct tend_server *srv = tend_server_new(&talk_service);
	char *none[] = { (char *)(uintptr_t)"tend", NULL };
	bool known = word[0] == '-' ||
	    (tend_server_configure(srv, 1, none) == 0 && tend_server_get(srv, word) != NULL);

	tend_server_free(srv);
	return known;
}

command_fn
command_find(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run;
	return NULL;
}

int
main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	command_fn run = word != NULL ? command_find(word) : NULL;

	if (run != NULL)
		return run(argc - 1, argv + 1);
	if (word != NULL && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0)) {
		say_help();
		return 0;
	}
	if (word != NULL && is_plain_word(word) && !is_personality(word) && !is_option(word))
		return complain(EX_USAGE, "'%s' is no command and no personality; %s%s", word,
		    nearest(word) != NULL ? "did you mean " : "tend --help lists them",
		    nearest(word) != NULL ? nearest(word) : "");
	return command_talk(argc, argv);
}
