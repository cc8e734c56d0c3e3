/*
 * Options of your own: one of each type, and a handler that shows them. The rows below are all there
 * is to write; command line, conf file, checks and --help follow from them.
 *
 *	./options --port 7007 --motto "be brief" --friend ada --friend grace --patience 2.5
 *	./options --conf_file options.conf           with lines such as:  motto  be brief
 *	./options --rooms many                       is refused: not a number
 *	./options --help
 *
 * A client names an option and is told its value; `all` shows those of this program. Any option of
 * tend can be asked for too: try `max_servers`.
 */
#include <errno.h>
#include <string.h>

#include <tend/tend.h>

/* Where the values go. Options without a .value start with what stands here. */
static struct {
	const char      *motto;
	struct tend_list friends;
	bool             loud;
	int              offset;
	unsigned int     rooms;
	long             limit;
	double           patience;
} own = { .limit = 5000000000 };

/* TEND_INTO takes the type of an option from the variable: a wrong one does not compile. */
static const struct tend_option options[] = {
	{ "motto",    TEND_INTO(&own.motto),    .value = "slow and steady", .help = "a text" },
	{ "friend",   TEND_INTO(&own.friends),  .help = "a list: may be given several times" },
	{ "loud",     TEND_INTO(&own.loud),     .value = "no", .help = "yes or no" },
	{ "offset",   TEND_INTO(&own.offset),   .value = "-1", .help = "a whole number" },
	{ "rooms",    TEND_INTO(&own.rooms),    .value = "16", .help = "a count", .alias = "r" },
	{ "limit",    TEND_INTO(&own.limit),    .help = "a number that may be large" },
	{ "patience", TEND_INTO(&own.patience), .value = "30", .help = "seconds, 0.5 is one too" },
	TEND_END
};

static void
show_all(struct tend_conn *c)
{
	size_t i;

	tend_printf(c, "motto: %s\n", own.motto);
	for (i = 0; i < own.friends.count; i++)
		tend_printf(c, "friend: %s\n", own.friends.items[i]);
	tend_printf(c, "loud: %s\n", own.loud ? "yes" : "no");
	tend_printf(c, "offset: %d\n", own.offset);
	tend_printf(c, "rooms: %u\n", own.rooms);
	tend_printf(c, "limit: %ld\n", own.limit);
	tend_printf(c, "patience: %g\n", own.patience);
}

static void
answer(struct tend_conn *c)
{
	const char *value;
	char *name;

	tend_set_timeout(c, own.patience);
	while (tend_getline(c, &name) > 0) {
		if (strcmp(name, "all") == 0) {
			show_all(c);
			continue;
		}
		/* The same by name and as text; this way reaches the options of tend as well. */
		value = tend_server_get(tend_conn_server(c), name);
		if (value != NULL)
			tend_printf(c, "%s: %s\n", name, value);
		else
			tend_printf(c, "there is no option %s\n", name);
	}
}

/* What a row cannot say is checked here, before anything is bound. */
static int
check(struct tend_server *srv)
{
	if (own.rooms == 0)
		return tend_server_fail(srv, -EINVAL, "rooms is 0, where would people meet?");
	return 0;
}

static const struct tend_service service = {
	.name = "options",
	.about = "Shows its options to whoever asks.",
	.options = options,
	.hooks.configured = check,
	.hooks.process = answer,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
