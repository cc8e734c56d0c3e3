/*
 * A service without a main: the command tend loads it and gives it every option there is.
 *
 *	cc -shared -fPIC -o service.so service.c $(pkg-config --cflags tend)
 *	tend serve ./service.so --port 7013 --format "%H:%M"
 *
 * This one is the daytime protocol (RFC 867): it says the time and hangs up.
 */
#include <time.h>

#include <tend/tend.h>

static const char *format;

static const struct tend_option options[] = {
	{ "format", TEND_INTO(&format), .value = "%a, %d %b %Y %H:%M:%S %z", .help = "as of strftime()" },
	TEND_END
};

static void
say_time(struct tend_conn *c)
{
	time_t now = time(NULL);
	struct tm local;
	char text[200];

	if (strftime(text, sizeof(text), format, localtime_r(&now, &local)) > 0)
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
