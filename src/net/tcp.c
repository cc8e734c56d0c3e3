/* The transport tcp. */
#include "net/plain.h"

const struct transport transport_tcp = {
	.name = "tcp",
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
};
