/* SPDX-License-Identifier: MIT */
/*
 * Shared bitmaps from the program's side: mapped once, bits taken by atomic
 * operations, a word at a time.
 */
#include "bench/run.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t len_of(const struct run *r)
{
	return (r->info.nr_bits + 63) / 64 * 8;
}

static int stop_some(struct run *r, unsigned int nr)
{
	int ret = 0, err;

	for (unsigned int i = 0; i < nr; i++) {
		err = shared_stop(run_container(r, i));
		if (!ret)
			ret = err;
		if (r->shared[i].words)
			munmap(r->shared[i].words, len_of(r));
	}
	return ret;
}

static int start_one(struct run *r, unsigned int n)
{
	void *words;
	int fd, err = shared_start(run_container(r, n), &r->info, &fd);

	if (err)
		return err;
	words = mmap(NULL, len_of(r), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	err = words == MAP_FAILED ? -errno : 0;
	close(fd);
	if (err) {
		shared_stop(run_container(r, n));
		return err;
	}
	r->shared[n] = (struct spoor_bitmap){
		.words = words,
		.nr_pages = r->info.nr_bits,
		.base = r->info.base,
		.page_shift = (unsigned int)__builtin_ctzll(r->info.page_size),
	};
	return 0;
}

static int start(struct run *r)
{
	struct design_info wish = r->info;

	for (unsigned int i = 0; i < r->machine->spec.nr_spaces; i++) {
		int err;

		r->info = wish;
		err = start_one(r, i);
		if (err) {
			stop_some(r, i);
			return err;
		}
	}
	return 0;
}

static int collect(struct run *r)
{
	int err = 0;

	for (unsigned int i = 0; i < r->machine->spec.nr_spaces && !err; i++)
		err = spoor_bitmap_take(&r->into, &r->shared[i], NULL);
	return err;
}

static int stop(struct run *r)
{
	return stop_some(r, r->machine->spec.nr_spaces);
}

const struct run_ops run_shared = {
	.start = start,
	.collect = collect,
	.stop = stop,
};
