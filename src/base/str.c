/* Text handling that more than one part needs. No locale is consulted anywhere. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX_LENGTH 63 /* longer words are compared by their beginnings */

int
str_to_long(const char *text, long min, long max, long *into)
{
	const char *p = text;
	bool negative = false;
	long n = 0;

	if (*p == '-' || *p == '+')
		negative = *p++ == '-';
	if (*p == '\0')
		return -EINVAL;
	for (; *p != '\0'; p++) {
		int digit = *p - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		if (n < (LONG_MIN + digit) / 10)
			return -ERANGE;
		/* Counted downwards: LONG_MIN has no positive twin. */
		n = n * 10 - digit;
	}
	if (!negative && n == LONG_MIN)
		return -ERANGE;
	n = negative ? n : -n;
	if (n < min || n > max)
		return -ERANGE;
	*into = n;
	return 0;
}

int
str_to_double(const char *text, double min, double max, double *into)
{
	const char *p = text;
	bool negative = false, digits = false;
	double n = 0, scale = 1;

	if (*p == '-' || *p == '+')
		negative = *p++ == '-';
	for (; *p >= '0' && *p <= '9'; p++, digits = true)
		n = n * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, digits = true)
			/* One division at the end: 0.3 is then the 0.3 of a C program. Digits beyond
			   what a double holds say nothing. */
			if (scale < 1e15) {
				n = n * 10 + (*p - '0');
				scale *= 10;
			}
	if (!digits || *p != '\0')
		return -EINVAL;
	n = negative ? -n / scale : n / scale;
	if (n < min || n > max)
		return -ERANGE;
	*into = n;
	return 0;
}

int
str_to_mode(const char *text, unsigned *into)
{
	const char *p;
	unsigned mode = 0;

	for (p = text; *p >= '0' && *p <= '7'; p++)
		if (mode <= 0777)
			mode = mode * 8 + (unsigned)(*p - '0');
	if (p == text || *p != '\0')
		return -EINVAL;
	if (mode > 0777)
		return -ERANGE;
	*into = mode;
	return 0;
}

int
str_to_bool(const char *text, bool *into)
{
	static const char *const yes[] = { "1", "yes", "true", "on" };
	static const char *const no[] = { "0", "no", "false", "off", "" };
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (strcasecmp(text, yes[i]) == 0) {
			*into = true;
			return 0;
		}
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (strcasecmp(text, no[i]) == 0) {
			*into = false;
			return 0;
		}
	return -EINVAL;
}

size_t
str_escape(char *into, size_t into_size, const char *from, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0, i;

	if (into_size == 0)
		return 0;
	for (i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)from[i];
		size_t need = byte >= 0x20 && byte < 0x7f ? 1 : 3;

		if (n + need >= into_size)
			break;
		if (need == 1) {
			into[n++] = (char)byte;
		} else {
			into[n++] = '%';
			into[n++] = hex[byte >> 4];
			into[n++] = hex[byte & 15];
		}
	}
	into[n] = '\0';
	return n;
}

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned
str_distance(const char *a, const char *b)
{
	/* Three rows of the table of optimal string alignment are enough. */
	unsigned rows[3][WORD_MAX_LENGTH + 1];
	size_t la = strnlen(a, WORD_MAX_LENGTH), lb = strnlen(b, WORD_MAX_LENGTH);
	size_t i, j;

	for (j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *twice = rows[(i + 1) % 3];
		int ca = tolower((unsigned char)a[i - 1]);

		row[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			int cb = tolower((unsigned char)b[j - 1]);

			row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]) && twice[j - 2] + 1 < row[j])
				row[j] = twice[j - 2] + 1;
		}
	}
	return rows[la % 3][lb];
}

const char *
str_nearest(const char *text, const char *const *words, size_t count)
{
	unsigned limit = (unsigned)(strlen(text) / 3) + 1, best = limit + 1;
	const char *found = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		unsigned d = str_distance(text, words[i]);

		if (d < best) {
			best = d;
			found = words[i];
		}
	}
	return found;
}
