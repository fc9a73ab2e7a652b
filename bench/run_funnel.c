/* SPDX-License-Identifier: MIT */
/*
 * The funnel from the program's side: a read a container, straight into the
 * bitmap where there is one, through a second one that is ORed where there are
 * more; and a clear a container, where reads hold.
 *
 * Invariant: what is cleared is in run->into.
 */
#include "bench/run.h"

#include <errno.h>
#include <string.h>

static int stop_some(struct run *r, unsigned int nr)
{
	int ret = 0, err;

	for (unsigned int i = 0; i < nr; i++) {
		err = funnel_stop(run_container(r, i));
		if (!ret)
			ret = err;
	}
	run_words_free(r->scratch, (r->info.nr_bits + 63) / 64 * 8);
	r->scratch = NULL;
	return ret;
}

static int start(struct run *r)
{
	unsigned int nr = r->machine->spec.nr_spaces, i;
	struct design_info wish = r->info;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		r->info = wish;
		err = funnel_start(run_container(r, i), r->design->flags,
				   &r->info);
	}
	if (err) {
		stop_some(r, i - 1);
		return err;
	}
	if (nr == 1)
		return 0;
	r->scratch = run_words((r->info.nr_bits + 63) / 64 * 8);
	if (!r->scratch) {
		stop_some(r, nr);
		return -ENOMEM;
	}
	return 0;
}

static int merge(struct run *r, int container)
{
	struct spoor_bitmap got = r->into;
	int err, merged;

	memset(r->scratch, 0, r->len);
	err = funnel_read(container, r->scratch);
	/* Also of a read that failed: what it brought is told only once. */
	got.words = r->scratch;
	merged = spoor_bitmap_or(&r->into, &got, NULL);
	return err ? err : merged;
}

static int collect(struct run *r)
{
	bool one = r->machine->spec.nr_spaces == 1;
	int ret = 0, err;

	for (unsigned int i = 0; i < r->machine->spec.nr_spaces; i++) {
		int c = run_container(r, i);

		err = one ? funnel_read(c, r->into.words) : merge(r, c);
		if (!err && r->design->flags & DESIGN_HOLD)
			err = funnel_clear(c, one ? r->into.words : r->scratch);
		if (!ret)
			ret = err;
	}
	return ret;
}

static int stop(struct run *r)
{
	return stop_some(r, r->machine->spec.nr_spaces);
}

const struct run_ops run_funnel = {
	.start = start,
	.collect = collect,
	.stop = stop,
};
