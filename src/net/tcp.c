/* The transport tcp. */
#include "net/plain.h"

const struct tend_transport transport_tcp = {
	.name = "tcp",
	.traits = TEND_TRANSPORT_PLAIN,
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
};
