/* SPDX-License-Identifier: MIT */
/*
 * Two trackers on one device tell the same story, up to their page sizes: its
 * own log and the page table's dirty bits, while eight threads have it write
 * and both are read.
 *
 * Each round ends quiet; what was read in it is held against what was written
 * in it, which the threads note themselves.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <spoor/bitmap.h>
#include <spoor/device.h>
#include <spoor/error.h>
#include <spoor/space.h>
#include <spoor/tracker.h>

#include "softvfio/softvfio.h"
#include "tests/live/vmm.h"

#define PAGE	   4096u
#define HUGE	   (2u << 20)
#define NR_HUGE	   16u
#define NR_TAIL	   5u /* pages at the end that no huge entry can hold */
#define NR_PAGES   (NR_HUGE * (HUGE / PAGE) + NR_TAIL)
#define LEN	   ((uint64_t)NR_PAGES * PAGE)
#define IOVA	   0x100000000ull
#define NR_WRITERS 8u
#define NR_ROUNDS  20u
#define WRITE_MAX  (3u * PAGE)
#define PER_WRITER 6u /* writes in a round: few, so that pages stay clean */
#define NR_WORDS   (NR_PAGES / 64 + 1)

static const struct spoor_range all = { .iova = IOVA, .len = LEN };

struct case_of {
	const char *name; /* the device */
	unsigned int index;
	uint64_t iommu_page; /* wanted */
	uint64_t log_granule, entry;
};

static struct spoor_space *space;
static struct spoor_device *dev;
static struct spoor_tracker *log_of, *bits_of;
static void *reserved, *memory;
static atomic_uchar written[NR_PAGES];
static atomic_uint nr_running;
static unsigned int fds_before;

struct writer {
	pthread_t thread;
	const char *device;
	uint64_t random;
	int err;
};

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void *write_some(void *arg)
{
	struct writer *w = arg;
	static const char data[WRITE_MAX];

	for (unsigned int i = 0; i < PER_WRITER; i++) {
		uint64_t at = next(&w->random) % LEN;
		uint64_t len = 1 + next(&w->random) % WRITE_MAX;

		/* The tail, at each turn: it is small. */
		if (!i)
			at = LEN - 1 - at % (NR_TAIL * PAGE);
		if (len > LEN - at)
			len = LEN - at;
		w->err |= softvfio_dma_write(w->device, IOVA + at, data, len);
		for (uint64_t p = at / PAGE; p <= (at + len - 1) / PAGE; p++)
			atomic_store(&written[p], 1);
	}
	atomic_fetch_sub(&nr_running, 1);
	return NULL;
}

static void up(const struct case_of *c)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = SPOOR_SPACE_IOMMUFD,
					       .dirty_tracking = true,
					       .iommu_page = c->iommu_page };
	const uint16_t command = 6;
	char spec[32];

	fds_before = vmm_count_fds();
	reserved = mmap(NULL, LEN + HUGE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(reserved, MAP_FAILED);
	memory = (char *)reserved + (-(uintptr_t)reserved & (HUGE - 1));
	snprintf(spec, sizeof(spec), "0000:%02x:00.0", c->index + 1);
	assert_int_equal(spoor_space_open(&space, "space", &opts), 0);
	assert_int_equal(spoor_device_open(&dev, spec, NULL), 0);
	assert_int_equal(spoor_space_attach(space, dev), 0);
	assert_int_equal(spoor_device_region_write(dev, 7, 4, &command, 2), 0);
	if (spoor_space_map(space, &all, memory, 0))
		fail_msg("%s", spoor_errmsg());
	assert_int_equal(spoor_tracker_open_device(&log_of, dev), 0);
	assert_int_equal(spoor_tracker_open_iommu(&bits_of, space, dev), 0);
}

static void down(void)
{
	log_of = spoor_tracker_free(log_of);
	bits_of = spoor_tracker_free(bits_of);
	dev = spoor_device_free(dev);
	space = spoor_space_free(space);
	munmap(reserved, LEN + HUGE);
	assert_int_equal(vmm_count_fds(), fds_before);
}

/* Does the entry of this size that holds the page fit into the mapping? */
static uint64_t entry_at(uint64_t page, uint64_t entry)
{
	return page / (entry / PAGE) * (entry / PAGE) + entry / PAGE <= NR_PAGES
		       ? entry
		       : PAGE;
}

/* Was anything written in the granule that the page is in? */
static bool touched(uint64_t page, uint64_t granule)
{
	const uint64_t nr = granule / PAGE, first = page / nr * nr;

	for (uint64_t p = first; p < first + nr && p < NR_PAGES; p++) {
		if (written[p])
			return true;
	}
	return false;
}

static void read_both(struct spoor_bitmap *by_log, struct spoor_bitmap *by_bits)
{
	if (spoor_tracker_collect(log_of, &all, by_log, 0, NULL))
		fail_msg("%s", spoor_errmsg());
	if (spoor_tracker_collect(bits_of, &all, by_bits, 0, NULL))
		fail_msg("%s", spoor_errmsg());
}

static unsigned int compare(const struct case_of *c,
			    const struct spoor_bitmap *by_log,
			    const struct spoor_bitmap *by_bits)
{
	unsigned int dirty = 0;

	for (uint64_t p = 0; p < NR_PAGES; p++) {
		const uint64_t entry = entry_at(p, c->entry);
		const bool in_log = spoor_bitmap_test(by_log, IOVA + p * PAGE);
		const bool in_bits =
			spoor_bitmap_test(by_bits, IOVA + p * PAGE);

		dirty += written[p];
		if (in_log != touched(p, c->log_granule))
			fail_msg("page %llu: log says %d",
				 (unsigned long long)p, in_log);
		if (in_bits != touched(p, entry))
			fail_msg("page %llu: page table says %d",
				 (unsigned long long)p, in_bits);
	}
	return dirty;
}

static void one_round(const struct case_of *c, uint64_t seed)
{
	static uint64_t log_words[NR_WORDS], bits_words[NR_WORDS];
	struct spoor_bitmap by_log, by_bits;
	struct writer writers[NR_WRITERS];
	unsigned int dirty;

	memset(log_words, 0, sizeof(log_words));
	memset(bits_words, 0, sizeof(bits_words));
	assert_int_equal(spoor_bitmap_init(&by_log, log_words, &all, 12), 0);
	assert_int_equal(spoor_bitmap_init(&by_bits, bits_words, &all, 12), 0);
	for (uint64_t p = 0; p < NR_PAGES; p++)
		written[p] = 0;
	nr_running = NR_WRITERS;
	for (unsigned int i = 0; i < NR_WRITERS; i++) {
		writers[i] = (struct writer){
			.device = c->name,
			.random = (seed * NR_WRITERS + i) * 0x9e3779b97f4a7c15,
		};
		assert_int_equal(pthread_create(&writers[i].thread, NULL,
						write_some, &writers[i]),
				 0);
	}
	while (nr_running)
		read_both(&by_log, &by_bits);
	for (unsigned int i = 0; i < NR_WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].err, 0);
	}
	read_both(&by_log, &by_bits);
	dirty = compare(c, &by_log, &by_bits);
	/* It was no trivial round: some, not all. */
	assert_true(dirty > NR_WRITERS && dirty < NR_PAGES / 2);
}

static void agree(const struct case_of *c)
{
	uint64_t page_size = 0;

	up(c);
	assert_int_equal(spoor_tracker_start(log_of, &all, 1, PAGE, &page_size),
			 0);
	assert_int_equal(page_size, c->log_granule);
	assert_int_equal(
		spoor_tracker_start(bits_of, &all, 1, PAGE, &page_size), 0);
	for (uint64_t i = 1; i <= NR_ROUNDS; i++)
		one_round(c, i);
	assert_int_equal(spoor_tracker_stop(log_of), 0);
	assert_int_equal(spoor_tracker_stop(bits_of), 0);
	down();
}

static void log_and_page_table_agree_page_by_page(void **state)
{
	(void)state;
	agree(&(struct case_of){ .name = "nic0",
				 .index = 0,
				 .iommu_page = PAGE,
				 .log_granule = PAGE,
				 .entry = PAGE });
}

static void coarse_log_and_page_table_agree_by_granules(void **state)
{
	(void)state;
	agree(&(struct case_of){ .name = "nic2",
				 .index = 2,
				 .iommu_page = PAGE,
				 .log_granule = 65536,
				 .entry = PAGE });
}

static void huge_entries_are_dirty_as_a_whole_and_lose_nothing(void **state)
{
	(void)state;
	agree(&(struct case_of){ .name = "nic0",
				 .index = 0,
				 .iommu_page = HUGE,
				 .log_granule = PAGE,
				 .entry = HUGE });
}

static void coarse_log_and_huge_entries_agree(void **state)
{
	(void)state;
	agree(&(struct case_of){ .name = "nic2",
				 .index = 2,
				 .iommu_page = HUGE,
				 .log_granule = 65536,
				 .entry = HUGE });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_and_page_table_agree_page_by_page),
		cmocka_unit_test(coarse_log_and_page_table_agree_by_granules),
		cmocka_unit_test(
			huge_entries_are_dirty_as_a_whole_and_lose_nothing),
		cmocka_unit_test(coarse_log_and_huge_entries_agree),
	};
	const struct case_of first[] = {
		{ .index = 0, .iommu_page = PAGE },
		{ .index = 2, .iommu_page = PAGE },
	};

	if (!softvfio_nr_devices()) {
		fputs("SOFTVFIO_CONFIG is not set\n", stderr);
		return 77;
	}
	/* What softvfio makes at a device's first use, it keeps. */
	for (unsigned int i = 0; i < 2; i++) {
		up(&first[i]);
		fds_before = vmm_count_fds();
		log_of = spoor_tracker_free(log_of);
		bits_of = spoor_tracker_free(bits_of);
		dev = spoor_device_free(dev);
		space = spoor_space_free(space);
		munmap(reserved, LEN + HUGE);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
