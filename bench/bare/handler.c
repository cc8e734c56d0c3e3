/*
 * The work for one client as a program of its own, for servers that run one per connection
 * (tcpserver, xinetd): the request comes on standard input, the answer goes to standard
 * output.
 */
#include "bare.h"

#include <unistd.h>

int
main(void)
{
	bare_serve(STDIN_FILENO, STDOUT_FILENO);
	return 0;
}
