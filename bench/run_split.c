/* SPDX-License-Identifier: MIT */
/*
 * The split design as it ships: libspoor's merged tracker of devices' own
 * trackers and, where emulated devices are, their containers'.
 */
#include "bench/run.h"

#include <errno.h>

static bool has_emulated(const struct bench_machine *m, unsigned int space)
{
	for (unsigned int i = 0; i < m->spec.nr_devices; i++) {
		if (m->spec.devices[i].space == space &&
		    bench_device_emulated(m, i))
			return true;
	}
	return false;
}

static int open_parts(struct run *r, struct spoor_tracker **parts, size_t *nr)
{
	struct bench_machine *m = r->machine;
	int err = 0;

	for (unsigned int i = 0; i < m->spec.nr_devices && !err; i++) {
		if (!bench_device_logs(m, i))
			continue;
		err = spoor_tracker_open_device(&parts[*nr], m->devices[i]);
		*nr += !err;
	}
	for (unsigned int i = 0; i < m->spec.nr_spaces && !err; i++) {
		if (!has_emulated(m, i))
			continue;
		err = spoor_tracker_open_pinned(&parts[*nr], m->spaces[i]);
		*nr += !err;
	}
	return err;
}

static int start(struct run *r)
{
	struct spoor_tracker *parts[BENCH_MAX_DEVICES + BENCH_MAX_SPACES] = {
		NULL
	};
	const struct spoor_range all = { .iova = BENCH_IOVA,
					 .len = r->machine->spec.len };
	size_t nr = 0;
	int err = open_parts(r, parts, &nr);

	if (!err)
		err = spoor_tracker_open_merged(&r->tracker, parts, nr);
	if (err) {
		while (nr--)
			spoor_tracker_free(parts[nr]);
		return err;
	}
	err = spoor_tracker_start(r->tracker, &all, 1, r->info.page_size,
				  &r->info.page_size);
	if (err) {
		r->tracker = spoor_tracker_free(r->tracker);
		return err;
	}
	r->info.base = BENCH_IOVA;
	r->info.nr_bits = (all.len - 1) / r->info.page_size + 1;
	return 0;
}

static int collect(struct run *r)
{
	const struct spoor_range all = { .iova = BENCH_IOVA,
					 .len = r->machine->spec.len };

	return spoor_tracker_collect(r->tracker, &all, &r->into, 0, NULL);
}

static int stop(struct run *r)
{
	int err = spoor_tracker_stop(r->tracker);

	r->tracker = spoor_tracker_free(r->tracker);
	return err;
}

const struct run_ops run_split = {
	.start = start,
	.collect = collect,
	.stop = stop,
};
