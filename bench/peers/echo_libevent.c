/*
 * Every byte comes back, with libevent as its users write it: a listener, a bufferevent for each
 * client, and the input buffer moved to the output buffer without copying. The read callback is
 * deferred by nothing, there is no lock and no time-out. Its reads are of at most 4 KiB each, which no
 * setting of a bufferevent changes.
 */
#include "../bare/bare.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

static void
readable(struct bufferevent *client, void *data)
{
	(void)data;
	evbuffer_add_buffer(bufferevent_get_output(client), bufferevent_get_input(client));
}

static void
happened(struct bufferevent *client, short events, void *data)
{
	(void)data;
	if (events & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(client);
}

static void
meet(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size,
    void *data)
{
	struct event_base *base = evconnlistener_get_base(listener);
	struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)from;
	(void)size;
	(void)data;
	if (client == NULL)
		bare_fail("make a bufferevent");
	bufferevent_setcb(client, readable, NULL, happened, NULL);
	bufferevent_enable(client, EV_READ | EV_WRITE);
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	int fd = bare_listen(o.port);
	struct event_base *base = event_base_new();

	bare_unblock(fd);
	if (base == NULL || evconnlistener_new(base, meet, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd) == NULL)
		bare_fail("make an event base");
	return event_base_dispatch(base);
}
