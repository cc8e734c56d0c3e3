/*
 * tend top: a running server on a screen, again and again. What is drawn is the answer to "status";
 * rates are the difference of two answers.
 */
#include "ask.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "screen.h"
#include "snapshot.h"

#define PATIENCE 3 /* seconds that a frame may wait for its answer */

static const char usage[] =
	"usage: tend top --control PATH | --pid_file FILE | --conf_file FILE [--interval SECONDS]\n"
	"                [--frames NUMBER]\n\n"
	"q or INT ends it. Without a terminal, or with TERM=dumb, frames follow each other.\n";

static double interval;
static int    frames;

static const struct tend_option options[] = {
	{ "interval", TEND_INTO(&interval), .value = "2", .help = "seconds between two frames" },
	{ "frames", TEND_INTO(&frames), .value = "0", .help = "ends after so many; 0: never" },
	TEND_END
};

/* One moment: the answer, and when it came. */
struct moment {
	char           *text;
	struct snapshot snapshot;
	double          at;
};

static struct top {
	struct ask        ask;
	struct screen     screen;
	struct tend_loop *loop;
	struct tend_timer tick;
	struct tend_watch keys;
	struct moment     before, now;
	int               drawn; /* frames */
	int               status;
} top;

static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- taking a moment ---- */

static void
moment_done(struct moment *m)
{
	snapshot_done(&m->snapshot);
	free(m->text);
	*m = (struct moment){ .text = NULL };
}

/* Asks, anew where the server has gone and come again, as it does in a restart. */
static int
fetch(struct moment *m)
{
	int status = -1;

	if (top.ask.fd >= 0)
		status = ask(&top.ask, "status\n");
	if (status < 0 && (status = ask_open(&top.ask)) == 0)
		status = ask(&top.ask, "status\n");
	if (status != 0)
		return status;
	m->text = strdup(top.ask.text);
	m->at = seconds_now();
	return m->text != NULL && snapshot_take(&m->snapshot, m->text) == 0 ? 0 : EX_OSERR;
}

static double
rate(unsigned long long before, unsigned long long now, double seconds)
{
	return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static int
by_pid(const void *a, const void *b)
{
	const struct shown_child *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid > y->pid ? 1 : -1;
	return (x->thread > y->thread) - (x->thread < y->thread);
}

/* Threads behind children, and those that do something first; within them the order stays from frame
   to frame. */
static int
by_state(const void *a, const void *b)
{
	const struct shown_child *x = a, *y = b;
	int x_rank = snapshot_rank(x), y_rank = snapshot_rank(y);

	if ((x->thread < 0) != (y->thread < 0))
		return x->thread < 0 ? -1 : 1;
	return x_rank != y_rank ? x_rank - y_rank : by_pid(a, b);
}

/* One that was not there before has served all it has since. A pid that stands for another child by
   now has mostly served less. */
static void
add_rates(const struct snapshot *before, struct snapshot *now, double seconds)
{
	size_t i;

	if (before->child_count > 0)
		qsort(before->children, before->child_count, sizeof(*before->children), by_pid);
	for (i = 0; i < now->child_count; i++) {
		struct shown_child *c = &now->children[i];
		const struct shown_child *then = before->child_count == 0 ? NULL
		    : bsearch(c, before->children, before->child_count, sizeof(*c), by_pid);

		c->rate = rate(then != NULL ? then->served : 0, c->served, seconds);
	}
}

/* ---- drawing ---- */

static void
draw_head(const struct snapshot *s, const struct snapshot *then, double seconds)
{
	struct screen *screen = &top.screen;
	char up[16];

	screen_line(screen, "%s (%s, pid %ld) %s for %s, ready: %s", s->server, s->server_type,
	    s->pid, s->state, duration_text(up, s->uptime), s->ready);
	screen_line(screen, "children: %llu busy, %llu waiting, %llu leaving, %llu for the queue, "
	    "%llu at most", s->busy, s->waiting, s->leaving, s->dequeue, s->max_servers);
	if (s->threads_busy + s->threads_waiting > 0)
		screen_line(screen, "threads:  %llu busy, %llu waiting", s->threads_busy, s->threads_waiting);
	screen_line(screen, "clients:  %llu now, %llu accepted, %.1f/s; %llu timed out", s->active,
	    s->accepted, rate(then->accepted, s->accepted, seconds), s->timed_out);
	screen_line(screen, "refused:  %llu by limits, %llu by rules, %llu by the service, "
	    "%llu handshakes", snapshot_refused(s), s->denied_rules, s->denied_service,
	    s->handshake_failed);
	screen_line(screen, "traffic:  %.1f kB/s in, %.1f kB/s out; %llu accept errors",
	    rate(then->bytes_received, s->bytes_received, seconds) / 1e3,
	    rate(then->bytes_sent, s->bytes_sent, seconds) / 1e3, s->accept_errors);
}

/* A thread shows its number where a child shows how many clients it has. */
static void
draw_row(const struct shown_child *c)
{
	char since[16], age[16], open[16];

	snprintf(open, sizeof(open), "%s%u", c->thread < 0 ? "" : "#",
	    c->thread < 0 ? c->clients : (unsigned)c->thread);
	screen_line(&top.screen, "%7ld %-7s %7s %7s %4s %9llu %7.1f %s", c->pid,
	    strcmp(c->kind, "dequeue") == 0 ? c->kind : c->state, duration_text(since, c->since),
	    duration_text(age, c->age), open, c->served, c->rate, c->client);
}

static void
draw_children(struct snapshot *s)
{
	size_t i;

	screen_line(&top.screen, "%s", "");
	screen_line(&top.screen, "%7s %-7s %7s %7s %4s %9s %7s %s", "PID", "STATE", "SINCE", "AGE",
	    "OPEN", "SERVED", "RATE/S", "CLIENT");
	if (s->child_count > 0)
		qsort(s->children, s->child_count, sizeof(*s->children), by_state);
	for (i = 0; i < s->child_count; i++) {
		/* The last row says how many have no room. */
		if (screen_left(&top.screen) == 1 && i + 1 < s->child_count) {
			screen_line(&top.screen, "... and %zu more", s->child_count - i);
			return;
		}
		draw_row(&s->children[i]);
	}
}

static void
draw(void)
{
	struct snapshot *s = &top.now.snapshot;

	screen_begin(&top.screen);
	if (top.now.text == NULL) {
		screen_line(&top.screen, "no server answers at %s; still asking", top.ask.path);
	} else {
		draw_head(s, top.before.text != NULL ? &top.before.snapshot : s,
		    top.now.at - top.before.at);
		draw_children(s);
	}
	screen_end(&top.screen);
}

/* ---- the loop ---- */

static void
end(int status)
{
	top.status = status;
	tend_loop_stop(top.loop);
}

static void
next_frame(struct tend_timer *t)
{
	int status;

	(void)t;
	moment_done(&top.before);
	top.before = top.now;
	top.now = (struct moment){ .text = NULL };
	status = fetch(&top.now);
	/* What is wrong from the beginning will not get better by asking again. */
	if (status != 0 && top.drawn == 0) {
		end(status > 0 ? status : complain(EX_UNAVAILABLE,
		    "top: the server at %s does not answer", top.ask.path));
		return;
	}
	if (top.drawn == 0)
		screen_open(&top.screen);
	/* From now on the screen says it. */
	top.ask.quiet = true;
	if (top.before.text != NULL && top.now.text != NULL)
		add_rates(&top.before.snapshot, &top.now.snapshot, top.now.at - top.before.at);
	draw();
	top.drawn++;
	if (ferror(stdout) || (frames > 0 && top.drawn >= frames))
		end(ferror(stdout) ? EX_IOERR : 0);
}

static void
key_pressed(struct tend_watch *w, unsigned events)
{
	char key;

	(void)events;
	if (read(STDIN_FILENO, &key, 1) != 1)
		tend_watch_stop(w);
	else if (key == 'q' || key == 'Q')
		end(0);
}

static void
told_to_end(struct tend_signal *s)
{
	(void)s;
	end(0);
}

static void
resized(struct tend_signal *s)
{
	(void)s;
	screen_measure(&top.screen);
	if (top.drawn > 0 && top.screen.live)
		draw();
}

/* Stopped by a key or a shell: the terminal is whole meanwhile. */
static void
suspended(struct tend_signal *s)
{
	bool live = top.screen.live;

	(void)s;
	screen_close(&top.screen);
	raise(SIGSTOP);
	if (live) {
		screen_open(&top.screen);
		draw();
	}
}

static const struct {
	int            signo;
	tend_signal_fn act;
} reactions[] = {
	{ SIGINT, told_to_end }, { SIGTERM, told_to_end }, { SIGQUIT, told_to_end },
	{ SIGHUP, told_to_end }, { SIGPIPE, told_to_end }, { SIGWINCH, resized },
	{ SIGTSTP, suspended },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
run(void)
{
	struct tend_signal signals[COUNT(reactions)];
	size_t i;

	top.ask.patience = PATIENCE;
	top.loop = tend_loop_new(NULL);
	if (top.loop == NULL)
		return complain(EX_OSERR, "top: cannot make an event loop");
	for (i = 0; i < COUNT(reactions); i++) {
		tend_signal_init(&signals[i], reactions[i].act, NULL);
		tend_signal_start(top.loop, &signals[i], reactions[i].signo);
	}
	tend_timer_init(&top.tick, next_frame, NULL);
	tend_watch_init(&top.keys, key_pressed, NULL);
	next_frame(&top.tick);
	if (top.screen.keys)
		tend_watch_start(top.loop, &top.keys, STDIN_FILENO, TEND_READ);
	tend_timer_repeat(top.loop, &top.tick, interval > 0.1 ? interval : 0.1);
	/* One that came to its end at once has stopped the loop already. */
	tend_loop_run(top.loop);
	screen_close(&top.screen);
	tend_loop_free(top.loop);
	moment_done(&top.before);
	moment_done(&top.now);
	return top.status;
}

int
command_top(int argc, char **argv)
{
	int used, status;

	if (ask_help(argc, argv, usage))
		return 0;
	status = ask_options(&top.ask, "top", options, argc, argv, &used);
	if (status == 0 && used < argc)
		status = complain(EX_USAGE, "top: '%s' is no option; write --%s", argv[used],
		    argv[used]);
	return ask_done(&top.ask, status == 0 ? run() : status);
}
