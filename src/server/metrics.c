/*
 * OpenMetrics: each family has its type and a line of help, then its samples; a counter's sample
 * ends in _total. The figures are taken at the moment of the question, so nothing is kept for it.
 */
#include "server/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "server/control.h"
#include "server/master.h"
#include "server/metrics_request.h"
#include "server/personality.h"
#include "server/status.h"

#define TYPE_METRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_TEXT "text/plain; charset=utf-8"

/* ---- families ---- */

static int
family(struct buf *into, const char *name, const char *type, const char *unit, const char *help)
{
	int r = buf_printf(into, "# TYPE %s %s\n", name, type);

	if (r == 0 && unit != NULL)
		r = buf_printf(into, "# UNIT %s %s\n", name, unit);
	return r == 0 ? buf_printf(into, "# HELP %s %s\n", name, help) : r;
}

/* A family of one sample. */
static int
counter(struct buf *into, const char *name, const char *unit, uint64_t value, const char *help)
{
	int r = family(into, name, "counter", unit, help);

	return r == 0 ? buf_printf(into, "%s_total %llu\n", name, (unsigned long long)value) : r;
}

static int
gauge(struct buf *into, const char *name, const char *unit, double value, const char *help)
{
	int r = family(into, name, "gauge", unit, help);

	return r == 0 ? buf_printf(into, "%s %.15g\n", name, value) : r;
}

static int
about_build(struct tend_server *srv, const struct status *s, struct buf *into)
{
	int r = family(into, "tend_build", "info", NULL, "What this server is made of.");

	if (r == 0)
		r = buf_printf(into, "tend_build_info{version=\"%s\",server_type=\"%s\"} 1\n",
		    TEND_VERSION, srv->personality->name);
	if (r == 0)
		r = gauge(into, "tend_ready", NULL, s->unready == NULL,
		    "Whether a new client would be served, as /readyz tells.");
	return r == 0 ? gauge(into, "tend_uptime_seconds", "seconds", s->uptime,
	                    "Since the server began, or was restarted in place, and all counts with it.")
	              : r;
}

static int
about_denied(const struct status *s, struct buf *into)
{
	const uint64_t *n = s->counts;
	enum tend_refusal why;
	int r = family(into, "tend_connections_denied", "counter", NULL,
	    "Connections that were closed without being served.");

	if (r == 0)
		r = buf_printf(into,
		    "tend_connections_denied_total{reason=\"rules\"} %llu\n"
		    "tend_connections_denied_total{reason=\"service\"} %llu\n"
		    "tend_connections_denied_total{reason=\"handshake\"} %llu\n",
		    (unsigned long long)n[LEDGER_DENIED_RULES],
		    (unsigned long long)n[LEDGER_DENIED_SERVICE],
		    (unsigned long long)n[LEDGER_HANDSHAKE_FAILED]);
	for (why = TEND_REFUSAL_NONE + 1; r == 0 && why < TEND_REFUSALS; why++)
		r = buf_printf(into, "tend_connections_denied_total{reason=\"%s\"} %llu\n",
		    status_refusal_name(why), (unsigned long long)s->refused[why]);
	return r;
}

static int
about_connections(const struct status *s, struct buf *into)
{
	const uint64_t *n = s->counts;
	int r = counter(into, "tend_connections_accepted", NULL, s->accepted,
	    "Connections that were accepted, whatever became of them.");

	if (r == 0)
		r = gauge(into, "tend_connections_active", NULL, (double)s->active,
		    "Clients that are being served.");
	if (r == 0)
		r = counter(into, "tend_connections_timed_out", NULL, n[LEDGER_TIMED_OUT],
		    "Connections that met one of their deadlines.");
	if (r == 0)
		r = counter(into, "tend_received_bytes", "bytes", s->received,
		    "Read from clients through connections.");
	if (r == 0)
		r = counter(into, "tend_sent_bytes", "bytes", s->sent,
		    "Sent to clients through connections.");
	return r == 0 ? counter(into, "tend_accept_errors", NULL, n[LEDGER_ACCEPT_ERRORS],
	                    "Failures of accept, mostly for want of descriptors.")
	              : r;
}

/* Buckets count all that took no longer; the last one is without end. */
static int
about_times(struct tend_server *srv, struct buf *into)
{
	struct ledger_times t = { .seconds = 0 };
	uint64_t sum = 0;
	unsigned i;
	int r = family(into, "tend_connection_duration_seconds", "histogram", "seconds",
	    "From a connection's first step to its last.");

	if (srv->ledger != NULL)
		ledger_times(srv->ledger, &t);
	for (i = 0; r == 0 && i < LEDGER_TOOK; i++) {
		sum += t.took[i];
		if (i + 1 < LEDGER_TOOK)
			r = buf_printf(into,
			    "tend_connection_duration_seconds_bucket{le=\"%.6f\"} %llu\n",
			    (double)(UINT64_C(1) << (i + LEDGER_FIRST)) / 1e6, (unsigned long long)sum);
	}
	return r == 0 ? buf_printf(into,
	                    "tend_connection_duration_seconds_bucket{le=\"+Inf\"} %llu\n"
	                    "tend_connection_duration_seconds_sum %.6f\n"
	                    "tend_connection_duration_seconds_count %llu\n",
	                    (unsigned long long)sum, t.seconds, (unsigned long long)sum)
	              : r;
}

static int
about_workers(struct tend_server *srv, const struct status *s, struct buf *into)
{
	const struct master_ends ends =
	    srv->master != NULL ? srv->master->ends : (struct master_ends){ 0, 0, 0 };
	int r = family(into, "tend_workers", "gauge", NULL, "Children that serve, by what they do.");

	if (r == 0)
		r = buf_printf(into,
		    "tend_workers{state=\"waiting\"} %u\ntend_workers{state=\"busy\"} %u\n"
		    "tend_workers{state=\"leaving\"} %u\ntend_workers{state=\"dequeue\"} %u\n",
		    s->waiting, s->busy, s->leaving, s->dequeue);
	if (r == 0)
		r = gauge(into, "tend_workers_limit", NULL, s->most,
		    "How many may serve at the same time; 0: there is no such number.");
	if (r == 0)
		r = family(into, "tend_worker_ends", "counter", NULL,
		    "Children that ended, by how: in order, with an error, killed by a signal.");
	return r == 0 ? buf_printf(into,
	                    "tend_worker_ends_total{how=\"order\"} %llu\n"
	                    "tend_worker_ends_total{how=\"error\"} %llu\n"
	                    "tend_worker_ends_total{how=\"signal\"} %llu\n",
	                    (unsigned long long)ends.order, (unsigned long long)ends.error,
	                    (unsigned long long)ends.signal)
	              : r;
}

/* Those of Thread, in all of its workers. */
static int
about_threads(struct tend_server *srv, const struct status *s, struct buf *into)
{
	int r;

	if (srv->lanes == NULL)
		return 0;
	r = family(into, "tend_threads", "gauge", NULL, "Threads that serve, by what they do.");
	return r == 0 ? buf_printf(into,
	                    "tend_threads{state=\"waiting\"} %u\ntend_threads{state=\"busy\"} %u\n",
	                    s->threads_waiting, s->threads_busy)
	              : r;
}

/* ---- of this process, by the names that every exporter gives them ---- */

static long
resident_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = -1;

	if (f != NULL && fscanf(f, "%*d %ld", &pages) != 1)
		pages = -1;
	if (f != NULL)
		fclose(f);
	return pages;
}

static double
processor_seconds(int who)
{
	struct rusage u;

	if (getrusage(who, &u) < 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
about_process(const struct status *s, struct buf *into)
{
	struct rlimit files = { .rlim_cur = 0 };
	long pages = resident_pages();
	struct timespec now;
	int r = family(into, "process_cpu_seconds", "counter", "seconds",
	    "Processor time of the first process and of children that ended.");

	if (r == 0)
		r = buf_printf(into, "process_cpu_seconds_total %.6f\n",
		    processor_seconds(RUSAGE_SELF) + processor_seconds(RUSAGE_CHILDREN));
	clock_gettime(CLOCK_REALTIME, &now);
	if (r == 0)
		r = gauge(into, "process_start_time_seconds", "seconds",
		    (double)now.tv_sec + (double)now.tv_nsec / 1e9 - s->uptime,
		    "When the counts began, since the epoch: at the start, or at a restart in place.");
	/* A chroot may have no /proc. */
	if (r == 0 && pages >= 0)
		r = gauge(into, "process_resident_memory_bytes", "bytes",
		    (double)pages * (double)sysconf(_SC_PAGESIZE), "Of the first process.");
	if (r == 0 && getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		r = gauge(into, "process_max_fds", NULL, (double)files.rlim_cur,
		    "Descriptors that a process of the server may have.");
	return r;
}

int
metrics_text(struct tend_server *srv, struct buf *into)
{
	struct status s;
	int r;

	status_take(srv, &s);
	r = about_build(srv, &s, into);
	if (r == 0)
		r = about_connections(&s, into);
	if (r == 0)
		r = about_denied(&s, into);
	if (r == 0)
		r = about_times(srv, into);
	if (r == 0)
		r = about_workers(srv, &s, into);
	if (r == 0)
		r = about_threads(srv, &s, into);
	if (r == 0)
		r = about_process(&s, into);
	return r == 0 ? buf_append_text(into, "# EOF\n") : r;
}

/* ---- over HTTP ---- */

static const char *
phrase(int status)
{
	static const struct {
		int         status;
		const char *phrase;
	} known[] = {
		{ 200, "OK" }, { 400, "Bad Request" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return known[i].phrase;
	return "";
}

/* After every answer the connection ends: nobody asks twice in a second. */
static void
respond(struct desk_client *c, int status, const char *type, const struct buf *body, bool head_only)
{
	int r = buf_printf(&c->out,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
	    status, phrase(status), type, buf_length(body), status == 405 ? "Allow: GET, HEAD\r\n" : "");

	if (r == 0 && !head_only)
		buf_append(&c->out, buf_data(body), buf_length(body));
	c->last = true;
}

static int
page_metrics(struct tend_server *srv, struct buf *body)
{
	return metrics_text(srv, body) < 0 ? 500 : 200;
}

/* The loop turns: that is all there is to say. */
static int
page_live(struct tend_server *srv, struct buf *body)
{
	(void)srv;
	buf_append_text(body, "alive\n");
	return 200;
}

static int
page_ready(struct tend_server *srv, struct buf *body)
{
	struct status s;

	status_take(srv, &s);
	buf_printf(body, "%s\n", s.unready != NULL ? s.unready : "ready");
	return s.unready != NULL ? 503 : 200;
}

static const struct {
	const char *path;
	const char *type;
	int       (*write)(struct tend_server *srv, struct buf *body); /* returns the status */
} pages[] = {
	{ "/metrics", TYPE_METRICS, page_metrics },
	{ "/livez", TYPE_TEXT, page_live },
	{ "/readyz", TYPE_TEXT, page_ready },
};

static void
give_page(struct desk_client *c, struct tend_server *srv, const struct metrics_request *request)
{
	struct buf body = { NULL, 0, 0, 0 };
	const char *type = TYPE_TEXT;
	int status = request->status;
	size_t i;

	for (i = 0; status == 200 && i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(request->path, pages[i].path) == 0)
			break;
	if (status == 200 && i < sizeof(pages) / sizeof(pages[0])) {
		status = pages[i].write(srv, &body);
		type = pages[i].type;
	} else {
		status = status == 200 ? 404 : status;
		buf_printf(&body, "%s; here are /metrics, /livez and /readyz\n", phrase(status));
	}
	respond(c, status, type, &body, request->head_only);
	buf_done(&body);
}

void
metrics_answer(struct desk_client *c, void *data)
{
	struct metrics_request request = { .status = 431 };
	size_t head = metrics_request_parse(&request, buf_data(&c->in), buf_length(&c->in));

	if (head == 0 && buf_length(&c->in) < DESK_INPUT)
		return;
	give_page(c, data, &request);
	buf_clear(&c->in);
}
