/* SPDX-License-Identifier: MIT */
/*
 * A device's own log through the kernel's iova_bitmap: the pages reported are
 * the pages that it wrote, each once, at the page size that start() said.
 *
 * usage: log type1|iommufd
 */
#include "rig.h"

#include <sys/mman.h>

#include <spoor/bitmap.h>
#include <spoor/tracker.h>

#define NR   4097u
#define LEN  ((uint64_t)NR * PAGE)
#define IOVA 0x10000000ull
#define MAX  8u

/* DMA writes of a round, and what they made dirty. */
struct write {
	uint64_t at; /* from IOVA */
	uint32_t len;
};

static const struct spoor_range all = { .iova = IOVA, .len = LEN };
static uint64_t words[NR / 64 + 1];
static bool want[NR];

static void expect(const struct write *w, size_t nr, uint64_t granule)
{
	memset(want, 0, sizeof(want));
	for (size_t i = 0; i < nr; i++) {
		uint64_t first = w[i].at / granule * granule;
		uint64_t last = (w[i].at + w[i].len - 1) / granule * granule +
				granule - 1;

		for (uint64_t p = first / PAGE; p <= last / PAGE; p++)
			if (p < NR)
				want[p] = true;
	}
}

static void collect_and_compare(struct spoor_tracker *t)
{
	struct spoor_bitmap b;

	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &all, 12));
	OK(spoor_tracker_collect(t, &all, &b, 0, NULL));
	for (uint64_t p = 0; p < NR; p++) {
		if (spoor_bitmap_test(&b, IOVA + p * PAGE) == want[p])
			continue;
		printf("page %llu: %s\n", (unsigned long long)p,
		       want[p] ? "lost" : "not written");
		exit(1);
	}
}

static void write_all(struct rig_device *r, const struct write *w, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		edu_dma(r->dev, true, IOVA + w[i].at, 0, w[i].len);
}

/* Ends of words, of pages of bitmap, of the range; parts of pages; reads. */
static void pages_reported_are_pages_written(struct rig_device *r,
					     uint64_t wish)
{
	static const struct write w[] = {
		{ 0, 1 },
		{ 63 * PAGE, PAGE },
		{ 64 * PAGE - 8, 16 },
		{ 256 * PAGE + 100, 8 },
		{ 1000 * PAGE + 8, PAGE }, /* two pages */
		{ LEN - 4, 4 },
	};
	const size_t nr = sizeof(w) / sizeof(w[0]);
	struct spoor_tracker *t;
	uint64_t page;

	OK(spoor_tracker_open_device(&t, r->dev));
	CHECK(spoor_tracker_covers(t, r->dev));
	edu_dma(r->dev, true, IOVA + 3000 * PAGE, 0, 8);
	OK(spoor_tracker_start(t, &all, 1, wish, &page));
	if (page != wish)
		printf("asked for pages of %llu, got %llu\n",
		       (unsigned long long)wish, (unsigned long long)page);
	memset(want, 0, sizeof(want));
	/* Not what was before the start, nor reads. */
	collect_and_compare(t);
	edu_dma(r->dev, false, IOVA + 5 * PAGE, 0, PAGE);
	collect_and_compare(t);
	write_all(r, w, nr);
	expect(w, nr, page);
	collect_and_compare(t);
	memset(want, 0, sizeof(want));
	collect_and_compare(t);
	/* Forgotten is not blind. */
	write_all(r, w, 1);
	expect(w, 1, page);
	collect_and_compare(t);
	write_all(r, w, 1);
	OK(spoor_tracker_stop(t));
	OK(spoor_tracker_start(t, &all, 1, wish, &page));
	memset(want, 0, sizeof(want));
	collect_and_compare(t);
	t = spoor_tracker_free(t);
}

/* A part that was asked for leaves the rest to be asked for. */
static void parts_are_read_apart(struct rig_device *r)
{
	static const struct write w[] = { { 10 * PAGE, 4 }, { 20 * PAGE, 4 } };
	const struct spoor_range part = { .iova = IOVA + 8 * PAGE,
					  .len = 5 * PAGE };
	struct spoor_bitmap b;
	struct spoor_tracker *t;
	uint64_t page, new;

	OK(spoor_tracker_open_device(&t, r->dev));
	OK(spoor_tracker_start(t, &all, 1, PAGE, &page));
	write_all(r, w, 2);
	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &part, 12));
	OK(spoor_tracker_collect(t, &part, &b, 0, &new));
	CHECK(new == 1 && spoor_bitmap_test(&b, IOVA + 10 * PAGE));
	expect(w + 1, 1, page);
	collect_and_compare(t);
	t = spoor_tracker_free(t);
}

/* The kernel's bitmap works in windows of 64 GiB: pages on either side. */
static void far_addresses_are_logged(struct rig_device *r, void *mem)
{
	static const uint64_t at[] = { 0x20000000, 0xffffff000, 0x1000000000,
				       0x1fffffff000 };
	const struct spoor_range wide = { .iova = 0, .len = 1ull << 41 };
	struct spoor_bitmap b;
	struct spoor_tracker *t;
	uint64_t page, new, *big;

	big = calloc(spoor_bitmap_words(wide.len / PAGE), 8);
	CHECK(big);
	OK(spoor_bitmap_init(&b, big, &wide, 12));
	OK(spoor_tracker_open_device(&t, r->dev));
	OK(spoor_tracker_start(t, &wide, 1, PAGE, &page));
	CHECK(page == PAGE);
	for (int i = 0; i < 3; i++) {
		const struct spoor_range one = { .iova = at[i], .len = PAGE };

		OK(spoor_space_map(r->space, &one, mem, 0));
		edu_dma(r->dev, true, at[i], 0, 8);
		OK(spoor_space_unmap(r->space, &one));
	}
	OK(spoor_tracker_collect(t, &wide, &b, 0, &new));
	CHECK(new == 3);
	for (int i = 0; i < 3; i++)
		CHECK(spoor_bitmap_test(&b, at[i]));
	t = spoor_tracker_free(t);
	free(big);
}

/* More ranges than the core takes: libspoor joins them, nothing is lost. */
static void many_ranges_are_joined(struct rig_device *r)
{
	static struct spoor_range ranges[600];
	struct spoor_tracker *t;
	struct spoor_bitmap b;
	uint64_t page, new;

	for (size_t i = 0; i < 600; i++)
		ranges[i] = (struct spoor_range){ .iova = IOVA + i * 2 * PAGE,
						  .len = PAGE };
	OK(spoor_tracker_open_device(&t, r->dev));
	OK(spoor_tracker_start(t, ranges, 600, PAGE, &page));
	edu_dma(r->dev, true, ranges[0].iova, 0, 4);
	edu_dma(r->dev, true, ranges[599].iova, 0, 4);
	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &ranges[599], 12));
	OK(spoor_tracker_collect(t, &ranges[599], &b, 0, &new));
	CHECK(new == 1);
	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &ranges[0], 12));
	OK(spoor_tracker_collect(t, &ranges[0], &b, 0, &new));
	CHECK(new == 1);
	t = spoor_tracker_free(t);
}

int main(int argc, char **argv)
{
	void *mem = rig_memory(LEN);
	struct rig_device r;

	rig_up(&r, rig_backend(argc, argv), EDU0);
	OK(spoor_space_map(r.space, &all, mem, 0));
	pages_reported_are_pages_written(&r, PAGE);
	pages_reported_are_pages_written(&r, 64 * 1024);
	parts_are_read_apart(&r);
	many_ranges_are_joined(&r);
	far_addresses_are_logged(&r, mem);
	rig_down(&r);
	munmap(mem, LEN);
	return 0;
}
