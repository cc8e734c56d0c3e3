/* The transport unix: streams between processes of this machine. */
#include "net/plain.h"

const struct tend_transport transport_unix = {
	.name = "unix",
	.traits = TRANSPORT_LOCAL | TEND_TRANSPORT_PLAIN,
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
};
