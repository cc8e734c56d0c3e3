/*
 * The command line, in all spellings of Net::Server:
 *
 *	--key value  --key=value  key value  key=value  "--key value"  "key value"  --key
 *
 * Only names of the table are options; everything else is left over, in order. Values are taken as
 * they are: nothing in them is decoded or expanded (NS-OPT-29).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/values.h"

#define BLANKS " \t\r\n\f\v"

/* One element, taken apart. */
struct element {
	struct entry *entry;   /* NULL: no option, left over */
	size_t        length;  /* of dashes and name */
	const char   *value;   /* NULL: the name alone */
};

static struct element
parse_element(const struct options *o, const char *text)
{
	const char *name = strncmp(text, "--", 2) == 0 ? text + 2 : text;
	size_t size = strspn(name, NAME_CHARACTERS);
	const char *rest = name + size;
	struct element found = { .length = (size_t)(rest - text) };

	/* After a blank no second one may follow: "deny all who come" is a sentence. */
	if (size == 0 ||
	    (*rest == ' ' && (rest[1] == '\0' || strpbrk(rest + 1, BLANKS) != NULL)) ||
	    (*rest != ' ' && *rest != '=' && *rest != '\0'))
		return found;
	found.entry = options_find(o, name, size);
	if (*rest != '\0')
		found.value = rest + 1;
	return found;
}

/* "--word": what follows a flag, even where the word is no option (NS-OPT-21). */
static bool
looks_like_option(const char *text)
{
	return strncmp(text, "--", 2) == 0 && strspn(text + 2, NAME_CHARACTERS) > 0;
}

static int
take(struct options *o, const struct element *found, const char *text, const char *value)
{
	char where[64];

	snprintf(where, sizeof(where), "%.*s", (int)found->length, text);
	return entry_give(o, found->entry, SOURCE_COMMAND_LINE, where, value);
}

int
options_from_command_line(struct options *o, int argc, char *const argv[], char ***leftovers,
	int *count, struct error *e)
{
	char **left = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof(*left));
	int n = 0, i;

	if (left == NULL)
		return options_no_memory(e);
	free(o->leftovers);
	o->leftovers = left;
	for (i = 0; i < argc && argv[i] != NULL; i++) {
		const char *text = argv[i];
		struct element found = parse_element(o, text);
		const char *value = found.value;

		if (found.entry == NULL) {
			left[n++] = argv[i];
			continue;
		}
		if (value == NULL && i + 1 < argc && argv[i + 1] != NULL &&
		    !looks_like_option(argv[i + 1]))
			value = argv[++i];
		if (take(o, &found, text, value != NULL ? value : "1") < 0)
			return options_no_memory(e);
	}
	*leftovers = left;
	*count = n;
	return 0;
}
