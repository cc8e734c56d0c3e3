/*
 * The public headers compile as C++ and their names link from it: a service is filled in member
 * by member, options by position (C++ before 20 has no designated initialisers).
 */
#include <cstdio>
#include <cstring>

#include <tend/tend.h>

static unsigned rooms;

static const struct tend_option options[] = {
	{ "rooms", TEND_INTO(&rooms), "16", "rooms allowed", nullptr, { nullptr, nullptr } },
	TEND_END
};

static void
process(struct tend_conn *c)
{
	tend_printf(c, "hello, %s\n", tend_peer(c));
}

static bool
service_can_be_filled_in()
{
	struct tend_service service = {};

	service.hooks.process = process;
	service.options = options;
	return service.options[0].type == TEND_OPTION_UNSIGNED && service.hooks.process == process;
}

static bool
library_links()
{
	return std::strlen(tend_version()) > 0;
}

static bool
say(int number, bool good, const char *title)
{
	std::printf("%s %d - %s\n", good ? "ok" : "not ok", number, title);
	return good;
}

int
main()
{
	std::printf("1..2\n");
	bool good = say(1, service_can_be_filled_in(), "service_can_be_filled_in");
	good = say(2, library_links(), "library_links") && good;
	return good ? 0 : 1;
}
