/* SPDX-License-Identifier: MIT */
/*
 * Every design reports exactly the pages that were written, up to its page
 * size, and each once; so all of them report the same.
 */
#include "tests/bench/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_RANDOM 300u
#define NR_SEEDS  2u

struct layout {
	unsigned int nr_second;
	int devices[6];
};

/* Of a container, an emulated device's pins are its own business; libspoor
 * reads them where every device of the container pins. */
static const struct layout b = { 0, { BENCH_NIC0, -1 } };
static const struct layout three = {
	0, { BENCH_NIC0, BENCH_NIC0 + 1, BENCH_NIC0 + 2, -1 }
};
static const struct layout two_containers = {
	1, { BENCH_NIC0, BENCH_NIC0 + 1, -1 }
};
static const struct layout a = { 0, { BENCH_NIC0, BENCH_MDEV_ONCE, -1 } };
static const struct layout a_apart = { 1, { BENCH_NIC0, BENCH_MDEV_ONCE, -1 } };

static const char *const every[] = {
	"split",	 "split-lean",		"split-lean-copies",
	"split-words",	 "split-words-copies",	"funnel",
	"funnel-borrow", "funnel-lean",		"funnel-lean-copies",
	"funnel-words",	 "funnel-words-copies", "shared",
};
static const char *const containers[] = {
	"funnel",	"funnel-borrow", "funnel-lean", "funnel-lean-copies",
	"funnel-words", "shared",
};

static unsigned char written[MAX_PAGES];

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Pages at the ends of words, of pages of bitmap, and of windows. */
static void write_edges(struct bench_machine *m, uint64_t nr_pages)
{
	static const uint64_t edges[] = {
		0,    1,    63,	   64,	  65,	  255,	  256,	 257,
		4095, 4096, 32767, 32768, 524287, 524288, 524289
	};

	for (unsigned int i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		if (edges[i] >= nr_pages)
			break;
		dma(m, i % m->spec.nr_devices, edges[i]);
		written[edges[i]] = 1;
	}
	dma(m, 0, nr_pages - 1);
	written[nr_pages - 1] = 1;
}

static void write_some(struct bench_machine *m, uint64_t nr_pages,
		       uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15;

	memset(written, 0, sizeof(written));
	if (seed == 1)
		write_edges(m, nr_pages);
	for (unsigned int i = 0; i < NR_RANDOM && seed > 1; i++) {
		uint64_t page = next(&x) % nr_pages;

		dma(m, i % m->spec.nr_devices, page);
		written[page] = 1;
	}
}

static void check(const struct run *r, uint64_t nr_pages)
{
	uint64_t per = r->info.page_size / BENCH_PAGE;

	for (uint64_t first = 0; first < nr_pages; first += per) {
		bool dirty = false;

		for (uint64_t p = first; p < first + per && p < nr_pages; p++)
			dirty |= written[p];
		if (reported(r, first) != dirty)
			fail_msg("%s: page %llu: written %d, reported %d",
				 r->design->name, (unsigned long long)first,
				 dirty, !dirty);
	}
}

static void rounds(const char *design, struct bench_machine *m,
		   uint64_t page_size)
{
	uint64_t nr_pages = m->spec.len / BENCH_PAGE;
	struct run r;

	start(&r, design, m, page_size);
	assert_int_equal(r.info.page_size, page_size);
	for (uint64_t seed = 1; seed <= NR_SEEDS; seed++) {
		write_some(m, nr_pages, seed);
		collect(&r);
		check(&r, nr_pages);
		sent(&r);
		collect(&r);
		if (nr_reported(&r))
			fail_msg("%s: told again", design);
	}
	stop(&r);
}

static void one(const char *design, const struct layout *l, uint64_t nr_pages,
		uint64_t page_size)
{
	struct bench_machine m;

	open_machine(&m, nr_pages, l->nr_second, l->devices);
	rounds(design, &m, page_size);
	bench_machine_close(&m);
}

static void each(const char *const *designs, size_t nr, const struct layout *l,
		 uint64_t nr_pages, uint64_t page_size)
{
	for (size_t i = 0; i < nr; i++)
		one(designs[i], l, nr_pages, page_size);
}
#define EACH(designs, ...)                                                     \
	each(designs, sizeof(designs) / sizeof((designs)[0]), __VA_ARGS__)

static void every_design_reports_exactly_what_one_device_wrote(void **state)
{
	static const uint64_t sizes[] = { 1,   63,  64,	  65,	 255,
					  256, 257, 4097, 525000 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		EACH(every, &b, sizes[i], BENCH_PAGE);
}

static void every_design_reports_what_any_of_three_devices_wrote(void **state)
{
	(void)state;
	EACH(every, &three, 4097, BENCH_PAGE);
	EACH(every, &three, 525000, BENCH_PAGE);
}

static void every_design_reports_by_granules(void **state)
{
	(void)state;
	EACH(every, &three, 4096, 16 * BENCH_PAGE);
	EACH(every, &three, 65536, 512 * BENCH_PAGE);
}

static void every_design_reports_what_two_containers_wrote(void **state)
{
	(void)state;
	EACH(every, &two_containers, 4097, BENCH_PAGE);
	EACH(every, &two_containers, 525000, BENCH_PAGE);
}

static void containers_report_what_emulated_devices_wrote(void **state)
{
	(void)state;
	EACH(containers, &a, 4097, BENCH_PAGE);
	EACH(containers, &a, 525000, BENCH_PAGE);
	one("split", &a_apart, 4097, BENCH_PAGE);
	one("split", &a_apart, 525000, BENCH_PAGE);
}

/* Where a mapping begins in the middle of a word, and ends in one. */
static void containers_report_mappings_that_share_words(void **state)
{
	static const char *const designs[] = {
		"funnel",	"funnel-borrow",
		"funnel-lean",	"funnel-lean-copies",
		"funnel-words", "funnel-words-copies",
	};
	static const uint64_t firsts[] = { 1, 63, 100, 32700, 524250 };

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		for (unsigned int n = 0; n < 5; n++) {
			struct bench_machine m;

			open_cut(&m, 525000, firsts[n], a.devices);
			rounds(designs[i], &m, BENCH_PAGE);
			rounds(designs[i], &m, 16 * BENCH_PAGE);
			bench_machine_close(&m);
		}
	}
}

static void pinned_pages_are_dirty_at_every_read(void **state)
{
	static const struct layout pins = { 0, { BENCH_NIC0, BENCH_MDEV, -1 } };
	static const struct layout apart = { 1,
					     { BENCH_NIC0, BENCH_MDEV, -1 } };
	static const char *const designs[] = { "split", "funnel",
					       "funnel-borrow", "funnel-lean" };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		const struct layout *l = i ? &pins : &apart;
		struct bench_machine m;
		struct run r;

		open_machine(&m, 4097, l->nr_second, l->devices);
		assert_int_equal(bench_device_pin(&m, 1, 100 * BENCH_PAGE), 0);
		start(&r, designs[i], &m, BENCH_PAGE);
		for (unsigned int round = 0; round < 3; round++) {
			dma(&m, 0, 200 + round);
			sent(&r);
			collect(&r);
			assert_int_equal(nr_reported(&r), 101);
			assert_true(reported(&r, 0) && reported(&r, 99));
			assert_true(reported(&r, 200 + round));
		}
		stop(&r);
		bench_machine_close(&m);
	}
}

static void pins_are_folded_into_granules(void **state)
{
	(void)state;
	one("funnel", &a, 4096, 16 * BENCH_PAGE);
	one("funnel-borrow", &a, 4096, 16 * BENCH_PAGE);
	one("funnel-lean", &a, 65536, 512 * BENCH_PAGE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_design_reports_exactly_what_one_device_wrote),
		cmocka_unit_test(
			every_design_reports_what_any_of_three_devices_wrote),
		cmocka_unit_test(every_design_reports_by_granules),
		cmocka_unit_test(
			every_design_reports_what_two_containers_wrote),
		cmocka_unit_test(containers_report_what_emulated_devices_wrote),
		cmocka_unit_test(containers_report_mappings_that_share_words),
		cmocka_unit_test(pinned_pages_are_dirty_at_every_read),
		cmocka_unit_test(pins_are_folded_into_granules),
	};

	(void)argc;
	bench_need_devices(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
