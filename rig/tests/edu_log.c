/* SPDX-License-Identifier: MIT */
/* The log of edu's variant driver. */
#include "edu.h"

#include <pthread.h>

static void nothing_is_reported_without_a_log(void)
{
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	struct edu e;

	edu_open(&e, places.a);
	CHECK(e.log);
	FAILS(log_report(&e, IOVA, NR_PAGES * PAGE, PAGE, bitmap), EINVAL);
	CHECK(!log_stop(&e));
	CHECK(!log_start_all(&e, PAGE));
	FAILS(log_start_all(&e, PAGE), EINVAL);
	CHECK(!log_stop(&e));
	FAILS(log_report(&e, IOVA, NR_PAGES * PAGE, PAGE, bitmap), EINVAL);
	edu_close(&e);
}

/* What was written, found by comparing all memory, is what is reported. */
static void log_is_exact(void)
{
	static uint8_t before[NR_PAGES * PAGE];
	uint8_t bitmap[NR_PAGES / 8] = { 0 }, changed[NR_PAGES / 8] = { 0 };
	uint64_t marks, reported;
	unsigned int i, seed = 1;
	struct edu e;

	edu_open(&e, places.a);
	for (i = 0; i < PAGE; i++)
		before[i] = (uint8_t)(i | 1);
	edu_fill(&e, before);
	edu_dma(&e, true, IOVA + 50 * PAGE, 0, 64);
	memset(e.memory, 0, NR_PAGES * PAGE);
	memcpy(before, e.memory, sizeof(before));
	marks = edu_stat(&e, "marks");
	reported = edu_stat(&e, "granules_reported");

	CHECK(!log_start_all(&e, PAGE));
	for (i = 0; i < 40; i++) {
		unsigned int len = 1 + (unsigned int)rand_r(&seed) % 4096;
		unsigned int at = (unsigned int)rand_r(&seed) % (4097 - len);
		uint64_t to = (uint64_t)rand_r(&seed) % (255 * PAGE);

		edu_dma(&e, true, IOVA + to, at, len);
	}
	/* To the last byte, and not past it. */
	edu_dma(&e, true, IOVA + NR_PAGES * PAGE - 1, 0, 1);
	/* Reading memory does not dirty it, nor does the CPU. */
	edu_dma(&e, false, IOVA + 60 * PAGE, 0, 8);

	CHECK(!log_report(&e, IOVA, NR_PAGES * PAGE, PAGE, bitmap));
	for (i = 0; i < NR_PAGES; i++)
		if (memcmp(before + i * PAGE, e.memory + i * PAGE, PAGE))
			changed[i / 8] |= (uint8_t)(1 << i % 8);
	CHECK(!memcmp(bitmap, changed, sizeof(bitmap)));
	CHECK(log_is(&e, ""));
	CHECK(edu_stat(&e, "marks") - marks ==
	      edu_stat(&e, "granules_reported") - reported);
	edu_close(&e);
}

static void report_only_sets_bits(void)
{
	uint8_t bitmap[NR_PAGES / 8];
	unsigned int i;
	struct edu e;

	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, PAGE));
	edu_dma(&e, true, IOVA + 9 * PAGE, 0, 8);
	memset(bitmap, 0xa0, sizeof(bitmap));
	CHECK(!log_report(&e, IOVA, NR_PAGES * PAGE, PAGE, bitmap));
	for (i = 0; i < sizeof(bitmap); i++)
		CHECK(bitmap[i] == (i == 1 ? 0xa2 : 0xa0));
	edu_close(&e);
}

static void only_the_range_asked_for_is_cleared(void)
{
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	struct edu e;

	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, PAGE));
	edu_dma(&e, true, IOVA + 9 * PAGE + 4000, 0, 200);
	edu_dma(&e, true, IOVA + 30 * PAGE, 0, 8);
	CHECK(!log_report(&e, IOVA + 10 * PAGE, 10 * PAGE, PAGE, bitmap));
	CHECK(bitmap[0] == 1 && bitmap[1] == 0);
	CHECK(log_is(&e, "9,30"));
	CHECK(log_is(&e, ""));
	/* A whole page is one page. */
	edu_dma(&e, true, IOVA + 40 * PAGE, 0, PAGE);
	CHECK(log_is(&e, "40"));
	/* Larger than the log's pages: a bit for any of them. */
	edu_dma(&e, true, IOVA + 30 * PAGE, 0, 8);
	memset(bitmap, 0, sizeof(bitmap));
	CHECK(!log_report(&e, IOVA, NR_PAGES * PAGE, 16 * PAGE, bitmap));
	CHECK(bitmap[0] == 2);
	CHECK(log_is(&e, ""));
	edu_close(&e);
}

static void large_pages_are_dirty_until_all_of_them_was_reported(void)
{
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	unsigned int i;
	struct edu e;

	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, 16 * PAGE));
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	CHECK(log_is(&e, "16-31"));
	CHECK(log_is(&e, ""));
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	/* Page 20 only: the write was to page 18, and must not be forgotten. */
	CHECK(!log_report(&e, IOVA + 20 * PAGE, PAGE, PAGE, bitmap));
	CHECK(bitmap[0] == 1);
	CHECK(log_is(&e, "16-31"));
	/* Piece by piece, in order: each page once. */
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	for (i = 16; i < 32; i++) {
		bitmap[0] = 0;
		CHECK(!log_report(&e, IOVA + i * PAGE, PAGE, PAGE, bitmap));
		CHECK(bitmap[0] == 1);
	}
	CHECK(log_is(&e, ""));
	/* Written again half-way: again from its start. */
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	CHECK(!log_report(&e, IOVA + 16 * PAGE, 8 * PAGE, PAGE, bitmap));
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	CHECK(!log_report(&e, IOVA + 24 * PAGE, 8 * PAGE, PAGE, bitmap));
	CHECK(log_is(&e, "16-31"));
	CHECK(!log_stop(&e));
	edu_close(&e);
}

static void page_size_is_the_one_that_is_kept(void)
{
	static const struct {
		uint64_t asked, got;
	} sizes[] = { { 4096, 4096 }, { 8192, 8192 }, { 1 << 20, 1 << 20 } };
	const struct range all = { IOVA, NR_PAGES * PAGE };
	uint64_t size;
	unsigned int i;
	struct edu e;

	edu_open(&e, places.a);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size = sizes[i].asked;
		CHECK(!log_start(&e, &size, &all, 1) && size == sizes[i].got);
		CHECK(!log_stop(&e));
	}
	edu_param("log_page_min", "65536");
	edu_param("log_page_max", "131072");
	size = 4096;
	CHECK(!log_start(&e, &size, &all, 1) && size == 65536);
	edu_dma(&e, true, IOVA + 255 * PAGE, 0, 1);
	CHECK(log_is(&e, "240-255"));
	CHECK(!log_stop(&e));
	size = 1 << 20;
	CHECK(!log_start(&e, &size, &all, 1) && size == 131072);
	CHECK(!log_stop(&e));
	edu_param("log_page_min", "4096");
	edu_param("log_page_max", "1073741824");
	edu_close(&e);
}

static void only_ranges_are_logged_and_near_ones_are_merged(void)
{
	const struct range ranges[] = { { IOVA + 64 * PAGE, 16 * PAGE },
					{ IOVA, 16 * PAGE },
					{ IOVA + 20 * PAGE, 4 * PAGE } };
	uint64_t size = PAGE;
	struct edu e;

	edu_open(&e, places.a);
	CHECK(!log_start(&e, &size, ranges, 3));
	edu_dma(&e, true, IOVA + 15 * PAGE + 4090, 0, 12);
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	edu_dma(&e, true, IOVA + 63 * PAGE + 4090, 0, 12);
	edu_dma(&e, true, IOVA + 80 * PAGE, 0, 8);
	CHECK(log_is(&e, "15,64"));
	CHECK(!log_stop(&e));

	edu_param("log_max_ranges", "2");
	CHECK(!log_start(&e, &size, ranges, 3));
	edu_dma(&e, true, IOVA + 15 * PAGE + 4090, 0, 12);
	edu_dma(&e, true, IOVA + 18 * PAGE, 0, 8);
	edu_dma(&e, true, IOVA + 40 * PAGE, 0, 8);
	CHECK(log_is(&e, "15-16,18"));
	CHECK(!log_stop(&e));
	edu_param("log_max_ranges", "0");
	edu_close(&e);
}

static void restart_forgets(void)
{
	struct edu e;

	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, PAGE));
	edu_dma(&e, true, IOVA + PAGE, 0, 8);
	CHECK(!log_stop(&e));
	edu_dma(&e, true, IOVA + 2 * PAGE, 0, 8);
	CHECK(!log_start_all(&e, PAGE));
	CHECK(log_is(&e, ""));
	edu_close(&e);
	/* So does closing. */
	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, PAGE));
	edu_dma(&e, true, IOVA + PAGE, 0, 8);
	edu_close(&e);
	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, PAGE));
	CHECK(log_is(&e, ""));
	edu_close(&e);
}

/* Rung before the log, and written after its start: logged. */
static void a_write_under_way_is_logged_when_it_lands(void)
{
	struct edu e;

	edu_open(&e, places.a);
	edu_ring(&e, true, IOVA + 3 * PAGE, 0, 8, 0);
	CHECK(!log_start_all(&e, PAGE));
	CHECK(log_is(&e, ""));
	/* No look at the registers: the report itself has to find out. */
	usleep(400000);
	CHECK(log_is(&e, "3"));
	edu_close(&e);
}

/* Though nobody has looked since. */
static void a_write_that_landed_before_the_start_is_not_logged(void)
{
	struct edu e;

	edu_open(&e, places.a);
	edu_ring(&e, true, IOVA + 3 * PAGE, 0, 8, 0);
	usleep(400000);
	CHECK(!log_start_all(&e, PAGE));
	CHECK(log_is(&e, ""));
	edu_close(&e);
}

/*
 * edu drops the address bits that it does not have. Wherever the write went,
 * that page is reported, whether or not the driver knows the mask.
 */
static void a_write_beyond_the_address_mask_is_logged_where_it_lands(void)
{
	const struct range ranges[] = { { IOVA, NR_PAGES * PAGE },
					{ IOVA + (1ull << 28), PAGE } };
	uint64_t size = PAGE;
	uint8_t high = 0, *page;
	struct edu e;

	edu_open(&e, places.a);
	page = e.memory + 200 * PAGE;
	CHECK(!edu_map(&e, ranges[1].iova, page, PAGE));
	memset(e.memory + PAGE, 0x12, PAGE);
	edu_dma(&e, false, IOVA + PAGE, 0, PAGE);
	CHECK(!log_start(&e, &size, ranges, 2));
	edu_dma(&e, true, ranges[1].iova, 0, 8);
	CHECK(!log_report(&e, ranges[1].iova, PAGE, PAGE, &high));
	CHECK((e.memory[0] == 0x12) != (page[0] == 0x12));
	if (page[0])
		CHECK(high == 1);
	else
		CHECK(log_is(&e, "0"));
	edu_close(&e);
}

/*
 * What pre-copy relies on. One thread copies what reports say, into a shadow,
 * while another has the device write numbers that only grow. Once it is
 * stopped and read a last time, the shadow equals memory.
 */
struct race {
	struct edu *e;
	unsigned int nr_pages;
	volatile bool end;
	unsigned int nr_reports;
	uint8_t *shadow;
};

static void copy_reported(struct race *r)
{
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	unsigned int i;

	CHECK(!log_report(r->e, IOVA, NR_PAGES * PAGE, PAGE, bitmap));
	for (i = 0; i < NR_PAGES; i++)
		if (bitmap[i / 8] >> i % 8 & 1)
			memcpy(r->shadow + i * PAGE, r->e->memory + i * PAGE,
			       PAGE);
	r->nr_reports++;
}

static void *reporter(void *arg)
{
	struct race *r = arg;

	/* A DMA takes 100 ms: so often before, and so often after it lands. */
	while (!r->end) {
		copy_reported(r);
		usleep(500);
	}
	return NULL;
}

static void nothing_is_lost_to_reports_that_race_with_dma(void)
{
	static uint8_t shadow[NR_PAGES * PAGE];
	struct edu e, *p = &e;
	struct race r = { .e = p, .shadow = shadow };
	pthread_t thread;
	unsigned int i;

	edu_open(&e, places.a);
	memset(shadow, 0, sizeof(shadow));
	CHECK(!log_start_all(&e, PAGE));
	CHECK(!pthread_create(&thread, NULL, reporter, &r));
	for (i = 1; i <= 20; i++) {
		/* Page 255 holds the next number, by the CPU's hand. */
		memset(e.memory + 255 * PAGE, (int)i, PAGE);
		edu_dma(&e, false, IOVA + 255 * PAGE, 0, PAGE);
		edu_dma(&e, true, IOVA + i % 3 * PAGE + 100, 0, 4000);
	}
	edu_ring(&e, true, IOVA + 7 * PAGE, 0, PAGE, 0);
	/* Returns when that has landed. */
	CHECK(!edu_go(&e, STOP, NULL));
	r.end = true;
	pthread_join(thread, NULL);
	copy_reported(&r);
	CHECK(e.memory[7 * PAGE] == 20);
	CHECK(!memcmp(shadow, e.memory, 255 * PAGE));
	CHECK(r.nr_reports > 100);
	CHECK(log_is(&e, ""));
	edu_close(&e);
}

void log_tests(void)
{
	nothing_is_reported_without_a_log();
	log_is_exact();
	report_only_sets_bits();
	only_the_range_asked_for_is_cleared();
	large_pages_are_dirty_until_all_of_them_was_reported();
	page_size_is_the_one_that_is_kept();
	only_ranges_are_logged_and_near_ones_are_merged();
	restart_forgets();
	a_write_under_way_is_logged_when_it_lands();
	a_write_beyond_the_address_mask_is_logged_where_it_lands();
	a_write_that_landed_before_the_start_is_not_logged();
	nothing_is_lost_to_reports_that_race_with_dma();
	printf("log: ok\n");
}
