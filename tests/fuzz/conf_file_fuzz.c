/* Any bytes as a conf file, read as the server reads them, resolved and dumped. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/file.h"
#include "config/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text;
static struct tend_list list;
static double number;

static const struct tend_option own[] = {
	{ "text", TEND_INTO(&text), .alias = "t" },
	{ "list", TEND_INTO(&list) },
	{ "number", TEND_INTO(&number) },
	TEND_END
};

static void
pass_over(void *data, const char *note)
{
	(void)data;
	assert(note[0] != '\0');
}

static void
look_at(struct options *o)
{
	struct settings s;
	struct error e = { 0 };
	char *dump = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&dump, &size);

	if (options_resolve(o, &s, &e) < 0)
		assert(e.code < 0 && e.status != 0 && e.text[0] != '\0');
	else
		assert(s.value.log_level >= 0 && s.value.log_level <= 4 && s.host.count > 0);
	if (out != NULL) {
		options_dump(o, out);
		options_notes(o, pass_over, NULL);
		fclose(out);
		free(dump);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options *o;
	struct error e = { 0 };
	int fd = memfd_create("conf", MFD_CLOEXEC), r;
	bool strict = size > 0 && data[0] == 's';

	if (fd < 0 || options_new(&o, own, NULL) < 0)
		abort();
	if (write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0) {
		r = conf_read(o, fd, "x.conf", strict, &e);
		assert(r == 0 || (e.status != 0 && strncmp(e.text, "x.conf:", 7) == 0));
		look_at(o);
	}
	options_free(o);
	close(fd);
	return 0;
}
