/*
 * A key-value store: workers that share memory.
 *
 *	./kv --port 7007 --slots 4096
 *
 *	SET name any text        OK, or FULL
 *	GET name                 VALUE any text, or NONE
 *	DEL name                 OK, or NONE
 *	KEYS                     KEY name, for each; then END
 *	QUIT                     BYE
 *
 * Shared memory has three traps, and this program shows the way around each:
 *
 *   It must exist before the first worker does, so it is made in a hook of the parent. `configured`
 *   is the one: the options are known, and nothing is bound yet, so that a failure costs nothing.
 *   (`bound` and `ready` would do as well; `child_start` would give each worker memory of its own.)
 *
 *   A worker may be killed while it holds the lock. The lock is therefore a robust one: the next
 *   worker is told and goes on. And it may be killed half-way through a change. Each change is
 *   therefore prepared where nobody looks and takes effect by a single store.
 *
 *   A client may be slow. No call that waits for one is made under the lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include <tend/tend.h>

#define KEY_SIZE 64
#define VALUE_SIZE 448
#define SLOTS_MAX 1000000

struct entry {
	atomic_bool used;    /* this store makes a new entry count, or an old one not */
	atomic_uint current; /* this store makes a new value count */
	char        key[KEY_SIZE];
	char        value[2][VALUE_SIZE];
};

struct store {
	pthread_mutex_t lock;
	struct entry    entries[];
};

static struct store *store;
static unsigned int slots;

static const struct tend_option options[] = {
	{ "slots", TEND_INTO(&slots), .value = "1024", .help = "keys that the store has room for" },
	TEND_END
};

/* ---- the store ---- */

static int
make_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t how;
	int e = pthread_mutexattr_init(&how);

	if (e != 0)
		return -e;
	pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
	e = pthread_mutex_init(lock, &how);
	pthread_mutexattr_destroy(&how);
	return -e;
}

static int
open_store(struct tend_server *srv)
{
	size_t size = sizeof(*store) + slots * sizeof(store->entries[0]);
	int r;

	if (slots < 1 || slots > SLOTS_MAX)
		return tend_server_fail(srv, -EINVAL, "slots is %u, not 1 to %d", slots, SLOTS_MAX);
	/* All zero: every entry is free. Pages cost nothing until they are used. */
	store = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (store == MAP_FAILED)
		return tend_server_fail(srv, -errno, "no memory for %u slots", slots);
	r = make_lock(&store->lock);
	return r < 0 ? tend_server_fail(srv, r, "cannot make a lock") : 0;
}

static void
lock_store(void)
{
	/* The owner died. There is nothing to repair: whatever it was about to do never happened. */
	if (pthread_mutex_lock(&store->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&store->lock);
}

static void
unlock_store(void)
{
	pthread_mutex_unlock(&store->lock);
}

/* The entry of the key; without one, and if `room` is asked for, a free entry; or NULL. */
static struct entry *
find(const char *key, bool room)
{
	struct entry *unused = NULL, *e;

	for (e = store->entries; e < store->entries + slots; e++)
		if (e->used && strcmp(e->key, key) == 0)
			return e;
		else if (!e->used && unused == NULL)
			unused = e;
	return room ? unused : NULL;
}

static bool
set(const char *key, const char *value)
{
	struct entry *e;

	lock_store();
	e = find(key, true);
	if (e != NULL) {
		unsigned int other = !e->current;

		strcpy(e->value[other], value);
		if (!e->used)
			strcpy(e->key, key);
		e->current = other;
		e->used = true;
	}
	unlock_store();
	return e != NULL;
}

static bool
get(const char *key, char value[VALUE_SIZE])
{
	struct entry *e;

	lock_store();
	e = find(key, false);
	if (e != NULL)
		strcpy(value, e->value[e->current]);
	unlock_store();
	return e != NULL;
}

static bool
del(const char *key)
{
	struct entry *e;

	lock_store();
	e = find(key, false);
	if (e != NULL)
		e->used = false;
	unlock_store();
	return e != NULL;
}

/* The key in a slot, if there is one. */
static bool
key_at(unsigned int slot, char key[KEY_SIZE])
{
	const struct entry *e = &store->entries[slot];
	bool used;

	lock_store();
	used = e->used;
	if (used)
		strcpy(key, e->key);
	unlock_store();
	return used;
}

/* ---- the conversation ---- */

static void
answer_set(struct tend_conn *c, const char *key, const char *value)
{
	if (strlen(value) >= VALUE_SIZE)
		tend_printf(c, "ERROR a value may have %d bytes\n", VALUE_SIZE - 1);
	else
		tend_printf(c, set(key, value) ? "OK\n" : "FULL\n");
}

static void
answer_get(struct tend_conn *c, const char *key, const char *value)
{
	char copy[VALUE_SIZE];

	(void)value;
	if (get(key, copy))
		tend_printf(c, "VALUE %s\n", copy);
	else
		tend_printf(c, "NONE\n");
}

static void
answer_del(struct tend_conn *c, const char *key, const char *value)
{
	(void)value;
	tend_printf(c, del(key) ? "OK\n" : "NONE\n");
}

/* One at a time: a long list to a slow client must not hold up everybody. */
static void
answer_keys(struct tend_conn *c, const char *key, const char *value)
{
	char copy[KEY_SIZE];
	unsigned int i;

	(void)key, (void)value;
	for (i = 0; i < slots; i++)
		if (key_at(i, copy) && tend_printf(c, "KEY %s\n", copy) < 0)
			return;
	tend_printf(c, "END\n");
}

static const struct command {
	const char *name;
	int         words; /* that it needs, its name included */
	void (*answer)(struct tend_conn *c, const char *key, const char *value);
} commands[] = {
	{ "GET", 2, answer_get },
	{ "SET", 3, answer_set },
	{ "DEL", 2, answer_del },
	{ "KEYS", 1, answer_keys },
};

static const struct command *
command_named(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcasecmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* Takes a line apart: a command, a key, and all the rest as the value. */
static void
obey(struct tend_conn *c, char *line)
{
	char *name = strsep(&line, " ");
	char *key = strsep(&line, " ");
	int words = line != NULL ? 3 : key != NULL ? 2 : 1;
	const struct command *command = command_named(name);

	if (command == NULL)
		tend_printf(c, "ERROR there are GET, SET, DEL, KEYS and QUIT\n");
	else if (words < command->words || (key != NULL && key[0] == '\0'))
		tend_printf(c, "ERROR %s needs more words\n", command->name);
	else if (key != NULL && strlen(key) >= KEY_SIZE)
		tend_printf(c, "ERROR a key may have %d bytes\n", KEY_SIZE - 1);
	else
		command->answer(c, key, line);
}

static void
converse(struct tend_conn *c)
{
	char *line;
	ssize_t n;

	while ((n = tend_getline(c, &line)) > 0) {
		if (strlen(line) != (size_t)n - 1) {
			tend_printf(c, "ERROR text only\n");
		} else if (strcasecmp(line, "QUIT") == 0) {
			tend_printf(c, "BYE\n");
			return;
		} else {
			obey(c, line);
		}
	}
}

/* Ours are weaker than the user's wishes; what stands in .config would beat the command line. */
static const char *const defaults[] = { "server_type", "PreFork", NULL };

static const struct tend_service service = {
	.name = "kv",
	.about = "Keeps texts under names.",
	.options = options,
	.defaults = defaults,
	.hooks.configured = open_store,
	.hooks.process = converse,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
