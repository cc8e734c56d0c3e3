/*
 * A service without a main: the command tend loads it and gives it every option there is.
 *
 *	cc -shared -fPIC -o service.so service.c $(pkg-config --cflags tend)
 *	tend serve ./service.so --port 7013 --utc yes
 *
 * This one is the daytime protocol (RFC 867): it says the time and hangs up.
 */
#include <time.h>

#include <tend/tend.h>

static bool utc;

static const struct tend_option options[] = {
	{ "utc", TEND_INTO(&utc), .value = "no", .help = "universal time instead of local time" },
	TEND_END
};

static void
say_time(struct tend_conn *c)
{
	time_t now = time(NULL);
	char text[100];
	struct tm t;

	if (utc)
		gmtime_r(&now, &t);
	else
		localtime_r(&now, &t);
	strftime(text, sizeof(text), "%A, %B %d, %Y %H:%M:%S-%Z", &t);
	tend_printf(c, "%s\r\n", text);
}

/* The name that `tend serve` looks for. */
extern const struct tend_service tend_service;

const struct tend_service tend_service = {
	.name = "daytime",
	.about = "Says what time it is (RFC 867).",
	.options = options,
	.hooks.process = say_time,
};
