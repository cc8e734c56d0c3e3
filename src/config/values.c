/*
 * Storage of the values that sources gave. Knows nothing of what they mean; convert.c does. Texts
 * that settings may point to are never freed before the options are.
 */
#include "config/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define BLANKS " \t\r\n\f\v"

int
options_no_memory(struct error *e)
{
	return error_set(e, EX_OSERR, -ENOMEM, "out of memory while reading the options");
}

/* In front of everything that settings may point to, so that retiring it cannot fail. */
struct kept {
	struct kept *next;
	char         data[];
};

static struct kept *
kept_of(void *p)
{
	return (struct kept *)((char *)p - offsetof(struct kept, data));
}

void *
kept_new(size_t size)
{
	char *p = malloc(offsetof(struct kept, data) + size);

	/* cppcheck-suppress memleak ; kept_free() finds the start again */
	return p != NULL ? p + offsetof(struct kept, data) : NULL;
}

void
kept_free(void *p)
{
	if (p != NULL)
		free(kept_of(p));
}

void
options_retire(struct options *o, void *p)
{
	struct kept *k;

	if (p == NULL || !o->handed_out) {
		kept_free(p);
		return;
	}
	k = kept_of(p);
	k->next = o->retired;
	o->retired = k;
}

void
options_free_retired(struct options *o)
{
	while (o->retired != NULL) {
		struct kept *k = o->retired;

		o->retired = k->next;
		free(k);
	}
}

void
entry_forget(struct options *o, struct entry *entry, struct value *v)
{
	/* Nobody points to a number's text: a server that changes one for ever must not grow. */
	if (entry->row->type == TEND_OPTION_TEXT || entry->row->type == TEND_OPTION_LIST)
		options_retire(o, v->text);
	else
		kept_free(v->text);
	free(v->where);
	*v = (struct value){ 0 };
}

void
entry_cut(struct options *o, struct entry *entry, enum source source, size_t count)
{
	struct given *g = &entry->given[source];

	while (g->count > count)
		entry_forget(o, entry, &g->values[--g->count]);
}

/* Room for one more value. */
static int
given_reserve(struct given *g)
{
	size_t size = g->size > 0 ? g->size * 2 : 1;
	struct value *values;

	if (g->count < g->size)
		return 0;
	values = reallocarray(g->values, size, sizeof(*values));
	if (values == NULL)
		return -ENOMEM;
	g->values = values;
	g->size = size;
	return 0;
}

static int
give(struct options *o, struct entry *entry, enum source source, const char *where,
	const char *text, size_t size)
{
	struct given *g = &entry->given[source];
	struct value v = { .text = kept_new(size + 1) };

	if (where != NULL)
		v.where = strdup(where);
	if (v.text == NULL || (where != NULL && v.where == NULL) || given_reserve(g) < 0) {
		kept_free(v.text);
		free(v.where);
		return -ENOMEM;
	}
	memcpy(v.text, text, size);
	v.text[size] = '\0';
	if (entry->row->type != TEND_OPTION_LIST)
		entry_cut(o, entry, source, 0);
	g->values[g->count++] = v;
	return 0;
}

int
entry_give(struct options *o, struct entry *entry, enum source source, const char *where,
	const char *text)
{
	if ((entry->row->flags & ROW_SPLIT) != 0)
		return entry_give_split(o, entry, source, where, text, "," BLANKS);
	return give(o, entry, source, where, text, strlen(text));
}

int
entry_give_split(struct options *o, struct entry *entry, enum source source, const char *where,
	const char *text, const char *separators)
{
	const char *p = text;
	bool any = false;
	int r;

	for (;;) {
		size_t size;

		p += strspn(p, "," BLANKS);
		if (*p == '\0')
			break;
		size = strcspn(p, separators);
		while (size > 0 && strchr(BLANKS, p[size - 1]) != NULL)
			size--;
		r = give(o, entry, source, where, p, size);
		if (r < 0)
			return r;
		any = true;
		p += size;
		/* Blanks that were trimmed off, when only the comma separates. */
		p += strspn(p, BLANKS);
	}
	return any ? 0 : give(o, entry, source, where, "", 0);
}

const struct given *
entry_winner(const struct entry *entry, enum source *source)
{
	int i;

	for (i = SOURCE_COUNT - 1; i >= 0; i--)
		if (entry->given[i].count > 0) {
			*source = (enum source)i;
			return &entry->given[i];
		}
	*source = SOURCE_BUILT_IN;
	return NULL;
}

const char *
value_origin(char *into, size_t size, const struct value *v, enum source source, bool brief)
{
	static const char *const names[SOURCE_COUNT] = {
		[SOURCE_BUILT_IN] = "default",
		[SOURCE_DEFAULTS] = "defaults of the service",
		[SOURCE_FILE] = "conf file",
		[SOURCE_ARGUMENTS] = "arguments",
		[SOURCE_COMMAND_LINE] = "command line",
		[SOURCE_CODE] = "code",
	};
	const char *where = v->where, *dots = "";
	char text[160];
	size_t length;

	if (where == NULL || (brief && source == SOURCE_COMMAND_LINE)) {
		snprintf(into, size, "%s", names[source]);
		return into;
	}
	/* The end of a path, with the line, says more than its beginning. */
	length = strlen(where);
	if (length > 140) {
		where += length - 137;
		length = 137;
		dots = "...";
	}
	str_escape(text, sizeof(text), where, length);
	if (source == SOURCE_COMMAND_LINE)
		snprintf(into, size, "%s (%s%s)", names[source], dots, text);
	else
		snprintf(into, size, "%s%s", dots, text);
	return into;
}

const char *
value_quote(char *into, size_t size, const char *text)
{
	char safe[100];
	size_t length = strlen(text);
	size_t shown = length > 80 ? 80 : length;

	str_escape(safe, sizeof(safe), text, shown);
	snprintf(into, size, "\"%s%s\"", safe, shown < length ? "..." : "");
	return into;
}
