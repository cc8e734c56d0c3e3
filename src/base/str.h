/* Text: numbers out of it, making it safe to print, finding the word that was meant. */
#ifndef TEND_BASE_STR_H
#define TEND_BASE_STR_H

#include <tend/base.h>

/*
 * A whole decimal number, the text holding nothing else (blanks around it are not accepted).
 * 0, -EINVAL (not a number) or -ERANGE.
 */
int str_to_long(const char *text, long min, long max, long *into);

/* A decimal number, fractions allowed; no exponent, no hexadecimal, no "inf", whatever the locale. */
int str_to_double(const char *text, double min, double max, double *into);

/* A mode of files, as chmod(1) takes it: octal digits. 0, -EINVAL (not octal) or -ERANGE (above 0777). */
int str_to_mode(const char *text, unsigned *into);

/* 1 yes true on / 0 no false off and "", any case. 0 or -EINVAL. */
int str_to_bool(const char *text, bool *into);

/*
 * Writes `size` bytes of `from` so that a line of a log or a terminal can carry them: bytes outside
 * printable ASCII become %XX (NS-LOG-07). Cuts when `into` is full, always ends it with NUL, and
 * returns the length.
 */
size_t str_escape(char *into, size_t into_size, const char *from, size_t size);

/* How many letters must be added, dropped, changed or swapped to turn one word into the other. */
unsigned str_distance(const char *a, const char *b);

/*
 * The word of `words` (`count` of them) nearest to `text`, if it is near enough to have been meant;
 * else NULL. Case does not count.
 */
const char *str_nearest(const char *text, const char *const *words, size_t count);

#endif
