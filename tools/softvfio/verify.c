/* SPDX-License-Identifier: MIT */
/*
 * softvfio verify SOURCE-STATS DESTINATION-STATS: did all that devices wrote
 * arrive?  Whoever migrated: the counters' files of the two processes tell.
 * A process that was both, of a migration before and one after, has one file
 * for both.
 *
 * Exits 0 verified, 4 lost, 1 not comparable, 2 bad usage or bad files.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "verbs.h"
#include "verdict.h"

#define EXIT_NOT_COMPARABLE 1
#define EXIT_LOST	    4

static int exit_of(enum verdict worst)
{
	switch (worst) {
	case VERDICT_VERIFIED:
		return 0;
	case VERDICT_LOST:
		return EXIT_LOST;
	default:
		return EXIT_NOT_COMPARABLE;
	}
}

/* The devices of the source, then those that only the destination has. */
static size_t pair_up(const struct stats_file *source,
		      const struct stats_file *destination, struct judged *all)
{
	size_t nr = 0;

	for (size_t i = 0; i < source->nr_devices; i++) {
		const struct sf_device *s = &source->devices[i];

		all[nr].name = s->name;
		all[nr].source = s;
		all[nr++].destination = stats_file_device(destination, s->name);
	}
	for (size_t i = 0; i < destination->nr_devices; i++) {
		const struct sf_device *d = &destination->devices[i];

		if (stats_file_device(source, d->name))
			continue;
		all[nr].name = d->name;
		all[nr++].destination = d;
	}
	return nr;
}

static int compare(const struct stats_file *source,
		   const struct stats_file *destination, bool json)
{
	enum verdict worst = VERDICT_UNUSED;
	struct judged *all;
	size_t nr;

	all = calloc(source->nr_devices + destination->nr_devices + 1,
		     sizeof(*all));
	if (!all)
		return EXIT_NOT_COMPARABLE;
	nr = pair_up(source, destination, all);
	for (size_t i = 0; i < nr; i++) {
		judge_device(&all[i]);
		if (all[i].verdict > worst)
			worst = all[i].verdict;
	}
	if (json)
		verdict_json(all, nr, worst);
	else
		verdict_text(all, nr, source);
	free(all);
	return exit_of(worst);
}

int verb_verify(int argc, char **argv)
{
	struct stats_file *files[2] = { NULL, NULL };
	struct jp_error error = { "" };
	const char *paths[2];
	bool json = false;
	size_t nr = 0;
	int r = EXIT_BAD;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (argv[i][0] == '-' || nr == 2)
			return usage(stderr, EXIT_BAD);
		else
			paths[nr++] = argv[i];
	}
	if (nr != 2)
		return usage(stderr, EXIT_BAD);
	if (stats_file_load(&files[0], paths[0], &error) ||
	    stats_file_load(&files[1], paths[1], &error))
		fprintf(stderr, "softvfio: %s\n", error.text);
	else
		r = compare(files[0], files[1], json);
	stats_file_free(files[0]);
	stats_file_free(files[1]);
	if (fflush(stdout) || ferror(stdout)) {
		perror("softvfio: standard output");
		return r ? r : EXIT_NOT_COMPARABLE;
	}
	return r;
}
