/* Numbers of things, which are never below none. */
#ifndef TEND_BASE_COUNT_H
#define TEND_BASE_COUNT_H

static inline unsigned
count_least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many more `a` are than `b`. */
static inline unsigned
count_above(unsigned a, unsigned b)
{
	return a > b ? a - b : 0;
}

#endif
