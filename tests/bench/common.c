/* SPDX-License-Identifier: MIT */
/* See common.h.  Threads: dma() from any. */
#include "tests/bench/common.h"

#include <string.h>

#include <spoor/error.h>

#include "softvfio/softvfio.h"

static void open_spec(struct bench_machine *m, struct bench_spec *spec,
		      unsigned int nr_second, const int *devices)
{
	for (; devices[spec->nr_devices] >= 0; spec->nr_devices++)
		spec->devices[spec->nr_devices].device =
			(enum bench_device)devices[spec->nr_devices];
	for (unsigned int i = 0; i < nr_second; i++)
		spec->devices[spec->nr_devices - 1 - i].space = 1;
	spec->nr_spaces = nr_second ? 2 : 1;
	if (bench_machine_open(m, spec))
		fail_msg("%s", spoor_errmsg());
}

void open_machine(struct bench_machine *m, uint64_t nr_pages,
		  unsigned int nr_second, const int *devices)
{
	struct bench_spec spec = { .len = nr_pages * BENCH_PAGE };

	open_spec(m, &spec, nr_second, devices);
}

void open_cut(struct bench_machine *m, uint64_t nr_pages, uint64_t nr_first,
	      const int *devices)
{
	struct bench_spec spec = { .len = nr_pages * BENCH_PAGE,
				   .first = nr_first * BENCH_PAGE };

	open_spec(m, &spec, 0, devices);
}

void start(struct run *r, const char *design, struct bench_machine *m,
	   uint64_t page_size)
{
	int err = run_start(r, design, m, page_size);

	if (err)
		fail_msg("%s: start: %d", design, err);
}

void collect(struct run *r)
{
	int err = run_collect(r);

	if (err)
		fail_msg("%s: collect: %d", r->design->name, err);
}

void stop(struct run *r)
{
	assert_int_equal(run_stop(r), 0);
}

void dma(const struct bench_machine *m, unsigned int device, uint64_t page)
{
	static const char data[24];

	assert_int_equal(softvfio_dma_write(bench_device_name(m, device),
					    BENCH_IOVA + page * BENCH_PAGE,
					    data, sizeof(data)),
			 0);
}

bool reported(const struct run *r, uint64_t page)
{
	return spoor_bitmap_test(&r->into, BENCH_IOVA + page * BENCH_PAGE);
}

uint64_t nr_reported(const struct run *r)
{
	return spoor_bitmap_count(&r->into);
}

void sent(struct run *r)
{
	memset(r->into.words, 0, r->len);
}
