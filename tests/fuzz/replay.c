/*
 * Stands in for libFuzzer where there is none: feeds the files of the folder named on the
 * command line to the target, each whole and cut short at every length, and reports in TAP.
 *
 * Every input lies in memory of exactly its size, so that a sanitizer or valgrind sees a
 * target that reads one byte too far.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer seeds are fed whole only: cutting them everywhere takes the square of their size. */
#define CUT_MAX 2048
#define SEED_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
feed(const char *bytes, size_t size)
{
	uint8_t *exact = calloc(1, size != 0 ? size : 1);

	if (exact == NULL)
		abort();
	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static int
replay(const char *path)
{
	static char bytes[SEED_MAX];
	FILE *seed = fopen(path, "rb");
	size_t size;

	if (seed == NULL)
		return -1;
	size = fread(bytes, 1, sizeof(bytes), seed);
	fclose(seed);
	feed(bytes, size);
	for (size_t cut = 1; size <= CUT_MAX && cut < size; cut++)
		feed(bytes, cut);
	return 0;
}

static int
no_dot_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The folder may be missing: a target without seeds is fed the empty input alone. */
static int
replay_folder(const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, no_dot_file, alphasort);
	int failed = 0;

	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		int r = replay(path);
		printf("%s %d - %s\n", r == 0 ? "ok" : "not ok", i + 2, entries[i]->d_name);
		/* Out before the next seed, which may crash. */
		fflush(stdout);
		failed |= r;
		free(entries[i]);
	}
	free(entries);
	printf("1..%d\n", count > 0 ? count + 1 : 1);
	return failed;
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s SEEDS\n", argv[0]);
		return EXIT_FAILURE;
	}
	feed("", 0);
	printf("ok 1 - the empty input\n");
	return replay_folder(argv[1]) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
