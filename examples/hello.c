/* The shortest server. Run it, then say in another terminal: nc 127.0.0.1 20203 */
#include <tend/tend.h>

static void
say_hello(struct tend_conn *c)
{
	tend_printf(c, "hello, %s\n", tend_peer(c));
}
static const struct tend_service hello = { .hooks.process = say_hello };
int main(void) { return tend_serve(&hello); }
