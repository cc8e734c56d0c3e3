/*
 * Inside of struct options: the values that each source gave each option. Only for the files of
 * this folder; everybody else uses config/options.h.
 */
#ifndef TEND_CONFIG_VALUES_H
#define TEND_CONFIG_VALUES_H

#include "base/buf.h"
#include "base/error.h"
#include "config/options.h"
#include "config/options_table.h"

#define SOURCE_COUNT (SOURCE_CODE + 1)

/* What names are made of. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

struct value {
	char *text;  /* of kept_new() */
	char *where; /* "tend.conf:12"; NULL: the name of the source says it all */
};

/* What one source said about one option: at most one value unless the option is a list. */
struct given {
	struct value *values;
	size_t        count;
	size_t        size;
};

struct entry {
	const struct row *row;
	struct given      given[SOURCE_COUNT];
	const char      **items; /* of a list, as handed out last */
	size_t            item_count;
};

/* The option that options_set() changed last, as it was before. */
struct undo {
	struct entry *entry; /* NULL: nothing to take back */
	enum source   source;
	size_t        count;  /* of the values it had and has still */
	struct value  before; /* the one value that was replaced; no text: there was none */
};

struct options {
	struct row               *own;     /* rows made from the service's */
	struct entry             *entries; /* the service's first, then the table */
	size_t                    count;
	const struct tend_listen *listen_at;
	char                    **leftovers;
	struct buf                answer; /* of options_get() */
	bool                      handed_out; /* settings may point to texts of ours */
	struct kept              *retired;    /* replaced since, freed with us */
	struct undo               undo;
};

/* By name or alias; NULL: no such option. `size` is the length of the name. */
struct entry *options_find(const struct options *o, const char *name, size_t size);

/* Adds a value, or replaces it where an option has one. 0 or -ENOMEM; nothing changes then. */
int entry_give(struct options *o, struct entry *entry, enum source source, const char *where,
	const char *text);

/* The same for text that holds several values, separated by any of `separators`; blanks around
   them are dropped. Text without any value is one empty value. */
int entry_give_split(struct options *o, struct entry *entry, enum source source, const char *where,
	const char *text, const char *separators);

/* The values that count: of the strongest source that gave any. NULL: there are none. */
const struct given *entry_winner(const struct entry *entry, enum source *source);

/* Takes the values beyond the first `count` away. */
void entry_cut(struct options *o, struct entry *entry, enum source source, size_t count);

/* Gives the texts of a value of the entry back. */
void entry_forget(struct options *o, struct entry *entry, struct value *v);

/* Memory that settings may point to. options_retire() frees it, at once or, once settings have
   been handed out, with `o`. */
void *kept_new(size_t size);
void  kept_free(void *p);
void  options_retire(struct options *o, void *p);
void  options_free_retired(struct options *o);

/* Where a value came from, for people: "tend.conf:12", "command line (--port)". Safe to print;
   the end of a long one. `brief` leaves out what is in parentheses. Returns `into`. */
const char *value_origin(char *into, size_t size, const struct value *v, enum source source,
	bool brief);

/* Text for an error: in quotes, safe to print, cut when long. Returns `into`. */
const char *value_quote(char *into, size_t size, const char *text);

/* The sentence for a name that is no option, "x.conf:3: there is no option ...", with the nearest
   that is one. `where` may be NULL. Returns -ENOENT. */
int options_refuse_name(struct options *o, const char *where, const char *name, int status,
	struct error *e);

/* Out of memory, as an error. */
int options_no_memory(struct error *e);

/* 0, or -EINVAL when the default of a row of the service is no value for it. */
int row_check_default(const struct row *row, struct error *e);

/* An option of the table that does something in this build. */
static inline bool
row_is_live(const struct row *row)
{
	return (row->flags & (ROW_RESERVED | ROW_IGNORED)) == 0;
}

#endif
