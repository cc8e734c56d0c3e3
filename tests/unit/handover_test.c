/* What one image leaves to the next: the text, and the file that it goes in. NS-HUP-02 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/reexec.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HEAD "tend-handover 1\nkind 1\npid 4711\n"


static void
fill(struct handover *h)
{
	const struct handed_listener tcp = {
		.fd = 7, .directory = -1, .ipv = 4, .proto = strdup("tcp"), .host = strdup("::"),
		.port = strdup("32977"), .configured_port = strdup("0"),
	};
	const struct handed_listener local = {
		.fd = 8, .directory = 9, .device = 1, .inode = UINT64_MAX, .ours = true,
		.proto = strdup("unix"), .host = strdup("*"), .port = strdup("/run/a b|c;d%\n\xff"),
		.configured_port = strdup("-"),
	};

	handover_init(h);
	h->kind = HANDOVER_RETURN;
	h->pid = 4711;
	h->blocked = UINT64_MAX;
	h->program = strdup("/usr/bin/a program");
	h->reason = strdup("");
	h->image = 3;
	h->log = 4;
	h->log_path = strdup("/var/log/x");
	h->pid_file = 5;
	h->pid_file_directory = 6;
	h->pid_file_path = strdup("/run/x.pid");
	h->lifeline[0] = 10;
	h->lifeline[1] = 11;
	h->conf = 12;
	h->conf_path = strdup("-dash");
	assert_int_equal(handover_add_listener(h, &tcp), 0);
	assert_int_equal(handover_add_listener(h, &local), 0);
	free(tcp.proto), free(tcp.host), free(tcp.port), free(tcp.configured_port);
	free(local.proto), free(local.host), free(local.port), free(local.configured_port);
	for (int i = 0; i < 100; i++)
		assert_int_equal(handover_add_child(h, 1000 + i, (unsigned)i % 3), 0);
}

static void
assert_same_listener(const struct handed_listener *a, const struct handed_listener *b)
{
	assert_int_equal(a->fd, b->fd);
	assert_int_equal(a->directory, b->directory);
	assert_true(a->device == b->device && a->inode == b->inode);
	assert_int_equal(a->ours, b->ours);
	assert_int_equal(a->ipv, b->ipv);
	assert_string_equal(a->proto, b->proto);
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->port, b->port);
	assert_string_equal(a->configured_port, b->configured_port);
}

static void
what_is_written_is_read_again(void **state)
{
	struct handover a, b;
	char *text, *again;

	(void)state;
	fill(&a);
	text = handover_format(&a);
	assert_non_null(text);
	assert_int_equal(handover_parse(&b, text, NULL), 0);
	assert_int_equal(b.kind, HANDOVER_RETURN);
	assert_int_equal(b.pid, 4711);
	assert_true(b.blocked == UINT64_MAX);
	assert_string_equal(b.program, a.program);
	assert_string_equal(b.reason, "");
	assert_string_equal(b.conf_path, "-dash");
	assert_int_equal(b.pid_file_directory, 6);
	assert_int_equal(b.listener_count, 2);
	assert_same_listener(&a.listeners[0], &b.listeners[0]);
	assert_same_listener(&a.listeners[1], &b.listeners[1]);
	assert_int_equal(b.child_count, 100);
	assert_int_equal(b.children[99].pid, 1099);
	again = handover_format(&b);
	assert_string_equal(again, text);
	free(text);
	free(again);
	handover_done(&a);
	handover_done(&b);
}

/* It must be a handover, all of it, and nothing else. */
static void
what_makes_no_sense_is_refused_as_a_whole(void **state)
{
	static const char *const texts[] = {
		"", "\n", "end\n", "tend-handover 2\nkind 1\npid 4711\nend\n", HEAD, HEAD "end",
		HEAD "end\n\n", HEAD "end\nend\n", "tend-handover 1\nkind 1\nend\n",
		"tend-handover 1\npid 4711\nend\n", HEAD "pid 4711\nend\n", HEAD "kind 3\nend\n",
		"tend-handover 1\nkind 1\npid 0\nend\n", "tend-handover 1\nkind 1\npid -4711\nend\n",
		HEAD "image\nend\n", HEAD "image 2\nend\n", HEAD "image 3 4\nend\n",
		HEAD "image 03\nend\n", HEAD "image 3x\nend\n", HEAD "image 99999999\nend\n",
		HEAD "image  3\nend\n", HEAD "image 3 \nend\n", HEAD " image 3\nend\n",
		HEAD "unknown 1\nend\n", HEAD "\nend\n", HEAD "reason a%\nend\n",
		HEAD "reason a%4\nend\n", HEAD "reason a%00\nend\n", HEAD "reason a%4g\nend\n",
		HEAD "reason -x\nend\n", HEAD "reason \nend\n", HEAD "reason \x01\nend\n",
		HEAD "child 1 0\nend\n", HEAD "child -1 0\nend\n", HEAD "child 4 3\nend\n",
		HEAD "listener 7 -1 0 0 0 4 tcp h p\nend\n", HEAD "listener 7 -1 0 0 0 8 tcp h p p\nend\n",
		HEAD "listener 7 -1 0 0 2 4 tcp h p p\nend\n",
		HEAD "listener 7 -1 18446744073709551616 0 0 4 tcp h p p\nend\n",
		HEAD "listener 7 -1 0 0 0 4 tcp h p p p p p p p p p\nend\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		struct error e = { 0 };
		struct handover h;

		if (handover_parse(&h, texts[i], &e) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(e.code, -EINVAL);
		assert_string_not_equal(e.text, "");
		assert_null(h.listeners);
		assert_null(h.program);
		assert_int_equal(h.image, -1);
	}
}

static void
file_has_its_text_and_closes_on_exec(void **state)
{
	char text[8] = "";
	int fd = reexec_file("hello", 5);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 5);
	assert_string_equal(text, "hello");
	close(fd);
}

static void
nothing_was_handed_to_this_process(void **state)
{
	(void)state;
	assert_null(reexec_take());
	assert_false(reexec_is_trial());
	assert_null(getenv(HANDOVER_VARIABLE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(what_makes_no_sense_is_refused_as_a_whole),
		cmocka_unit_test(file_has_its_text_and_closes_on_exec),
		cmocka_unit_test(nothing_was_handed_to_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
