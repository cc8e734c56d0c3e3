/* tend status: what a running server is doing, for people or as JSON. */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "snapshot.h"

static const char usage[] =
	"usage: tend status --control PATH | --pid_file FILE | --conf_file FILE [--format text|json]\n"
	"                   [--threads NUMBER]\n";

static char *format;
static unsigned most_threads;

static const struct tend_option options[] = {
	{ "format", TEND_INTO(&format), .value = "text", .help = "text or json" },
	{ "threads", TEND_INTO(&most_threads), .value = "20", .help = "busy threads to show, as text" },
	TEND_END
};

/* "tcp 127.0.0.1 7007", "unix - /run/x.sock": as it would be written in the option port. */
static void
print_endpoint(const char *text)
{
	char proto[32], host[128];
	int at = 0;

	if (sscanf(text, "%31s %127s %n", proto, host, &at) < 2 || at == 0)
		return;
	if (strcmp(host, "-") == 0)
		printf("listens at       %s (%s)\n", text + at, proto);
	else if (strchr(host, ':') != NULL)
		printf("listens at       [%s]:%s (%s)\n", host, text + at, proto);
	else
		printf("listens at       %s:%s (%s)\n", host, text + at, proto);
}

static void
print_row(const struct shown_child *c, const char *kind)
{
	char since[16], age[16];

	printf("%8ld %-8s %-8s %8s %8s %8u %10llu  %s\n", c->pid, kind, c->state,
	    duration_text(since, c->since), duration_text(age, c->age), c->clients, c->served, c->client);
}

static void
print_children(const struct snapshot *s)
{
	size_t i;

	printf("\n%8s %-8s %-8s %8s %8s %8s %10s  %s\n", "PID", "KIND", "STATE", "SINCE", "AGE",
	    "CLIENTS", "SERVED", "CLIENT");
	for (i = 0; i < s->child_count; i++)
		if (s->children[i].thread < 0)
			print_row(&s->children[i], s->children[i].kind);
}

/* Busy ones first, and of these who has been longest at it. */
static int
by_work(const void *a, const void *b)
{
	const struct shown_child *x = a, *y = b;
	int x_rank = snapshot_rank(x), y_rank = snapshot_rank(y);

	return x_rank != y_rank ? x_rank - y_rank : (x->since < y->since) - (x->since > y->since);
}

/* Only those that serve: there may be hundreds, and they are alike when they wait. */
static void
print_threads(struct snapshot *s)
{
	unsigned long long shown = 0;
	size_t i;

	qsort(s->children, s->child_count, sizeof(*s->children), by_work);
	for (i = 0; i < s->child_count && shown < most_threads; i++) {
		const struct shown_child *c = &s->children[i];
		char number[16];

		if (c->thread < 0 || c->clients == 0)
			continue;
		snprintf(number, sizeof(number), "#%d", c->thread);
		print_row(c, number);
		shown++;
	}
	if (s->threads_busy > shown)
		printf("... and %llu more threads that are busy (--threads, or --format json)\n",
		    s->threads_busy - shown);
}

static void
print_text(struct snapshot *s)
{
	char uptime[16];
	size_t i;

	printf("server           %s, %s, pid %ld\n", s->server, s->server_type, s->pid);
	printf("state            %s for %s%s, ready: %s\n", s->state,
	    duration_text(uptime, s->uptime),
	    strcmp(s->began_by, "restart") == 0 ? " since its restart, as all counts" : "", s->ready);
	for (i = 0; i < s->endpoint_count; i++)
		print_endpoint(s->endpoints[i]);
	printf("connections      %llu accepted, %llu active, %llu timed out\n", s->accepted, s->active,
	    s->timed_out);
	printf("denied           %llu by rules, %llu by the service, %llu failed to shake hands\n",
	    s->denied_rules, s->denied_service, s->handshake_failed);
	printf("refused          %llu by max_servers, %llu by max_connections, %llu by max_per_source, "
	       "%llu by source_rate\n", s->refused_max_servers, s->refused_max_connections,
	    s->refused_max_per_source, s->refused_source_rate);
	printf("bytes            %llu received, %llu sent\n", s->bytes_received, s->bytes_sent);
	printf("accept errors    %llu\n", s->accept_errors);
	printf("children         %llu waiting, %llu busy, %llu leaving, %llu for the queue",
	    s->waiting, s->busy, s->leaving, s->dequeue);
	if (s->max_servers > 0)
		printf("; %llu may serve", s->max_servers);
	putchar('\n');
	if (s->threads_busy + s->threads_waiting > 0)
		printf("threads          %llu waiting, %llu busy\n", s->threads_waiting, s->threads_busy);
	if (s->child_count > 0)
		print_children(s);
	if (s->threads_busy > 0)
		print_threads(s);
}

static int
show(struct ask *a, bool json)
{
	struct snapshot s;
	int status = ask(a, json ? "status json\n" : "status\n");

	if (status < 0)
		return complain(EX_UNAVAILABLE, "status: the server at %s does not answer", a->path);
	if (status != 0)
		return status;
	if (json) {
		fputs(a->text, stdout);
		return 0;
	}
	if (snapshot_take(&s, a->text) < 0)
		status = complain(EX_OSERR, "status: out of memory");
	else
		print_text(&s);
	snapshot_done(&s);
	return status;
}

static int
run(struct ask *a, int argc, char **argv, int used)
{
	bool json = strcasecmp(format, "json") == 0;
	int status;

	if (used < argc)
		return complain(EX_USAGE, "status: '%s' is no option; write --%s", argv[used], argv[used]);
	if (!json && strcasecmp(format, "text") != 0)
		return complain(EX_USAGE, "status: format is text or json, not '%s'", format);
	status = ask_open(a);
	if (status == 0)
		status = show(a, json);
	if (status == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		return complain(EX_IOERR, "status: cannot write to standard output");
	return status;
}

int
command_status(int argc, char **argv)
{
	struct ask a;
	int used, status;

	if (ask_help(argc, argv, usage))
		return 0;
	status = ask_options(&a, "status", options, argc, argv, &used);
	return ask_done(&a, status == 0 ? run(&a, argc, argv, used) : status);
}
