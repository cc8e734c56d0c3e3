/*
 * Lists of blocks: whatever is accepted must be found again, by searching as well as by
 * looking at every range, and what is printed of a range must read as the same range.
 *
 * The first 17 bytes are a probe (family and address), the rest is the list.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "access/cidr.h"

#define PROBE_SIZE 17

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
at_most(const struct cidr_number *a, const struct cidr_number *b)
{
	return a->high < b->high || (a->high == b->high && a->low <= b->low);
}

static bool
looks_inside(const struct cidr_ranges *list, const struct cidr_number *n)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (at_most(&list->items[i].first, n) && at_most(n, &list->items[i].last))
			return true;
	return false;
}

static void
check_text(int family, const struct cidr_range *r)
{
	struct cidr_set again = { .v4.count = 0 };
	char text[CIDR_TEXT_MAX];
	const struct cidr_ranges *list = family == AF_INET ? &again.v4 : &again.v6;

	cidr_range_text(text, family, r);
	if (cidr_add(&again, "cidr_allow", text, NULL) < 0 || list->count != 1 ||
	    memcmp(&list->items[0], r, sizeof(*r)) != 0)
		abort();
	cidr_done(&again);
}

static void
check_edges(const struct cidr_set *s, int family, const struct cidr_ranges *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct cidr_address first = { family, list->items[i].first };
		struct cidr_address last = { family, list->items[i].last };

		if (!at_most(&first.number, &last.number) || cidr_find(s, &first) == NULL ||
		    cidr_find(s, &first) != cidr_find(s, &last))
			abort();
		check_text(family, &list->items[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cidr_address probe = { .family = AF_INET };
	struct cidr_set set = { .v4.count = 0 };
	struct error e = { .code = 0 };
	bool inside;
	char *list;

	if (size < PROBE_SIZE)
		return 0;
	memcpy(&probe.number, data + 1, sizeof(probe.number));
	if (data[0] & 1)
		probe.family = AF_INET6;
	else
		probe.number = (struct cidr_number){ 0, probe.number.low & UINT32_MAX };
	list = strndup((const char *)data + PROBE_SIZE, size - PROBE_SIZE);
	if (list == NULL)
		return 0;
	if (cidr_add(&set, "cidr_allow", list, &e) < 0 && e.text[0] == '\0')
		abort();
	/* What stood before a bad item is there and must behave. */
	inside = looks_inside(probe.family == AF_INET ? &set.v4 : &set.v6, &probe.number);
	cidr_sort(&set);
	if (inside != (cidr_find(&set, &probe) != NULL))
		abort();
	check_edges(&set, AF_INET, &set.v4);
	check_edges(&set, AF_INET6, &set.v6);
	cidr_done(&set);
	free(list);
	return 0;
}
