/*
 * Signals as events. Dispositions belong to the process, so the table of them is one of the few
 * things in tend that is not part of an object. The handler marks the signal as pending in each
 * loop that wants it and writes one byte into the pipe of that loop. The mark is what counts: a
 * full pipe loses nothing.
 *
 * The list of channels is read by handlers at any moment and in any thread. It is changed under a
 * lock, and what was taken out is given up only when no handler is at work.
 *
 * A channel carries the pid it was made in. A child between fork and tend_loop_after_fork(), or
 * one made by vfork(), thus never reports its signals to the loop of its parent.
 */
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

/* What is written here holds for one process: a child of fork starts with none of it. */
struct disposition {
	struct sigaction before;
	pid_t            pid;
	bool             installed;
	size_t           users;
};

static _Atomic(struct channel *) channels;
static atomic_int handlers_at_work;
static struct disposition dispositions[NSIG];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the way from a handler to the loop ---- */

static unsigned
word_of(int signo)
{
	return (unsigned)signo / 32;
}

static unsigned
bit_of(int signo)
{
	return 1U << (unsigned)signo % 32;
}

/* A full pipe is fine: it is readable, which is all that is needed. */
static void
ring(struct channel *c, int what)
{
	unsigned char byte = (unsigned char)what;
	ssize_t n;

	do {
		n = write(atomic_load(&c->out), &byte, 1);
	} while (n < 0 && errno == EINTR);
}

static void
on_signal(int signo)
{
	int saved = errno, self = getpid();
	struct channel *c;

	atomic_fetch_add(&handlers_at_work, 1);
	for (c = atomic_load(&channels); c != NULL; c = atomic_load(&c->next)) {
		if (atomic_load(&c->pid) != self)
			continue;
		if ((atomic_load(&c->wanted[word_of(signo)]) & bit_of(signo)) == 0)
			continue;
		atomic_fetch_or(&c->pending[word_of(signo)], bit_of(signo));
		atomic_store(&c->marked, true);
		ring(c, signo);
	}
	atomic_fetch_sub(&handlers_at_work, 1);
	/* Not written without need: a parent that forks would copy a page for it at each child's end. */
	if (errno != saved)
		errno = saved;
}

void
tend_loop_wake(struct tend_loop *loop)
{
	int saved = errno;

	if (!atomic_exchange(&loop->channel.woken, true))
		ring(&loop->channel, 0);
	errno = saved;
}

/* ---- channels ---- */

#if !HAVE_PIPE2
static int
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}
#endif

static int
open_pipe(int fds[2])
{
#if HAVE_PIPE2
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
#else
	int r;

	if (pipe(fds) < 0)
		return -errno;
	r = set_flags(fds[0]);
	if (r == 0)
		r = set_flags(fds[1]);
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return r;
#endif
}

static void
drain(struct channel *c)
{
	char bytes[256];
	ssize_t n;

	do {
		n = read(atomic_load(&c->in), bytes, sizeof(bytes));
	} while (n == (ssize_t)sizeof(bytes) || (n < 0 && errno == EINTR));
}

/* The marks that the bytes stand for. The next turn delivers them, and does not wait. */
static void
take_marks(struct tend_loop *loop)
{
	struct channel *c = &loop->channel;
	unsigned any = 0, i;

	if (atomic_exchange(&c->woken, false))
		loop->hurry = true;
	/* First this: a handler sets it last. */
	atomic_store(&c->marked, false);
	for (i = 0; i < SIGNAL_WORDS; i++)
		any |= loop->collected[i] |= atomic_exchange(&c->pending[i], 0);
	loop->signals_due = any != 0;
}

/*
 * Signals were collected before any descriptor was served; what is left are bytes for nothing, and
 * those of signals that came in the callbacks of others: their marks must not stay behind.
 */
static void
on_channel(struct tend_watch *w, unsigned events)
{
	struct tend_loop *loop = w->data;

	(void)events;
	loop->stats.events--;
	drain(&loop->channel);
	take_marks(loop);
}

static void
list_channel(struct channel *c)
{
	pthread_mutex_lock(&lock);
	atomic_store(&c->next, atomic_load(&channels));
	atomic_store(&channels, c);
	pthread_mutex_unlock(&lock);
}

static void
unlist_channel(struct channel *c)
{
	_Atomic(struct channel *) *from = &channels;
	struct channel *other;

	pthread_mutex_lock(&lock);
	while ((other = atomic_load(from)) != NULL && other != c)
		from = &other->next;
	if (other == c)
		atomic_store(from, atomic_load(&c->next));
	pthread_mutex_unlock(&lock);
	/* A handler in another thread may have it in hand. In a child that thread is not there. */
	while (atomic_load(&c->pid) == getpid() && atomic_load(&handlers_at_work) > 0)
		sched_yield();
}

int
channel_open(struct tend_loop *loop)
{
	struct channel *c = &loop->channel;
	int fds[2], r;

	r = open_pipe(fds);
	if (r < 0)
		return r;
	tend_watch_init(&loop->channel_watch, on_channel, loop);
	r = tend_watch_start(loop, &loop->channel_watch, fds[0], TEND_READ);
	if (r < 0)
		goto close_pipe;
	atomic_store(&c->in, fds[0]);
	atomic_store(&c->out, fds[1]);
	atomic_store(&c->pid, getpid());
	list_channel(c);
	return 0;

close_pipe:
	close(fds[0]);
	close(fds[1]);
	return r;
}

void
channel_close(struct tend_loop *loop)
{
	struct channel *c = &loop->channel;

	unlist_channel(c);
	close(atomic_exchange(&c->in, -1));
	close(atomic_exchange(&c->out, -1));
}

/* The number stays, so that no slot has to change; no other thread is there to exec. */
static int
replace(int fd, int by)
{
	int r = 0;

	if (dup2(by, fd) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		r = -errno;
	close(by);
	return r;
}

/*
 * Before the poller is built anew. What was pending was meant for the parent; its other threads,
 * which may have held the lock or been in a handler, are not here.
 */
int
channel_after_fork(struct tend_loop *loop)
{
	struct channel *c = &loop->channel;
	unsigned i;
	int fds[2], in, out, r;

	pthread_mutex_init(&lock, NULL);
	atomic_store(&handlers_at_work, 0);
	r = open_pipe(fds);
	if (r < 0)
		return r;
	in = replace(atomic_load(&c->in), fds[0]);
	out = replace(atomic_load(&c->out), fds[1]);
	atomic_store(&c->woken, false);
	atomic_store(&c->marked, false);
	loop->signals_due = false;
	for (i = 0; i < SIGNAL_WORDS; i++) {
		atomic_store(&c->pending[i], 0);
		loop->collected[i] = 0;
	}
	atomic_store(&c->pid, getpid());
	return in < 0 ? in : out;
}

/* ---- dispositions ---- */

static int
install(int signo)
{
	struct sigaction act = { .sa_handler = on_signal };

	/* No SA_RESTART: a signal ends the blocking calls of handlers, so that they can look. */
	act.sa_flags = SA_ONSTACK | (signo == SIGCHLD ? SA_NOCLDSTOP : 0);
	sigfillset(&act.sa_mask);
	return sigaction(signo, &act, &dispositions[signo].before) < 0 ? -errno : 0;
}

static int
disposition_use(int signo)
{
	struct disposition *d = &dispositions[signo];
	int r = 0;

	pthread_mutex_lock(&lock);
	if (d->pid != getpid()) {
		d->pid = getpid();
		d->installed = false;
		d->users = 0;
	}
	if (!d->installed)
		r = install(signo);
	if (r == 0) {
		d->installed = true;
		d->users++;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static void
disposition_unuse(int signo)
{
	struct disposition *d = &dispositions[signo];

	pthread_mutex_lock(&lock);
	d->users--;
	if (d->users == 0) {
		sigaction(signo, &d->before, NULL);
		d->installed = false;
	}
	pthread_mutex_unlock(&lock);
}

/* ---- signal watches ---- */

static struct tend_signal *
signal_of(const struct tend_link *l)
{
	return LINK_OWNER(l, struct tend_signal, link);
}

static bool
is_watched(const struct tend_loop *loop, int signo)
{
	const struct tend_link *l;

	for (l = loop->signals.next; l != &loop->signals; l = l->next)
		if (signal_of(l)->signo == signo)
			return true;
	for (l = loop->signals_now.next; l != &loop->signals_now; l = l->next)
		if (signal_of(l)->signo == signo)
			return true;
	return false;
}

void
tend_signal_init(struct tend_signal *s, tend_signal_fn fn, void *data)
{
	*s = (struct tend_signal){ .fn = fn, .data = data };
}

int
tend_signal_start(struct tend_loop *loop, struct tend_signal *s, int signo)
{
	int r;

	if (signo <= 0 || signo >= NSIG || loop->doomed)
		return -EINVAL;
	tend_signal_stop(s);
	r = disposition_use(signo);
	if (r < 0)
		return r;
	s->loop = loop;
	s->signo = signo;
	link_insert(&loop->signals, &s->link);
	loop->stats.signals++;
	atomic_fetch_or(&loop->channel.wanted[word_of(signo)], bit_of(signo));
	return 0;
}

void
tend_signal_stop(struct tend_signal *s)
{
	struct tend_loop *loop = s->loop;
	struct channel *c;
	unsigned word, bit;

	if (loop == NULL)
		return;
	c = &loop->channel;
	word = word_of(s->signo);
	bit = bit_of(s->signo);
	link_remove(&s->link);
	s->loop = NULL;
	loop->stats.signals--;
	if (!is_watched(loop, s->signo)) {
		atomic_fetch_and(&c->wanted[word], ~bit);
		atomic_fetch_and(&c->pending[word], ~bit);
		loop->collected[word] &= ~bit;
	}
	disposition_unuse(s->signo);
}

/* ---- delivery ---- */

int
loop_signal_fd(const struct tend_loop *loop)
{
	return atomic_load(&loop->channel.in);
}

/* First the bytes, then the marks: a signal in between leaves a byte that wakes for nothing. */
void
loop_signals_collect(struct tend_loop *loop)
{
	struct channel *c = &loop->channel;
	bool any = atomic_load(&c->woken);
	unsigned i;

	for (i = 0; i < SIGNAL_WORDS; i++)
		any = any || atomic_load(&c->pending[i]) != 0;
	if (!any)
		return;
	drain(c);
	take_marks(loop);
}

bool
loop_signal_pending(const struct tend_loop *loop, int signo)
{
	unsigned word = word_of(signo);

	return ((loop->collected[word] | atomic_load(&loop->channel.pending[word])) &
		   bit_of(signo)) != 0;
}

/* Those that are started meanwhile have not seen this signal. */
static void
run_watches(struct tend_loop *loop, int signo)
{
	struct tend_link *l, *next;
	struct tend_signal *s;

	for (l = loop->signals.next; l != &loop->signals; l = next) {
		next = l->next;
		if (signal_of(l)->signo != signo)
			continue;
		link_remove(l);
		link_insert(&loop->signals_now, l);
	}
	while (!link_is_empty(&loop->signals_now)) {
		s = signal_of(loop->signals_now.next);
		link_remove(&s->link);
		link_insert(&loop->signals, &s->link);
		if (s != &loop->child_signal)
			loop->stats.signals_run++;
		if (loop->tracing && s != &loop->child_signal)
			loop_trace(loop, TEND_TRACE_SIGNAL, s, signo);
		s->fn(s);
	}
}

void
signals_run(struct tend_loop *loop)
{
	unsigned bits[SIGNAL_WORDS];
	int signo;

	memcpy(bits, loop->collected, sizeof(bits));
	loop->signals_due = false;
	for (signo = 1; signo < NSIG; signo++) {
		/* An earlier callback may have stopped the last watch of this one. */
		if ((bits[word_of(signo)] & loop->collected[word_of(signo)] & bit_of(signo)) == 0)
			continue;
		loop->collected[word_of(signo)] &= ~bit_of(signo);
		run_watches(loop, signo);
	}
}

void
signals_done(struct tend_loop *loop)
{
	link_splice(&loop->signals, &loop->signals_now);
	while (!link_is_empty(&loop->signals))
		tend_signal_stop(signal_of(loop->signals.next));
}
