/* tend status: what a running server is doing, for people or as JSON. */
#include "ask.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "snapshot.h"

static const char usage[] =
	"usage: tend status --control PATH | --pid_file FILE | --conf_file FILE [--format text|json]\n";

static char *format;

static const struct tend_option options[] = {
	{ "format", TEND_INTO(&format), .value = "text", .help = "text or json" },
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
print_children(const struct snapshot *s)
{
	char since[16], age[16];
	size_t i;

	if (s->child_count == 0)
		return;
	printf("\n%8s %-8s %-8s %8s %8s %8s %10s  %s\n", "PID", "KIND", "STATE", "SINCE", "AGE",
	    "CLIENTS", "SERVED", "CLIENT");
	for (i = 0; i < s->child_count; i++) {
		const struct shown_child *c = &s->children[i];

		printf("%8ld %-8s %-8s %8s %8s %8u %10llu  %s\n", c->pid, c->kind, c->state,
		    duration_text(since, c->since), duration_text(age, c->age), c->clients, c->served,
		    c->client);
	}
}

static void
print_text(const struct snapshot *s)
{
	char uptime[16];
	size_t i;

	printf("server           %s, %s, pid %ld\n", s->server, s->server_type, s->pid);
	printf("state            %s for %s, ready: %s\n", s->state,
	    duration_text(uptime, s->uptime), s->ready);
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
	print_children(s);
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
