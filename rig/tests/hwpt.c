/* SPDX-License-Identifier: MIT */
/*
 * Dirty bits of a page table, from the kernel's own iommufd over its mock
 * IOMMU: what the IOMMU saw written is reported, once, and nothing else.
 */
#include "mock.h"

#include <sys/mman.h>

#include <spoor/bitmap.h>
#include <spoor/tracker.h>

#define IOVA MOCK_START
#define MAX  4097u

static uint64_t words[MAX / 64 + 2];
static bool written[MAX];

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void collect_and_compare(struct spoor_tracker *t,
				const struct spoor_range *r)
{
	struct spoor_bitmap b;

	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, r, 12));
	OK(spoor_tracker_collect(t, r, &b, 0, NULL));
	for (uint64_t p = 0; p < r->len / PAGE; p++) {
		if (spoor_bitmap_test(&b, r->iova + p * PAGE) == written[p])
			continue;
		printf("page %llu of %llu: %s\n", (unsigned long long)p,
		       (unsigned long long)(r->len / PAGE),
		       written[p] ? "lost" : "not written");
		exit(1);
	}
	memset(written, 0, sizeof(written));
}

static void write_page(struct mock *m, uint64_t page, bool second_half)
{
	uint64_t iova = IOVA + page * PAGE + (second_half ? PAGE / 2 : 0);

	written[page] = true;
	CHECK(mock_dirty(m, iova) <= 1);
}

/* Every size at which an index, a word or a page of bitmap ends. */
static void what_is_written_is_reported_once(uint64_t nr_pages, void *mem)
{
	const struct spoor_range r = { .iova = IOVA, .len = nr_pages * PAGE };
	struct spoor_tracker *t;
	uint64_t random = nr_pages, page;
	struct mock m;

	mock_up(&m, 0, PAGE);
	OK(spoor_space_map(m.space, &r, mem, 0));
	OK(spoor_tracker_open_iommu(&t, m.space, &m.dev));
	CHECK(spoor_tracker_covers(t, &m.dev));
	OK(spoor_tracker_start(t, &r, 1, PAGE, &page));
	CHECK(page == PAGE);
	collect_and_compare(t, &r);
	write_page(&m, 0, false);
	write_page(&m, nr_pages - 1, true);
	collect_and_compare(t, &r);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++)
			write_page(&m, next(&random) % nr_pages, i & 1);
		collect_and_compare(t, &r);
		collect_and_compare(t, &r);
	}
	t = spoor_tracker_free(t);
	mock_down(&m);
}

/* What was dirty before the start is not this tracker's. */
static void starting_forgets_what_was_before(void *mem)
{
	const struct spoor_range r = { .iova = IOVA, .len = 65 * PAGE };
	struct spoor_tracker *t;
	struct mock m;
	uint64_t page;

	mock_up(&m, 0, PAGE);
	OK(spoor_space_map(m.space, &r, mem, 0));
	OK(spoor_tracker_open_iommu(&t, m.space, &m.dev));
	OK(spoor_tracker_start(t, &r, 1, PAGE, &page));
	write_page(&m, 64, false);
	OK(spoor_tracker_stop(t));
	OK(spoor_tracker_start(t, &r, 1, PAGE, &page));
	memset(written, 0, sizeof(written));
	collect_and_compare(t, &r);
	t = spoor_tracker_free(t);
	mock_down(&m);
}

/* A hole stops the kernel's walk; libspoor asks mapping by mapping. */
static void pages_behind_a_hole_are_not_lost(void *mem)
{
	const struct spoor_range parts[2] = {
		{ .iova = IOVA, .len = 100 * PAGE },
		{ .iova = IOVA + 200 * PAGE, .len = 100 * PAGE },
	};
	const struct spoor_range whole = { .iova = IOVA, .len = 300 * PAGE };
	struct spoor_tracker *t;
	struct mock m;
	uint64_t page;

	mock_up(&m, 0, PAGE);
	for (int i = 0; i < 2; i++)
		OK(spoor_space_map(m.space, &parts[i], mem, 0));
	OK(spoor_tracker_open_iommu(&t, m.space, &m.dev));
	OK(spoor_tracker_start(t, &whole, 1, PAGE, &page));
	write_page(&m, 99, false);
	write_page(&m, 200, false);
	write_page(&m, 299, true);
	collect_and_compare(t, &whole);
	collect_and_compare(t, &whole);
	t = spoor_tracker_free(t);
	mock_down(&m);
}

/* Memory mapped while the tracker runs is tracked from then on. */
static void mappings_are_followed(void *mem)
{
	const struct spoor_range first = { .iova = IOVA, .len = 64 * PAGE };
	const struct spoor_range more = { .iova = IOVA + 64 * PAGE,
					  .len = 64 * PAGE };
	const struct spoor_range both = { .iova = IOVA, .len = 128 * PAGE };
	struct spoor_tracker *t;
	struct mock m;
	uint64_t page;

	mock_up(&m, 0, PAGE);
	OK(spoor_space_map(m.space, &first, mem, 0));
	OK(spoor_tracker_open_iommu(&t, m.space, &m.dev));
	OK(spoor_tracker_start(t, &first, 1, PAGE, &page));
	OK(spoor_space_map(m.space, &more, (char *)mem + 64 * PAGE, 0));
	OK(spoor_tracker_map(t, &more));
	write_page(&m, 127, false);
	collect_and_compare(t, &first);
	written[127] = true;
	collect_and_compare(t, &both);
	t = spoor_tracker_free(t);
	mock_down(&m);
}

/* An entry of 1 MiB is dirty as a whole: more is reported, nothing is lost. */
static void large_entries_are_dirty_as_a_whole(void)
{
	const uint64_t nr = 1024;
	const struct spoor_range r = { .iova = IOVA, .len = nr * PAGE };
	const struct spoor_range part = { .iova = IOVA + 250 * PAGE,
					  .len = 3 * PAGE };
	struct spoor_bitmap b;
	struct spoor_tracker *t;
	struct mock m;
	uint64_t page, new;
	void *mem;

	/* The host's pages must be as large. */
	rig_put("/proc/sys/vm/nr_hugepages", "2");
	mem = mmap(NULL, r.len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	CHECK(mem != MAP_FAILED);
	mock_up(&m, MOCK_HUGE, 0);
	OK(spoor_space_map(m.space, &r, mem, 0));
	OK(spoor_tracker_open_iommu(&t, m.space, &m.dev));
	OK(spoor_tracker_start(t, &r, 1, PAGE, &page));
	CHECK(page >= 1u << 20);
	CHECK(mock_dirty(&m, IOVA + 251 * PAGE) == 1);
	/* Asked for a part: the rest is owed, not forgotten. */
	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &part, 12));
	OK(spoor_tracker_collect(t, &part, &b, 0, &new));
	CHECK(spoor_bitmap_test(&b, IOVA + 251 * PAGE));
	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &r, 12));
	OK(spoor_tracker_collect(t, &r, &b, 0, &new));
	for (uint64_t p = 0; p < 256; p++)
		CHECK(spoor_bitmap_test(&b, IOVA + p * PAGE) ||
		      (p >= 250 && p < 253));
	/* And not the whole mapping. */
	CHECK(new <= 512);
	t = spoor_tracker_free(t);
	mock_down(&m);
	munmap(mem, r.len);
	rig_put("/proc/sys/vm/nr_hugepages", "0");
}

int main(void)
{
	static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, MAX };
	void *mem = rig_memory((MAX + 1) * PAGE);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		what_is_written_is_reported_once(sizes[i], mem);
	starting_forgets_what_was_before(mem);
	pages_behind_a_hole_are_not_lost(mem);
	mappings_are_followed(mem);
	large_entries_are_dirty_as_a_whole();
	munmap(mem, (MAX + 1) * PAGE);
	return 0;
}
