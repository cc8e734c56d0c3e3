/* Any words as a command line; words end at newlines. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"

#define WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text;
static struct tend_list list;

static const struct tend_option own[] = {
	{ "text", TEND_INTO(&text), .alias = "t" },
	{ "list", TEND_INTO(&list) },
	TEND_END
};

/* Leftovers are words of the command line, in their order. */
static void
check_leftovers(char **words, int count, char **left, int left_count)
{
	int i = 0, n;

	assert(left_count <= count && left[left_count] == NULL);
	for (n = 0; n < left_count; n++) {
		while (i < count && words[i] != left[n])
			i++;
		assert(i++ < count);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1), *p = copy, *words[WORDS], **left;
	struct options *o;
	struct settings s;
	struct error e = { 0 };
	int count = 0, left_count, i;

	if (copy == NULL || options_new(&o, own, NULL) < 0)
		abort();
	memcpy(copy, data, size);
	copy[size] = '\0';
	while (p != NULL && count < WORDS)
		words[count++] = strsep(&p, "\n");
	if (options_from_command_line(o, count, words, &left, &left_count, &e) < 0)
		abort();
	check_leftovers(words, count, left, left_count);
	for (i = 0; i < left_count; i++)
		options_nearest(o, left[i]);
	if (options_resolve(o, &s, &e) < 0)
		assert(e.code < 0 && e.status != 0 && e.text[0] != '\0');
	options_free(o);
	free(copy);
	return 0;
}
