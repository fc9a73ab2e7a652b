/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files named on the command line, with any
 * compiler: a corpus is an ordinary test.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	/* On the heap and of its exact size: reading past it is seen. */
	uint8_t *data = NULL;
	FILE *f = fopen(path, "rb");
	long size = -1;
	int ret = -1;

	if (f && !fseek(f, 0, SEEK_END))
		size = ftell(f);
	if (size >= 0 && !fseek(f, 0, SEEK_SET))
		data = malloc((size_t)size ? (size_t)size : 1);
	if (data && fread(data, 1, (size_t)size, f) == (size_t)size)
		ret = LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	if (f)
		fclose(f);
	return ret;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (replay(argv[i])) {
			fprintf(stderr, "%s: cannot replay\n", argv[i]);
			return 1;
		}
	}
	printf("%d inputs\n", argc - 1);
	return argc > 1 ? 0 : 1;
}
