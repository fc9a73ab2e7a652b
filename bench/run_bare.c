/* SPDX-License-Identifier: MIT */
/*
 * The split design as the lean calls have it: a loop over devices.  Those that
 * nobody tracks are left alone; emulated ones are not in it: their container
 * is another tracker.
 */
#include "bench/run.h"

#include <errno.h>

static int stop_some(struct run *r, unsigned int nr)
{
	int ret = 0, err;

	for (unsigned int i = 0; i < nr; i++) {
		if (!bench_device_logs(r->machine, i))
			continue;
		err = split_stop(bench_device_name(r->machine, i));
		if (!ret)
			ret = err;
	}
	return ret;
}

static int start_one(struct run *r, unsigned int n,
		     const struct design_info *wish)
{
	if (bench_device_emulated(r->machine, n))
		return -EOPNOTSUPP;
	if (!bench_device_logs(r->machine, n))
		return 0;
	r->info = *wish;
	return split_start(bench_device_name(r->machine, n), r->design->flags,
			   &r->info);
}

static int start(struct run *r)
{
	struct design_info wish = r->info;

	for (unsigned int i = 0; i < r->machine->spec.nr_devices; i++) {
		int err = start_one(r, i, &wish);

		if (err) {
			stop_some(r, i);
			return err;
		}
	}
	return 0;
}

static int collect(struct run *r)
{
	int ret = 0, err;

	for (unsigned int i = 0; i < r->machine->spec.nr_devices; i++) {
		if (!bench_device_logs(r->machine, i))
			continue;
		err = split_read(bench_device_name(r->machine, i),
				 r->into.words);
		if (!ret)
			ret = err;
	}
	return ret;
}

static int stop(struct run *r)
{
	return stop_some(r, r->machine->spec.nr_devices);
}

const struct run_ops run_bare = {
	.start = start,
	.collect = collect,
	.stop = stop,
};
