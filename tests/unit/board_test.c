/* The board that all processes of a server share, also when some of them die on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/board.h"

#define SLOTS 8

static int
setup(void **state)
{
	struct board *b = NULL;

	if (board_new(&b, SLOTS, NULL) < 0 || board_let_wake(b) < 0)
		return -1;
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	board_free(*state);
	return 0;
}

static void
assert_tally(const struct board *b, unsigned waiting, unsigned busy, unsigned dequeue)
{
	struct board_tally t = board_count(b);

	assert_int_equal(t.waiting, waiting);
	assert_int_equal(t.busy, busy);
	assert_int_equal(t.dequeue, dequeue);
	assert_int_equal(t.unsound, 0);
}

/* True once for each wake that has arrived; the master has then looked. */
static bool
master_was_woken(struct board *b)
{
	struct pollfd p = { .fd = board_wake_fd(b), .events = POLLIN };

	if (poll(&p, 1, 0) != 1)
		return false;
	board_woken(b);
	assert_int_equal(poll(&p, 1, 0), 0);
	return true;
}

/* Runs `body` in a child that has `slot`; returns its wait status. */
static int
in_child(struct board *b, unsigned slot, void (*body)(struct board *b))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		board_mine(b, slot);
		body(b);
		_exit(0);
	}
	assert_true(pid > 0);
	board_set_pid(b, slot, pid);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- slots ---- */

/* NS-PF-20: a new worker is waiting from the moment of the fork; one state each. */
static void
a_claimed_slot_has_its_state_at_once(void **state)
{
	struct board *b = *state;
	int waiting, busy, dequeue;

	assert_int_equal(board_slots(b), SLOTS);
	assert_tally(b, 0, 0, 0);
	waiting = board_claim(b, SLOT_WAITING);
	busy = board_claim(b, SLOT_BUSY);
	dequeue = board_claim(b, SLOT_DEQUEUE);
	assert_true(waiting >= 0 && busy >= 0 && dequeue >= 0);
	assert_true(waiting != busy && busy != dequeue && waiting != dequeue);
	assert_int_equal(board_state(b, (unsigned)waiting), SLOT_WAITING);
	assert_int_equal(board_state(b, (unsigned)busy), SLOT_BUSY);
	assert_int_equal(board_state(b, (unsigned)dequeue), SLOT_DEQUEUE);
	assert_tally(b, 1, 1, 1);
	assert_int_equal(board_recount(b), 0);
	board_release(b, (unsigned)waiting);
	board_release(b, (unsigned)busy);
	board_release(b, (unsigned)dequeue);
	assert_tally(b, 0, 0, 0);
	assert_int_equal(board_recount(b), 0);
}

static void
slots_run_out_with_an_error_and_come_back(void **state)
{
	struct board *b = *state;
	unsigned i;

	for (i = 0; i < SLOTS; i++)
		assert_in_range(board_claim(b, SLOT_WAITING), 0, SLOTS - 1);
	assert_int_equal(board_claim(b, SLOT_WAITING), -ENOSPC);
	assert_int_equal(board_claim(b, SLOT_DEQUEUE), -ENOSPC);
	assert_tally(b, SLOTS, 0, 0);
	board_release(b, SLOTS - 1);
	assert_int_equal(board_claim(b, SLOT_DEQUEUE), SLOTS - 1);
	assert_tally(b, SLOTS - 1, 0, 1);
	assert_int_equal(board_recount(b), 0);
}

static void
the_descriptor_stays_in_this_program(void **state)
{
	struct board *b = *state;

	assert_int_equal(fcntl(board_wake_fd(b), F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(board_wake_fd(b), F_GETFL) & O_NONBLOCK);
	board_free(NULL);
}

/* A process without a slot, as the parent or a dequeue child may be, reports nothing. */
static void
one_without_a_slot_changes_nothing(void **state)
{
	struct board *b = *state;

	board_wake_below(b, 0);
	board_busy(b);
	board_waiting(b);
	assert_tally(b, 0, 0, 0);
	assert_int_equal(board_recount(b), 0);
	assert_int_equal(board_served(b), 0);
	assert_int_equal(board_last_busy(b), 0);
}

/* ---- counting ---- */

static void
serve_three(struct board *b)
{
	int i;

	for (i = 0; i < 3; i++) {
		board_busy(b);
		board_waiting(b);
	}
}

static void
begin_one(struct board *b)
{
	board_busy(b);
}

/* NS-PF-21 */
static void
what_a_child_reports_is_seen_by_all(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);
	int64_t before = clock_now();

	assert_int_equal(in_child(b, slot, serve_three), 0);
	assert_int_equal(board_state(b, slot), SLOT_WAITING);
	assert_int_equal(board_served_by(b, slot), 3);
	assert_int_equal(in_child(b, slot, begin_one), 0);
	assert_int_equal(board_state(b, slot), SLOT_BUSY);
	assert_int_equal(board_served_by(b, slot), 4);
	assert_int_equal(board_recount(b), 0);
	/* The clock of the board is a coarse one. */
	assert_true(board_last_busy(b) > before - CLOCK_SECOND);
	assert_true(board_last_busy(b) <= clock_now());
}

static void
begin_and_wait(struct board *b)
{
	board_busy(b);
	board_pause(b);
}

static void
go_on(struct board *b)
{
	board_resume(b);
}

/* NW-D24: by it the master finds one that is stuck. */
static void
a_busy_child_works_unless_it_waits(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);
	int64_t before = clock_now();

	assert_int_equal(board_works_since(b, slot), 0);
	assert_int_equal(in_child(b, slot, begin_one), 0);
	assert_true(board_works_since(b, slot) > before - CLOCK_SECOND);
	assert_true(board_works_since(b, slot) <= clock_now());
	assert_int_equal(in_child(b, slot, begin_and_wait), 0);
	assert_int_equal(board_state(b, slot), SLOT_BUSY);
	assert_int_equal(board_works_since(b, slot), 0);
	assert_int_equal(in_child(b, slot, go_on), 0);
	assert_true(board_works_since(b, slot) > before - CLOCK_SECOND);
	assert_int_equal(in_child(b, slot, serve_three), 0);
	assert_int_equal(board_works_since(b, slot), 0);
	/* A child that is born with its client works from then on. */
	slot = (unsigned)board_claim(b, SLOT_BUSY);
	assert_true(board_works_since(b, slot) > before - CLOCK_SECOND);
}

static void
what_was_served_outlives_the_child_that_did_it(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);

	in_child(b, slot, serve_three);
	assert_int_equal(board_served(b), 3);
	board_release(b, slot);
	assert_int_equal(board_served(b), 3);
	/* The next one in the slot begins from nothing. */
	slot = (unsigned)board_claim(b, SLOT_WAITING);
	assert_int_equal(board_served_by(b, slot), 0);
	in_child(b, slot, serve_three);
	assert_int_equal(board_served(b), 6);
	/* A child that is born with its client has begun with it. */
	slot = (unsigned)board_claim(b, SLOT_BUSY);
	assert_int_equal(board_served_by(b, slot), 1);
	assert_int_equal(board_served(b), 7);
}

static void
say_it_twice(struct board *b)
{
	board_busy(b);
	board_busy(b);
	board_waiting(b);
	board_waiting(b);
	board_busy(b);
	board_waiting(b);
}

/* NW-57, NW-58: handlers may report as well, and what they said is said again for them. */
static void
what_is_said_twice_counts_once_among_those_that_wait(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);
	unsigned guest = (unsigned)board_claim(b, SLOT_BUSY);

	assert_int_equal(in_child(b, slot, say_it_twice), 0);
	assert_int_equal(in_child(b, guest, say_it_twice), 0);
	assert_int_equal(board_recount(b), 0);
	assert_tally(b, 2, 0, 0);
	/* As connections begun they are two. */
	assert_int_equal(board_served_by(b, slot), 3);
	board_release(b, slot);
	board_release(b, guest);
	assert_int_equal(board_recount(b), 0);
}

/* NW-85: a dequeue child is none of those that serve, whatever its hook says. */
static void
dequeue_child_stays_one(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_DEQUEUE);

	assert_int_equal(in_child(b, slot, begin_one), 0);
	assert_tally(b, 0, 0, 1);
	assert_int_equal(in_child(b, slot, say_it_twice), 0);
	assert_tally(b, 0, 0, 1);
	assert_int_equal(board_recount(b), 0);
	assert_int_equal(board_served(b), 0);
}

/* ---- waking ---- */

static void
begin_two_of(struct board *b)
{
	board_busy(b);
	/* Another one of the pool. */
	board_mine(b, 1);
	board_busy(b);
}

/* NS-PF-24, -43: the master is told when fewer wait than it wants, and not otherwise. */
static void
the_master_is_woken_below_its_threshold_only(void **state)
{
	struct board *b = *state;
	unsigned i;

	for (i = 0; i < 4; i++)
		board_claim(b, SLOT_WAITING);
	board_wake_below(b, 3);
	assert_false(master_was_woken(b));
	in_child(b, 0, begin_one); /* three wait: as many as wanted */
	assert_false(master_was_woken(b));
	in_child(b, 1, begin_one); /* two wait */
	assert_true(master_was_woken(b));
	in_child(b, 2, begin_one);
	assert_true(master_was_woken(b));
	/* A worker that is done wakes nobody. */
	in_child(b, 0, board_waiting);
	in_child(b, 1, board_waiting);
	assert_false(master_was_woken(b));
}

static void
a_threshold_of_none_wakes_never(void **state)
{
	struct board *b = *state;

	board_claim(b, SLOT_WAITING);
	board_claim(b, SLOT_WAITING);
	board_wake_below(b, 0);
	in_child(b, 0, begin_two_of);
	assert_tally(b, 0, 2, 0);
	assert_false(master_was_woken(b));
}

static void
the_master_is_woken_once_until_it_has_looked(void **state)
{
	struct board *b = *state;
	uint64_t wakes = 0;

	board_claim(b, SLOT_WAITING);
	board_claim(b, SLOT_WAITING);
	board_wake_below(b, 2);
	in_child(b, 0, begin_two_of);
	/* Both were below the threshold, one of them wrote. */
	assert_int_equal(read(board_wake_fd(b), &wakes, sizeof(wakes)), sizeof(wakes));
	assert_int_equal(wakes, 1);
	board_woken(b);
	in_child(b, 0, board_waiting);
	in_child(b, 0, begin_one);
	assert_true(master_was_woken(b));
	/* To look without having been woken is no harm. */
	board_woken(b);
	in_child(b, 0, board_waiting);
	in_child(b, 0, begin_one);
	assert_true(master_was_woken(b));
}

/* Workers that became busy while the master made up its mind compared with the old threshold. */
static void
a_threshold_set_too_late_wakes_at_once(void **state)
{
	struct board *b = *state;

	board_claim(b, SLOT_WAITING);
	board_claim(b, SLOT_WAITING);
	in_child(b, 0, begin_two_of);
	assert_false(master_was_woken(b));
	board_wake_below(b, 1);
	assert_true(master_was_woken(b));
	board_wake_below(b, 0);
	assert_false(master_was_woken(b));
}

/* A worker in its race with a master that looks: whatever the order, no wake is lost. */
static void
keep_changing(struct board *b)
{
	int i;

	for (i = 0; i < 200000; i++) {
		board_busy(b);
		board_waiting(b);
	}
	board_busy(b);
}

static void
no_wake_is_lost_between_looking_and_changing(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);
	struct pollfd p = { .fd = board_wake_fd(b), .events = POLLIN };
	int status = 0;
	pid_t pid;

	board_wake_below(b, 1);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		board_mine(b, slot);
		keep_changing(b);
		_exit(0);
	}
	assert_true(pid > 0);
	/* As the master does: it looks when it was woken, and only then. */
	while (waitpid(pid, &status, WNOHANG) == 0)
		if (poll(&p, 1, 1) == 1)
			board_woken(b);
	assert_int_equal(status, 0);
	if (poll(&p, 1, 0) == 1)
		board_woken(b);
	assert_tally(b, 0, 1, 0);
	/* All is quiet. The next word is heard, whatever crossed before. */
	in_child(b, slot, board_waiting);
	in_child(b, slot, begin_one);
	assert_true(master_was_woken(b));
}

/* ---- what a child asks ---- */

static void
look_at_itself(struct board *b)
{
	bool ok = !board_asked_to_retire(b) && !board_am_busy(b) && board_my_served(b) == 0;

	board_busy(b);
	ok = ok && board_am_busy(b) && board_my_served(b) == 1;
	/* The master, from its side. */
	board_ask_to_retire(b, 1);
	ok = ok && !board_asked_to_retire(b);
	board_ask_to_retire(b, 0);
	ok = ok && board_asked_to_retire(b);
	board_let_stay(b, 0);
	ok = ok && !board_asked_to_retire(b);
	_exit(ok ? 0 : 1);
}

static void
a_child_knows_its_own_slot_and_no_other(void **state)
{
	struct board *b = *state;

	assert_false(board_asked_to_retire(b));
	assert_false(board_am_busy(b));
	assert_int_equal(board_my_served(b), 0);
	assert_int_equal(board_claim(b, SLOT_WAITING), 0);
	assert_int_equal(board_claim(b, SLOT_BUSY), 1);
	assert_int_equal(in_child(b, 0, look_at_itself), 0);
	/* The next child in the slot is not asked. */
	board_release(b, 0);
	assert_int_equal(board_claim(b, SLOT_WAITING), 0);
	board_mine(b, 0);
	assert_false(board_asked_to_retire(b));
}

/* ---- children that die ---- */

static void
begin_and_die(struct board *b)
{
	board_busy(b);
	raise(SIGKILL);
}

static void
die_waiting(struct board *b)
{
	serve_three(b);
	raise(SIGKILL);
}

/* NS-PF-25, NS-PF-30, NS-TST-58 */
static void
a_killed_child_leaves_a_sound_board(void **state)
{
	struct board *b = *state;
	unsigned busy = (unsigned)board_claim(b, SLOT_WAITING);
	unsigned waiting = (unsigned)board_claim(b, SLOT_WAITING);
	int status;

	status = in_child(b, busy, begin_and_die);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = in_child(b, waiting, die_waiting);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_tally(b, 1, 1, 0);
	board_release(b, busy);
	assert_int_equal(board_recount(b), 0);
	board_release(b, waiting);
	assert_int_equal(board_recount(b), 0);
	assert_tally(b, 0, 0, 0);
	assert_int_equal(board_served(b), 4);
	/* And the slots can be had again. */
	assert_true(board_claim(b, SLOT_WAITING) >= 0);
	assert_int_equal(board_recount(b), 0);
}

/* Whatever a child that ran wild wrote into its slot: in the memory that is shared. */
static struct board_slot *
slot_in_memory(struct board *b, unsigned slot)
{
	/* The board is opaque; its first member points to the mapping, whose slots come last. */
	char *shared;
	size_t size;

	memcpy(&shared, b, sizeof(shared));
	memcpy(&size, (char *)b + sizeof(shared), sizeof(size));
	return (struct board_slot *)(void *)(shared + size) - SLOTS + slot;
}

/* NS-PF-23 */
static void
garbage_in_a_slot_counts_as_unsound_and_breaks_nothing(void **state)
{
	static const uint32_t garbage[] = { SLOT_STATES, 77, UINT32_MAX };
	struct board *b = *state;
	struct board_tally t;
	size_t i;

	for (i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		unsigned slot = (unsigned)board_claim(b, SLOT_BUSY);

		board_claim(b, SLOT_WAITING);
		atomic_store(&slot_in_memory(b, slot)->state, garbage[i]);
		assert_int_equal(board_state(b, slot), SLOT_STATES);
		t = board_count(b);
		assert_int_equal(t.unsound, 1);
		assert_int_equal(t.waiting, 1);
		assert_int_equal(t.busy, 0);
		assert_int_equal(board_recount(b), 0);
		/* A slot that is not sound is not free, until its child was reaped. */
		assert_int_equal(board_claim(b, SLOT_BUSY), 2);
		board_release(b, slot);
		assert_int_equal(board_state(b, slot), SLOT_FREE);
		board_release(b, 1);
		board_release(b, 2);
		assert_tally(b, 0, 0, 0);
		assert_int_equal(board_recount(b), 0);
	}
}

static void
a_wrong_counter_is_set_right_and_told(void **state)
{
	struct board *b = *state;

	board_claim(b, SLOT_WAITING);
	board_claim(b, SLOT_WAITING);
	/* The words of one that was killed between the two. */
	atomic_store(&slot_in_memory(b, 0)->state, SLOT_BUSY);
	assert_int_equal(board_recount(b), 1);
	assert_int_equal(board_recount(b), 0);
	atomic_store(&slot_in_memory(b, 0)->state, SLOT_WAITING);
	assert_int_equal(board_recount(b), -1);
	assert_int_equal(board_recount(b), 0);
}

/* Else the master would be woken without end until the next recount. */
static void
a_counter_that_is_too_low_does_not_wake_at_once(void **state)
{
	struct board *b = *state;

	board_claim(b, SLOT_BUSY);
	board_claim(b, SLOT_WAITING);
	/* Killed after its state and before the counter. */
	atomic_store(&slot_in_memory(b, 0)->state, SLOT_WAITING);
	board_wake_below(b, 2);
	assert_false(master_was_woken(b));
	assert_int_equal(board_recount(b), -1);
}

/* ---- boards that were overwritten ---- */

/* All that is shared: the counters, then the slots. */
static void
overwrite_all(struct board *b, int byte)
{
	char *from;
	size_t size;

	memcpy(&from, b, sizeof(from));
	memcpy(&size, (char *)b + sizeof(from), sizeof(size));
	memset(from, byte, size);
}

/* NW-T36, NW-67 to -69: the master knows whose slots they are. */
static void
overwritten_slots_belong_to_their_children_still(void **state)
{
	static const int bytes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct board *b = *state;
	size_t i;

	for (i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		unsigned waiting = (unsigned)board_claim(b, SLOT_WAITING);
		unsigned busy = (unsigned)board_claim(b, SLOT_BUSY);
		unsigned dequeue = (unsigned)board_claim(b, SLOT_DEQUEUE);
		int other;

		overwrite_all(b, bytes[i]);
		/* Before anybody has noticed: nobody is given the place of a child that lives. */
		other = board_claim(b, SLOT_WAITING);
		assert_true(other >= 0 && (unsigned)other != waiting && (unsigned)other != busy &&
		    (unsigned)other != dequeue);
		board_release(b, (unsigned)other);
		assert_true(board_rebuild(b) > 0);
		board_recount(b);
		board_woken(b);
		assert_tally(b, 0, 2, 1);
		assert_int_equal(board_rebuild(b), 0);
		assert_int_equal(board_recount(b), 0);
		/* It says itself that it waits, and is waited for again. */
		board_wake_below(b, 1);
		assert_true(master_was_woken(b));
		assert_int_equal(in_child(b, waiting, board_waiting), 0);
		assert_tally(b, 1, 1, 1);
		assert_int_equal(in_child(b, waiting, begin_one), 0);
		assert_true(master_was_woken(b));
		board_release(b, waiting);
		board_release(b, busy);
		board_release(b, dequeue);
		assert_tally(b, 0, 0, 0);
		assert_int_equal(board_recount(b), 0);
	}
}

/* What each child knows of itself repairs its slot, and the counter with it. */
static void
child_says_again_what_was_overwritten(void **state)
{
	static const uint32_t garbage[] = { SLOT_FREE, SLOT_WAITING, SLOT_BUSY, 99 };
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);
	size_t i;

	board_say_again(b); /* of one without a slot */
	board_mine(b, slot);
	for (i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		board_waiting(b);
		atomic_store(&slot_in_memory(b, slot)->state, garbage[i]);
		board_recount(b);
		board_say_again(b);
		assert_tally(b, 1, 0, 0);
		assert_int_equal(board_recount(b), 0);
		board_busy(b);
		atomic_store(&slot_in_memory(b, slot)->state, garbage[i]);
		board_recount(b);
		board_say_again(b);
		assert_tally(b, 0, 1, 0);
		assert_int_equal(board_recount(b), 0);
	}
}

/* ---- many at once ---- */

#define ROUNDS 20000

static void
many_processes_leave_counts_that_are_right(void **state)
{
	struct board *b = *state;
	pid_t pids[4];
	unsigned i;
	int status, j;

	board_wake_below(b, 2);
	for (i = 0; i < 4; i++) {
		unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);

		pids[i] = fork();
		if (pids[i] == 0) {
			alarm(60);
			board_mine(b, slot);
			for (j = 0; j < ROUNDS; j++) {
				board_busy(b);
				board_waiting(b);
			}
			if (i % 2 == 0)
				board_busy(b);
			raise(SIGKILL);
		}
		assert_true(pids[i] > 0);
	}
	/* The master looks on and is never shown the impossible. */
	for (j = 0; j < 1000; j++) {
		struct board_tally t = board_count(b);

		assert_int_equal(t.unsound, 0);
		assert_int_equal(t.waiting + t.busy, 4);
		board_woken(b);
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
	assert_tally(b, 2, 2, 0);
	assert_int_equal(board_recount(b), 0);
	assert_int_equal(board_served(b), 4 * ROUNDS + 2);
	for (i = 0; i < 4; i++)
		board_release(b, i);
	assert_int_equal(board_recount(b), 0);
	assert_int_equal(board_served(b), 4 * ROUNDS + 2);
}

/* One that serves many is busy from its first client to its last. */
static void
many_clients_of_one_child_are_counted(void **state)
{
	struct board *b = *state;
	int slot = board_claim(b, SLOT_WAITING);
	int64_t since;

	assert_int_equal(slot, 0);
	board_mine(b, 0);
	board_opened(b);
	assert_tally(b, 0, 1, 0);
	since = board_since(b, 0);
	assert_true(since > 0);
	board_opened(b);
	assert_int_equal(board_clients_of(b, 0), 2);
	assert_int_equal(board_since(b, 0), since);
	board_closed(b);
	assert_int_equal(board_clients_of(b, 0), 1);
	assert_tally(b, 0, 1, 0);
	board_closed(b);
	assert_int_equal(board_clients_of(b, 0), 0);
	assert_tally(b, 1, 0, 0);
	assert_int_equal(board_served_by(b, 0), 2);
	assert_int_equal(board_recount(b), 0);
	board_busy(b);
	assert_int_equal(board_clients_of(b, 0), 1);
	board_waiting(b);
	assert_int_equal(board_clients_of(b, 0), 0);
	board_release(b, 0);
	/* One that is born with its client. */
	assert_int_equal(board_claim(b, SLOT_BUSY), 0);
	assert_int_equal(board_clients_of(b, 0), 1);
}

/* A thread's share: a client comes and goes, over and over. */
static void *
come_and_go(void *board)
{
	unsigned i;

	for (i = 0; i < 20000; i++) {
		board_opened(board);
		board_closed(board);
	}
	return NULL;
}

static void
threads_of_one_child_agree_on_what_it_does(void **state)
{
	struct board *b = *state;
	pthread_t ids[4];
	unsigned i, round;

	assert_int_equal(board_claim(b, SLOT_WAITING), 0);
	board_mine(b, 0);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&ids[i], NULL, come_and_go, b), 0);
		for (i = 0; i < 4; i++)
			pthread_join(ids[i], NULL);
		assert_tally(b, 1, 0, 0);
		assert_int_equal(board_clients_of(b, 0), 0);
		assert_int_equal(board_recount(b), 0);
	}
	assert_int_equal(board_my_served(b), 5 * 4 * 20000);
	board_opened(b);
	assert_tally(b, 0, 1, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What a process keeps for itself may lie where its owner wants it. */
static void
memory_may_be_the_callers(void **state)
{
	static _Alignas(16) char memory[512];
	struct board *b;
	int i;

	(void)state;
	assert_true(board_size(SLOTS) <= sizeof(memory));
	assert_int_equal(board_new(&b, SLOTS, memory), 0);
	assert_ptr_equal(b, memory);
	for (i = 0; i < SLOTS; i++)
		assert_int_equal(board_claim(b, SLOT_WAITING), i);
	assert_int_equal(board_claim(b, SLOT_WAITING), -ENOSPC);
	board_free(b);
}

/* Its successor in the slot has yet to come. */
static void
one_who_has_come_up_says_so_and_wakes_a_master_that_waits(void **state)
{
	struct board *b = *state;
	unsigned slot = (unsigned)board_claim(b, SLOT_WAITING);
	unsigned other = (unsigned)board_claim(b, SLOT_WAITING);

	assert_false(board_has_arrived(b, slot));
	in_child(b, slot, board_arrive);
	assert_true(board_has_arrived(b, slot));
	assert_false(board_has_arrived(b, other));
	assert_false(master_was_woken(b));
	board_await(b, true);
	in_child(b, other, board_arrive);
	assert_true(board_has_arrived(b, other));
	assert_true(master_was_woken(b));
	assert_int_equal(board_arrived(b), 2);
	board_release(b, slot);
	assert_int_equal(board_claim(b, SLOT_WAITING), (int)slot);
	assert_false(board_has_arrived(b, slot));
}

/* A worker that retires by itself is counted as one that leaves, and its successor starts at once. */
static void
one_who_leaves_by_itself_says_so_and_wakes_the_master(void **state)
{
	struct board *b;
	int slot;

	(void)state;
	assert_int_equal(board_new(&b, 2, NULL), 0);
	assert_true(board_let_wake(b) >= 0);
	slot = board_claim(b, SLOT_WAITING);
	board_mine(b, (unsigned)slot);
	assert_false(board_is_leaving(b, (unsigned)slot));
	board_leave(b);
	assert_true(board_is_leaving(b, (unsigned)slot));
	assert_int_equal(poll(&(struct pollfd){ .fd = board_wake_fd(b), .events = POLLIN }, 1, 0), 1);
	/* The next child of the slot begins anew. */
	board_release(b, (unsigned)slot);
	assert_int_equal(board_claim(b, SLOT_WAITING), slot);
	assert_false(board_is_leaving(b, (unsigned)slot));
	board_free(b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_claimed_slot_has_its_state_at_once),
		TEST(slots_run_out_with_an_error_and_come_back),
		TEST(the_descriptor_stays_in_this_program),
		TEST(one_without_a_slot_changes_nothing),
		TEST(what_a_child_reports_is_seen_by_all),
		TEST(a_busy_child_works_unless_it_waits),
		TEST(what_was_served_outlives_the_child_that_did_it),
		TEST(the_master_is_woken_below_its_threshold_only),
		TEST(a_threshold_of_none_wakes_never),
		TEST(the_master_is_woken_once_until_it_has_looked),
		TEST(a_threshold_set_too_late_wakes_at_once),
		TEST(a_counter_that_is_too_low_does_not_wake_at_once),
		TEST(no_wake_is_lost_between_looking_and_changing),
		TEST(a_child_knows_its_own_slot_and_no_other),
		TEST(a_killed_child_leaves_a_sound_board),
		TEST(garbage_in_a_slot_counts_as_unsound_and_breaks_nothing),
		TEST(a_wrong_counter_is_set_right_and_told),
		TEST(what_is_said_twice_counts_once_among_those_that_wait),
		TEST(dequeue_child_stays_one),
		TEST(overwritten_slots_belong_to_their_children_still),
		TEST(child_says_again_what_was_overwritten),
		TEST(many_processes_leave_counts_that_are_right),
		TEST(many_clients_of_one_child_are_counted),
		TEST(threads_of_one_child_agree_on_what_it_does),
		cmocka_unit_test(memory_may_be_the_callers),
		TEST(one_who_has_come_up_says_so_and_wakes_a_master_that_waits),
		cmocka_unit_test(one_who_leaves_by_itself_says_so_and_wakes_the_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
