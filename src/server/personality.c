/* The personalities of this build, by name. */
#include "server/personality.h"

#include <strings.h>

#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct personality *const all[] = {
	&personality_single,
	&personality_inet,
	&personality_fork,
	&personality_preforksimple,
	&personality_prefork,
	&personality_multiplex,
	&personality_thread,
};

const struct personality *
personality_find(const char *name, const char **nearest)
{
	const char *names[COUNT(all)];
	size_t i;

	for (i = 0; i < COUNT(all); i++) {
		if (strcasecmp(name, all[i]->name) == 0)
			return all[i];
		names[i] = all[i]->name;
	}
	if (nearest != NULL)
		*nearest = str_nearest(name, names, COUNT(names));
	return NULL;
}

const char *
personality_names(void)
{
	return "Single, INET, Fork, PreForkSimple, PreFork, Multiplex, Thread";
}
