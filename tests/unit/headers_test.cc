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

/* Its members in their order, up to `done`. */
static const struct tend_transport passing = {
	"passing", TEND_TRANSPORT_PLAIN, nullptr, tend_below_read, tend_below_write, tend_below_pending,
	tend_below_shutdown, nullptr, { nullptr, nullptr, nullptr, nullptr }
};

static bool
transport_can_be_filled_in()
{
	return passing.read == tend_below_read && passing.done == nullptr;
}

static bool
library_links()
{
	struct tend_trace what = {};
	char text[100];

	what.kind = TEND_TRACE_SIGNAL;
	what.number = 15;
	return std::strlen(tend_version()) > 0 &&
	    std::strcmp(tend_trace_text(&what, text, sizeof(text)), "signal 15") == 0;
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
	std::printf("1..3\n");
	bool good = say(1, service_can_be_filled_in(), "service_can_be_filled_in");
	good = say(2, library_links(), "library_links") && good;
	good = say(3, transport_can_be_filled_in(), "transport_can_be_filled_in") && good;
	return good ? 0 : 1;
}
