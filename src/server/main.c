/* Whole servers for main(): tend_serve() and tend_main(). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "server/server.h"

/* What tend_main() itself understands, wherever it stands on the command line (NS-CLI-06). */
struct wishes {
	bool help, version, check, dump;
};

static bool
take_wish(struct wishes *w, const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		w->help = true;
	else if (strcmp(word, "--version") == 0)
		w->version = true;
	else if (strcmp(word, "--check") == 0)
		w->check = true;
	else if (strcmp(word, "--dump") == 0)
		w->dump = true;
	else
		return false;
	return true;
}

/* A copy of argv without the wishes; what follows "--" is not looked at. */
static char **
without_wishes(int argc, char **argv, struct wishes *w, int *count)
{
	char **left = calloc((size_t)argc + 1, sizeof(*left));
	bool looking = true;
	int i;

	*count = 0;
	for (i = 0; left != NULL && i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			looking = false;
		if (i == 0 || !looking || !take_wish(w, argv[i]))
			left[(*count)++] = argv[i];
	}
	return left;
}

static int
say_error(struct tend_server *srv)
{
	int status = tend_server_exit_status(srv);

	if (srv == NULL || !srv->caller_told)
		fprintf(stderr, "%s: %s\n", srv != NULL ? srv->name : "tend", tend_server_error(srv));
	return status != 0 ? status : EX_SOFTWARE;
}

static void
say_help(struct tend_server *srv)
{
	printf("usage: %s [options]\n", srv->name);
	if (srv->service->about != NULL)
		printf("%s\n", srv->service->about);
	printf("\nOptions are written --key value, --key=value, key value or key=value.\n"
	       "  --help, --version   show this; the version\n"
	       "  --check, --dump     check the options; print them with their origin; and end\n\n");
	tend_server_usage(srv, stdout);
}

/* An argument that is no option is somebody's mistake, unless the service wants it (NS-OPT-30). */
static int
refuse_leftovers(struct tend_server *srv)
{
	const char *word, *nearest;

	if (srv->service->keep_leftovers || srv->leftover_count == 0)
		return 0;
	word = srv->leftovers[0];
	nearest = options_nearest(srv->options, word);
	return server_fail(srv, EX_USAGE, -EINVAL, "unknown option '%s'%s%s%s", word,
	    nearest != NULL ? "; did you mean --" : " (--help lists all)",
	    nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

static int
run(struct tend_server *srv, int argc, char **argv, const struct wishes *w)
{
	int r;

	srv->strict = w->check;
	r = tend_server_configure(srv, argc, argv);

	if (r == 0 && argv != NULL)
		r = refuse_leftovers(srv);
	if (r == 0 && w->dump)
		tend_server_dump(srv, stdout);
	else if (r == 0)
		r = w->check ? tend_server_check(srv) : tend_server_run(srv);
	return r < 0 ? say_error(srv) : 0;
}

int
tend_main(int argc, char **argv, const struct tend_service *service)
{
	struct tend_server *srv = tend_server_new(service);
	struct wishes w = { false, false, false, false };
	int count, status = 0;
	char **left = without_wishes(argc, argv, &w, &count);

	if (srv == NULL || left == NULL)
		status = say_error(NULL);
	else if (w.help)
		say_help(srv);
	else if (w.version)
		printf("%s (libtend %s: %s)\n", srv->name, tend_version(), tend_features());
	else
		status = run(srv, count, left, &w);
	tend_server_free(srv);
	free(left);
	return status;
}

int
tend_serve(const struct tend_service *service)
{
	struct tend_server *srv = tend_server_new(service);
	static const struct wishes none;
	int status = srv != NULL ? run(srv, 0, NULL, &none) : say_error(NULL);

	tend_server_free(srv);
	return status;
}
