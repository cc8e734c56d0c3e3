/* The transport unix: streams between processes of this machine. */
#include "net/plain.h"

const struct transport transport_unix = {
	.name = "unix",
	.traits = TRANSPORT_LOCAL,
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
};
