/*
 * The threads that ask, the line in front of them, and the way back to the loop or to who waits.
 *
 * Threads, and not a process that helps: a process would have to be started before a chroot, given
 * its identity, watched, replaced and spoken to with lengths and limits checked on both sides, by
 * every worker. Threads cost nothing until somebody asks. What a process could do better, being
 * killed when it is stuck, is not needed: the system's resolver comes back by itself, after half a
 * minute as a rule, and until then other threads take its place.
 *
 * A job belongs to its request until an answer has no taker any more: then to the thread that works
 * on it. `lock` guards all that threads look at; nobody waits while he holds it.
 */
#include "net/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"

/*
 * Many, because they hardly work: they wait for name servers, and those of a stranger may be slow on
 * purpose. Idle ones beyond a few end.
 */
#define THREADS_MAX 128
#define THREADS_KEPT 4
#define QUEUE_MAX 1024
/* The system's resolver keeps whole answers on the stack, and loads modules that do as they like. */
#define STACK_SIZE ((size_t)256 * 1024)

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_ANSWERED,
};

struct resolver_job {
	struct tend_link         link; /* in the queue, or among the answers for the loop */
	struct resolver_request *request; /* of the loop; NULL for one that is waited for */
	enum job_state           state;
	bool                     abandoned; /* nobody waits for it any more */
	int                      bell;      /* is written to when there is an answer */

	/* the question */
	bool        forward;
	struct addr address;
	char        host[RESOLVER_NAME_MAX + 1];
	char        service[32];
	int         type;

	/* the answer */
	int                       result;
	char                      name[RESOLVER_NAME_MAX + 1];
	struct resolver_addresses addresses;
};

struct worker {
	pthread_t            id;
	bool                 used;
	struct resolver_job *job; /* NULL: it waits for one */
	struct resolver     *resolver;
};

struct resolver {
	const struct resolver_backend *backend;

	/* of the loop's thread */
	struct tend_loop *loop;
	struct tend_watch watch;
	int               bell[2]; /* a pipe; -1: not yet */
	struct tend_link  requests;
	bool              delivering; /* resolver_free() leaves the end to who delivers */

	pthread_mutex_t  lock;
	pthread_cond_t   work;
	struct tend_link queue, answers;
	size_t           queued;
	struct worker    workers[THREADS_MAX];
	unsigned         threads, sleeping;
	bool             closed;
	bool             doomed; /* the last thread frees it */
};

/* ---- jobs ---- */

static int
copy_text(char *into, size_t size, const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	if (n >= size)
		return -ENAMETOOLONG;
	memcpy(into, text != NULL ? text : "", n + 1);
	return 0;
}

static int
job_new(struct resolver_job **into, const struct resolver_question *question)
{
	struct resolver_job *job = calloc(1, sizeof(*job));
	int r;

	if (job == NULL)
		return -ENOMEM;
	job->forward = question->address == NULL;
	job->type = question->type;
	if (!job->forward)
		job->address = addr_unmapped(question->address);
	r = copy_text(job->host, sizeof(job->host), question->name);
	if (r == 0)
		r = copy_text(job->service, sizeof(job->service), question->service);
	if (r < 0)
		free(job);
	else
		*into = job;
	return r;
}

static void
job_free(struct resolver_job *job)
{
	free(job->addresses.list);
	free(job);
}

static void
job_run(struct resolver_job *job, const struct resolver_backend *backend)
{
	const char *service = job->service[0] != '\0' ? job->service : NULL;

	if (job->forward) {
		job->result = backend->forward(job->host, service, job->type, &job->addresses);
		return;
	}
	job->result = backend->reverse(&job->address, job->name);
	if (job->result == 0 && !resolver_is_name(job->name))
		job->result = -EBADMSG;
}

/* ---- threads ---- */

static struct resolver_job *
take_first(struct tend_link *list)
{
	struct resolver_job *job = LINK_OWNER(list->next, struct resolver_job, link);

	link_remove(&job->link);
	return job;
}

/* A full pipe has been told enough. */
static void
ring(int bell)
{
	ssize_t n = write(bell, "", 1);

	(void)n;
}

static void
job_finish(struct resolver *r, struct resolver_job *job)
{
	if (job->abandoned) {
		job_free(job);
		return;
	}
	job->state = JOB_ANSWERED;
	if (job->request != NULL)
		link_insert(&r->answers, &job->link);
	ring(job->bell);
}

static void
destroy(struct resolver *r)
{
	pthread_cond_destroy(&r->work);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Serves until the end, or until there is nothing to do and others wait for that already. */
static void
work(struct resolver *r, struct worker *me)
{
	while (!r->closed) {
		if (link_is_empty(&r->queue)) {
			if (r->sleeping >= THREADS_KEPT)
				return;
			r->sleeping++;
			pthread_cond_wait(&r->work, &r->lock);
			r->sleeping--;
			continue;
		}
		me->job = take_first(&r->queue);
		me->job->state = JOB_RUNNING;
		r->queued--;
		pthread_mutex_unlock(&r->lock);
		job_run(me->job, r->backend);
		pthread_mutex_lock(&r->lock);
		job_finish(r, me->job);
		me->job = NULL;
	}
}

static void *
worker_main(void *data)
{
	struct worker *me = data;
	struct resolver *r = me->resolver;
	bool last;

	pthread_mutex_lock(&r->lock);
	work(r, me);
	r->threads--;
	/* Nobody joins one that leaves early. */
	if (!r->closed)
		pthread_detach(me->id);
	me->used = false;
	last = r->closed && r->threads == 0 && r->doomed;
	pthread_mutex_unlock(&r->lock);
	if (last)
		destroy(r);
	return NULL;
}

/* Signals are the business of those who asked: the new thread blocks them all. */
static int
create_thread(struct worker *w)
{
	sigset_t all, before;
	pthread_attr_t how;
	int error;

	if (pthread_attr_init(&how) != 0)
		return -ENOMEM;
	pthread_attr_setstacksize(&how, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&w->id, &how, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&how);
	return -error;
}

static void
start_thread(struct resolver *r)
{
	struct worker *w = r->workers;

	while (w->used)
		w++;
	*w = (struct worker){ .used = true, .resolver = r };
	if (create_thread(w) == 0)
		r->threads++;
	else
		w->used = false;
}

/* Sees to it that the first in line is served, if that can be. The lock is held. */
static void
call_thread(struct resolver *r)
{
	if (r->sleeping > 0)
		pthread_cond_signal(&r->work);
	if (r->queued > r->sleeping && r->threads < THREADS_MAX)
		start_thread(r);
}

/* ---- asking ---- */

static int
enqueue(struct resolver *r, struct resolver_job *job)
{
	int result = 0;

	pthread_mutex_lock(&r->lock);
	if (r->queued >= QUEUE_MAX) {
		result = -EAGAIN;
	} else {
		link_insert(&r->queue, &job->link);
		r->queued++;
		call_thread(r);
	}
	if (result == 0 && r->threads == 0) {
		link_remove(&job->link);
		r->queued--;
		result = -EAGAIN;
	}
	pthread_mutex_unlock(&r->lock);
	return result;
}

/* The asker has turned away, with the lock held. False when the thread will free the job. */
static bool
withdraw(struct resolver *r, struct resolver_job *job)
{
	if (job->state == JOB_RUNNING) {
		job->abandoned = true;
		return false;
	}
	if (job->state == JOB_QUEUED)
		r->queued--;
	if (link_is_in(&job->link))
		link_remove(&job->link);
	return true;
}

void
resolver_init(struct resolver_request *q, resolver_fn fn, void *data)
{
	*q = (struct resolver_request){ .fn = fn, .data = data };
}

void
resolver_stop(struct resolver_request *q)
{
	struct resolver *r = q->resolver;
	bool ours = true;

	if (r != NULL) {
		tend_timer_stop(&q->timer);
		link_remove(&q->link);
		pthread_mutex_lock(&r->lock);
		ours = withdraw(r, q->job);
		pthread_mutex_unlock(&r->lock);
	}
	if (ours && q->job != NULL)
		job_free(q->job);
	resolver_init(q, q->fn, q->data);
}

static void
take_answer(struct resolver_request *q, struct resolver_job *job)
{
	q->job = job;
	q->result = job->result;
	q->name = job->result == 0 && !job->forward ? job->name : NULL;
	q->addresses = job->addresses.list;
	q->count = job->addresses.count;
}

/* ---- on a loop ---- */

static void
close_bell(int bell[2])
{
	if (bell[0] < 0)
		return;
	close(bell[0]);
	close(bell[1]);
	bell[0] = bell[1] = -1;
}

static void
empty_bell(int fd)
{
	char bytes[256];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static struct resolver_job *
next_answer(struct resolver *r)
{
	struct resolver_job *job = NULL;

	pthread_mutex_lock(&r->lock);
	if (!link_is_empty(&r->answers))
		job = take_first(&r->answers);
	pthread_mutex_unlock(&r->lock);
	return job;
}

/* The callback may free the resolver; then it goes when the last of them has returned. */
static void
tell(struct resolver *r, struct resolver_request *q)
{
	r->delivering = true;
	q->resolver = NULL;
	q->fn(q);
	r->delivering = false;
}

static void
finish_free(struct resolver *r)
{
	bool last;

	pthread_mutex_lock(&r->lock);
	r->doomed = true;
	last = r->threads == 0;
	pthread_mutex_unlock(&r->lock);
	if (last)
		destroy(r);
}

static void
deliver(struct tend_watch *w, unsigned events)
{
	struct resolver *r = w->data;
	struct resolver_job *job;

	(void)events;
	empty_bell(r->bell[0]);
	while (!r->closed && (job = next_answer(r)) != NULL) {
		struct resolver_request *q = job->request;

		tend_timer_stop(&q->timer);
		link_remove(&q->link);
		take_answer(q, job);
		tell(r, q);
	}
	if (r->closed)
		finish_free(r);
}

static void
run_out(struct tend_timer *t)
{
	struct resolver_request *q = t->data;
	struct resolver *r = q->resolver;

	resolver_stop(q);
	q->result = -ETIMEDOUT;
	tell(r, q);
	if (r->closed)
		finish_free(r);
}

static int
open_bell(struct resolver *r)
{
	int code;

	if (r->bell[0] >= 0)
		return 0;
	if (pipe2(r->bell, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	tend_watch_init(&r->watch, deliver, r);
	code = tend_watch_start(r->loop, &r->watch, r->bell[0], TEND_READ);
	if (code < 0)
		close_bell(r->bell);
	return code;
}

int
resolver_start(struct resolver *r, struct resolver_request *q,
	const struct resolver_question *question)
{
	struct resolver_job *job;
	int code;

	resolver_stop(q);
	code = open_bell(r);
	if (code == 0)
		code = job_new(&job, question);
	if (code < 0)
		return code;
	job->request = q;
	job->bell = r->bell[1];
	code = enqueue(r, job);
	if (code < 0) {
		job_free(job);
		return code;
	}
	q->job = job;
	q->resolver = r;
	link_insert(&r->requests, &q->link);
	tend_timer_init(&q->timer, run_out, q);
	if (question->deadline != CLOCK_NEVER)
		timer_start_at(r->loop, &q->timer, question->deadline);
	return 0;
}

/* ---- waiting ---- */

/* What `wait` gave up with does not count when the answer came all the same. */
static int
await(struct resolver *r, struct resolver_request *q, struct resolver_job *job, int gave_up)
{
	bool ours = true, answered;

	pthread_mutex_lock(&r->lock);
	answered = job->state == JOB_ANSWERED;
	if (!answered)
		ours = withdraw(r, job);
	pthread_mutex_unlock(&r->lock);
	if (answered)
		take_answer(q, job);
	else if (ours)
		job_free(job);
	return answered ? q->result : gave_up;
}

int
resolver_wait(struct resolver *r, struct resolver_request *q,
	const struct resolver_question *question, resolver_wait_fn wait, void *data)
{
	struct resolver_job *job;
	int bell[2], code;

	resolver_stop(q);
	q->result = job_new(&job, question);
	if (q->result < 0)
		return q->result;
	code = pipe2(bell, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
	if (code < 0)
		goto free_job;
	job->bell = bell[1];
	code = enqueue(r, job);
	if (code < 0)
		goto close_pipe;
	q->result = await(r, q, job, wait(data, bell[0], question->deadline));
	close_bell(bell);
	return q->result;
close_pipe:
	close_bell(bell);
free_job:
	job_free(job);
	q->result = code;
	return code;
}

/* ---- beginning and end ---- */

struct resolver *
resolver_new(struct tend_loop *loop, const struct resolver_backend *backend)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->backend = backend;
	r->loop = loop;
	r->bell[0] = r->bell[1] = -1;
	link_head_init(&r->requests);
	link_head_init(&r->queue);
	link_head_init(&r->answers);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	return r;
}

/*
 * Those that wait for work end at once and are waited for, so that nothing of them is left when
 * this returns. Those that are stuck end when they come back, and find nothing of the caller's.
 */
static void
end_threads(struct resolver *r)
{
	pthread_t ending[THREADS_MAX];
	size_t count = 0, i;

	pthread_mutex_lock(&r->lock);
	r->closed = true;
	for (i = 0; i < THREADS_MAX; i++) {
		if (!r->workers[i].used)
			continue;
		if (r->workers[i].job == NULL)
			ending[count++] = r->workers[i].id;
		else
			pthread_detach(r->workers[i].id);
	}
	pthread_cond_broadcast(&r->work);
	pthread_mutex_unlock(&r->lock);
	for (i = 0; i < count; i++)
		pthread_join(ending[i], NULL);
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL || r->closed)
		return;
	while (!link_is_empty(&r->requests))
		resolver_stop(LINK_OWNER(r->requests.next, struct resolver_request, link));
	end_threads(r);
	if (r->bell[0] >= 0)
		tend_watch_stop(&r->watch);
	close_bell(r->bell);
	if (!r->delivering)
		finish_free(r);
}

void
resolver_forget(struct resolver *r)
{
	/* The lock may be held by a thread that is not here; the memory is the parent's pages. */
	if (r != NULL)
		close_bell(r->bell);
}
