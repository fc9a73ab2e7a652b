/* SPDX-License-Identifier: MIT */
/* The cases; see backend_cases.h. */
#include "backend_cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE	4096u
#define BASE	UINT64_C(0x40000000)
#define HUGE_MB (UINT64_C(2) << 20)

static const struct backend *be;

/* One region of memory under test, its tracker, and a bitmap of it. */
struct rig {
	struct spoor_range range;
	char *hva;
	struct spoor_tracker *t;
	struct spoor_bitmap b;
};

static void *new_memory(uint64_t len)
{
	/* Shared, so that a software device can map it a second time. */
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void new_bitmap(struct spoor_bitmap *b, const struct spoor_range *r,
		       unsigned int shift)
{
	uint64_t nr = (r->len + ((UINT64_C(1) << shift) - 1)) >> shift;
	uint64_t *words = calloc(spoor_bitmap_words(nr) + 1, 8);

	assert_non_null(words);
	assert_int_equal(spoor_bitmap_init(b, words, r, shift), 0);
}

static void rig_up(struct rig *r, uint64_t iova, uint64_t len)
{
	uint64_t page = 0;

	be->up(be);
	r->range = (struct spoor_range){ .iova = iova, .len = len };
	r->hva = new_memory(len);
	be->map(be, &r->range, r->hva);
	r->t = be->open(be);
	assert_int_equal(spoor_tracker_start(r->t, &r->range, 1, PAGE, &page),
			 0);
	assert_int_equal(page, be->page);
	new_bitmap(&r->b, &r->range, 12);
}

static void rig_down(struct rig *r)
{
	assert_null(spoor_tracker_free(r->t));
	free(r->b.words);
	be->unmap(be, &r->range);
	be->down(be);
	munmap(r->hva, r->range.len);
}

static uint64_t collect(struct rig *r)
{
	uint64_t new = UINT64_MAX;

	assert_int_equal(spoor_tracker_collect(r->t, &r->range, &r->b, 0, &new),
			 0);
	return new;
}

static void dirty(struct rig *r, uint64_t offset, size_t len)
{
	char buf[8192];

	memset(buf, 0xd1, sizeof(buf));
	assert_true(len <= sizeof(buf));
	be->write(be, r->range.iova + offset, buf, len);
}

/* What the granule makes of [first, last] bytes of the range, as pages. */
static bool expected(const struct rig *r, uint64_t page, uint64_t first,
		     uint64_t last)
{
	uint64_t at = r->range.iova + page * PAGE;
	uint64_t low = (r->range.iova + first) & ~(be->page - 1);
	uint64_t high = (r->range.iova + last) | (be->page - 1);

	return at >= low && at <= high;
}

static void expect_only(const struct rig *r, uint64_t first, uint64_t last)
{
	uint64_t p;

	for (p = 0; p < r->range.len / PAGE; p++) {
		bool got = spoor_bitmap_test(&r->b, r->range.iova + p * PAGE);

		if (expected(r, p, first, last))
			assert_true(got);
		else if (be->exact)
			assert_false(got);
	}
}

static void starts_clean(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, BASE, 256 * PAGE);
	assert_int_equal(collect(&r), be->everything ? 256 : 0);
	rig_down(&r);
}

static void reports_exactly_what_was_written(void **state)
{
	static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, 4097 };
	size_t i, k;

	(void)state;
	for (i = 0; i < 8; i++) {
		const uint64_t at[] = { 0, sizes[i] / 2, sizes[i] - 1 };

		for (k = 0; k < 3; k++) {
			struct rig r;

			rig_up(&r, BASE, sizes[i] * PAGE);
			dirty(&r, at[k] * PAGE, PAGE);
			assert_int_not_equal(collect(&r), 0);
			expect_only(&r, at[k] * PAGE, at[k] * PAGE + PAGE - 1);
			/* Read and forgotten. */
			if (!be->everything)
				assert_int_equal(collect(&r), 0);
			spoor_bitmap_clear(&r.b);
			if (!be->everything) {
				collect(&r);
				assert_int_equal(spoor_bitmap_count(&r.b), 0);
			}
			rig_down(&r);
		}
	}
}

static void small_and_straddling_writes_mark_each_page(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, BASE, 1024 * PAGE);
	dirty(&r, 5 * PAGE + 17, 1);
	collect(&r);
	expect_only(&r, 5 * PAGE, 5 * PAGE);
	spoor_bitmap_clear(&r.b);
	dirty(&r, 71 * PAGE - 3, 7);
	collect(&r);
	expect_only(&r, 70 * PAGE, 71 * PAGE);
	rig_down(&r);
}

static void never_clears_the_callers_bits(void **state)
{
	struct rig r;
	uint64_t i;

	(void)state;
	rig_up(&r, BASE, 256 * PAGE);
	for (i = 0; i < 256; i += 3)
		r.b.words[i / 64] |= UINT64_C(1) << (i % 64);
	r.b.words[4] = 0xaaaaaaaaaaaaaaaa;
	dirty(&r, 100 * PAGE, PAGE);
	collect(&r);
	for (i = 0; i < 256; i += 3)
		assert_true(spoor_bitmap_test(&r.b, BASE + i * PAGE));
	assert_true(spoor_bitmap_test(&r.b, BASE + 100 * PAGE));
	/* Nor touches what is not the bitmap's. */
	assert_true(r.b.words[4] == 0xaaaaaaaaaaaaaaaa);
	rig_down(&r);
}

/* In parts of odd sizes: what one part's read takes along is not lost. */
static void parts_add_up(void **state)
{
	static const uint64_t step[] = { 1, 3, 16, 64, 100 };
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		struct rig r;
		uint64_t at, p;

		rig_up(&r, BASE + 16 * PAGE, 300 * PAGE);
		for (p = 0; p < 300; p += 7)
			dirty(&r, p * PAGE, 8);
		for (at = 0; at < 300; at += step[i]) {
			uint64_t n = 300 - at < step[i] ? 300 - at : step[i];
			struct spoor_range part = {
				.iova = r.range.iova + at * PAGE,
				.len = n * PAGE,
			};
			struct spoor_bitmap b;

			new_bitmap(&b, &part, 12);
			assert_int_equal(
				spoor_tracker_collect(r.t, &part, &b, 0, NULL),
				0);
			for (p = 0; p < 300; p++)
				if (p % 7 == 0 && p >= at && p < at + n)
					assert_true(spoor_bitmap_test(
						&b, r.range.iova + p * PAGE));
				else if (be->exact && be->page == PAGE)
					assert_false(spoor_bitmap_test(
						&b, r.range.iova + p * PAGE));
			free(b.words);
		}
		if (!be->everything)
			assert_int_equal(collect(&r), 0);
		rig_down(&r);
	}
}

static void coarse_and_shifted_bitmaps_get_every_page(void **state)
{
	struct spoor_range wide = { .iova = BASE - 32 * PAGE,
				    .len = 1024 * PAGE };
	struct spoor_bitmap b;
	struct rig r;
	uint64_t new;

	(void)state;
	rig_up(&r, BASE, 512 * PAGE);
	/* 64 KiB a bit, and half a word off. */
	new_bitmap(&b, &wide, 16);
	dirty(&r, 33 * PAGE, 8);
	dirty(&r, 511 * PAGE, 8);
	assert_int_equal(spoor_tracker_collect(r.t, &r.range, &b, 0, &new), 0);
	assert_true(spoor_bitmap_test(&b, BASE + 33 * PAGE));
	assert_true(spoor_bitmap_test(&b, BASE + 511 * PAGE));
	/* 544 pages on, 34 bits of 16 pages; nothing before, nothing behind. */
	assert_false(spoor_bitmap_test(&b, BASE - PAGE));
	assert_false(spoor_bitmap_test(&b, BASE + 512 * PAGE));
	assert_int_equal(new, spoor_bitmap_count(&b));
	free(b.words);
	rig_down(&r);
}

static void last_address_is_tracked(void **state)
{
	uint64_t len = 64 * PAGE;
	struct rig r;

	(void)state;
	rig_up(&r, be->last_address - (len - 1), len);
	dirty(&r, len - PAGE, PAGE);
	assert_int_not_equal(collect(&r), 0);
	expect_only(&r, len - PAGE, len - 1);
	rig_down(&r);
}

static void memory_mapped_while_tracking_is_never_clean_unseen(void **state)
{
	struct spoor_range more = { .iova = BASE + 8 * HUGE_MB,
				    .len = 64 * PAGE };
	struct spoor_bitmap b;
	struct rig r;
	uint64_t new, i;
	void *hva;

	(void)state;
	rig_up(&r, BASE, 64 * PAGE);
	hva = new_memory(more.len);
	be->map(be, &more, hva);
	new_bitmap(&b, &more, 12);
	assert_int_equal(spoor_tracker_collect(r.t, &more, &b, 0, NULL),
			 -EINVAL);
	assert_int_equal(spoor_tracker_map(r.t, &more), 0);
	assert_int_equal(spoor_tracker_map(r.t, &more), -EINVAL);
	for (i = 0; i < 2; i++) {
		be->write(be, more.iova + 9 * PAGE, "x", 1);
		spoor_bitmap_clear(&b);
		assert_int_equal(spoor_tracker_collect(r.t, &more, &b, 0, &new),
				 0);
		assert_true(spoor_bitmap_test(&b, more.iova + 9 * PAGE));
		if (!be->follows_map)
			assert_int_equal(new, 64);
		else if (be->exact && be->page == PAGE)
			assert_int_equal(new, 1);
	}
	free(b.words);
	be->unmap(be, &more);
	munmap(hva, more.len);
	rig_down(&r);
}

static void unmapped_memory_is_dirty_once(void **state)
{
	struct spoor_range gone = { .iova = BASE, .len = 64 * PAGE };
	struct spoor_range rest = { .iova = BASE + 64 * PAGE,
				    .len = 64 * PAGE };
	struct spoor_range both = { .iova = BASE, .len = 128 * PAGE };
	struct spoor_bitmap b;
	uint64_t page, new;
	struct rig r;
	void *hva;

	(void)state;
	be->up(be);
	r.range = gone;
	r.hva = new_memory(gone.len);
	hva = new_memory(rest.len);
	be->map(be, &gone, r.hva);
	be->map(be, &rest, hva);
	r.t = be->open(be);
	assert_int_equal(spoor_tracker_start(r.t, &both, 1, PAGE, &page), 0);
	new_bitmap(&b, &both, 12);
	be->unmap(be, &gone);
	assert_int_equal(spoor_tracker_unmap(r.t, &gone), 0);
	assert_int_equal(spoor_tracker_unmap(r.t, &gone), -EINVAL);
	assert_int_equal(spoor_tracker_collect(r.t, &both, &b, 0, &new), 0);
	if (!be->everything)
		assert_int_equal(new, 64);
	assert_true(spoor_bitmap_test(&b, gone.iova));
	assert_true(spoor_bitmap_test(&b, rest.iova - PAGE));
	spoor_bitmap_clear(&b);
	assert_int_equal(spoor_tracker_collect(r.t, &both, &b, 0, &new), 0);
	if (!be->everything)
		assert_int_equal(new, 0);
	free(b.words);
	assert_null(spoor_tracker_free(r.t));
	be->unmap(be, &rest);
	be->down(be);
	munmap(r.hva, gone.len);
	munmap(hva, rest.len);
}

static void collect_sets_whole_range_when_the_source_fails(void **state)
{
	uint64_t new = 7;
	struct rig r;

	(void)state;
	if (!be->spoil)
		return;
	rig_up(&r, BASE, 257 * PAGE);
	be->spoil(be);
	assert_int_equal(spoor_tracker_collect(r.t, &r.range, &r.b, 0, &new),
			 -EIO);
	assert_int_equal(spoor_bitmap_count(&r.b), 257);
	assert_int_equal(new, 7);
	rig_down(&r);
}

static void bad_arguments_are_refused_and_change_nothing(void **state)
{
	struct spoor_range outside = { .iova = BASE, .len = 65 * PAGE };
	struct spoor_range odd = { .iova = BASE + 1, .len = PAGE };
	struct spoor_range none = { .iova = BASE, .len = 0 };
	struct spoor_range two[2] = { { BASE, 2 * PAGE },
				      { BASE + PAGE, PAGE } };
	struct spoor_bitmap small;
	struct rig r;
	uint64_t page = 1;

	(void)state;
	rig_up(&r, BASE, 64 * PAGE);
	dirty(&r, 0, 1);
	small = r.b;
	small.nr_pages = 63;
	assert_int_equal(spoor_tracker_collect(r.t, &outside, &r.b, 0, NULL),
			 -EINVAL);
	assert_int_equal(spoor_tracker_collect(r.t, &odd, &r.b, 0, NULL),
			 -EINVAL);
	assert_int_equal(spoor_tracker_collect(r.t, &none, &r.b, 0, NULL),
			 -EINVAL);
	assert_int_equal(spoor_tracker_collect(r.t, &r.range, &small, 0, NULL),
			 -EINVAL);
	assert_int_equal(spoor_tracker_collect(r.t, &r.range, &r.b, 1, NULL),
			 -EINVAL);
	assert_int_equal(spoor_bitmap_count(&r.b), 0);
	assert_int_equal(spoor_tracker_start(r.t, &r.range, 1, PAGE, &page),
			 -EBUSY);
	assert_int_not_equal(collect(&r), 0);
	assert_int_equal(spoor_tracker_stop(r.t), 0);
	assert_int_equal(spoor_tracker_stop(r.t), 0);
	assert_int_equal(spoor_tracker_start(r.t, two, 2, PAGE, &page),
			 -EINVAL);
	assert_int_equal(spoor_tracker_start(r.t, two, 0, PAGE, &page),
			 -EINVAL);
	assert_int_equal(spoor_tracker_start(r.t, &odd, 1, PAGE, &page),
			 -EINVAL);
	assert_int_equal(spoor_tracker_start(r.t, two, 1, 4097, &page),
			 -EINVAL);
	assert_int_equal(page, 1);
	assert_int_equal(spoor_tracker_start(r.t, &r.range, 1, PAGE, &page), 0);
	rig_down(&r);
}

static void probe_leaves_it_stopped_and_says_what_it_is(void **state)
{
	struct spoor_tracker_caps caps;
	struct rig r;
	uint64_t page;

	(void)state;
	rig_up(&r, BASE, 64 * PAGE);
	assert_int_equal(spoor_tracker_probe(r.t, &r.range, 1, &caps), -EBUSY);
	assert_int_equal(spoor_tracker_stop(r.t), 0);
	assert_int_equal(spoor_tracker_probe(r.t, &r.range, 1, &caps), 0);
	assert_int_equal(caps.kind, spoor_tracker_kind(r.t));
	assert_true(caps.page_sizes & be->page);
	assert_int_equal(!!(caps.flags & SPOOR_TRACKER_EVERYTHING),
			 be->everything);
	assert_int_equal(spoor_tracker_start(r.t, &r.range, 1, PAGE, &page), 0);
	rig_down(&r);
}

static void collect_set_passes_over_holes(void **state)
{
	struct spoor_range ranges[2] = { { BASE, 64 * PAGE },
					 { BASE + HUGE_MB, 65 * PAGE } };
	struct spoor_range over = { .iova = BASE, .len = HUGE_MB + 65 * PAGE };
	struct spoor_bitmap_set *set = NULL;
	struct spoor_tracker *t;
	uint64_t page, new;
	void *hva[2];
	size_t i;

	(void)state;
	be->up(be);
	for (i = 0; i < 2; i++) {
		hva[i] = new_memory(ranges[i].len);
		be->map(be, &ranges[i], hva[i]);
	}
	assert_int_equal(spoor_bitmap_set_alloc(&set, ranges, 2, 12), 0);
	t = be->open(be);
	/* Tracked in one piece, hole and all, where that can be. */
	if (be->no_holes)
		assert_int_equal(spoor_tracker_start(t, &over, 1, PAGE, &page),
				 -EINVAL);
	assert_int_equal(spoor_tracker_start(t, be->no_holes ? ranges : &over,
					     be->no_holes ? 2 : 1, PAGE, &page),
			 0);
	be->write(be, ranges[0].iova + 63 * PAGE, "x", 1);
	be->write(be, ranges[1].iova + 64 * PAGE, "x", 1);
	assert_int_equal(spoor_tracker_collect_set(t, set, &new), 0);
	assert_int_equal(new, spoor_bitmap_set_count(set));
	if (be->exact && be->page == PAGE)
		assert_int_equal(new, 2);
	assert_true(
		spoor_bitmap_test(&set->maps[0], ranges[0].iova + 63 * PAGE));
	assert_true(
		spoor_bitmap_test(&set->maps[1], ranges[1].iova + 64 * PAGE));
	spoor_tracker_free(t);
	spoor_bitmap_set_free(set);
	for (i = 0; i < 2; i++) {
		be->unmap(be, &ranges[i]);
		munmap(hva[i], ranges[i].len);
	}
	be->down(be);
}

/*
 * Eight writers number what they write; the reader copies each page after it
 * was reported.  What was written after the copy must be reported again, so at
 * the end the copy equals memory, whatever the interleaving.
 */
struct racer {
	pthread_t thread;
	unsigned int n, nr_writes;
	uint64_t iova;
	bool mark_first;
};

/*
 * The pages written are one to a granule, so that no other page's mark makes
 * up for one that was taken too early.
 */
static uint64_t race_spots(void)
{
	return be->page > 65536 ? 4 : 96;
}

static atomic_uint racers_left;

static void *race_writer(void *arg)
{
	const struct racer *w = arg;
	uint64_t seq, rand = w->n * 7919u + 1;

	for (seq = 1; seq <= w->nr_writes; seq++) {
		uint64_t stamp = ((uint64_t)w->n << 32) | seq, at;

		rand = rand * 6364136223846793005u + 1442695040888963407u;
		at = w->iova + (rand >> 33) % race_spots() * be->page +
		     w->n * 8;
		if (w->mark_first)
			be->write_mark_first(be, at, &stamp, sizeof(stamp));
		else
			be->write(be, at, &stamp, sizeof(stamp));
	}
	atomic_fetch_sub(&racers_left, 1);
	return NULL;
}

static void copy_reported(struct rig *r, uint64_t *copy)
{
	uint64_t p, w;

	collect(r);
	for (p = 0; p < race_spots(); p++) {
		const uint64_t *from = (void *)(r->hva + p * be->page);

		if (!spoor_bitmap_test(&r->b, r->range.iova + p * be->page))
			continue;
		for (w = 0; w < 8; w++)
			copy[p * 8 + w] =
				__atomic_load_n(&from[w], __ATOMIC_ACQUIRE);
	}
	spoor_bitmap_clear(&r->b);
}

/* The number of words that the copy lacks. */
static unsigned int race(unsigned int nr_writes, bool mark_first)
{
	uint64_t *copy = calloc(race_spots() * 8, sizeof(*copy));
	struct racer racers[8];
	unsigned int i, lost = 0;
	struct rig r;

	assert_non_null(copy);
	rig_up(&r, BASE, race_spots() * be->page);
	atomic_store(&racers_left, 8);
	for (i = 0; i < 8; i++) {
		racers[i] = (struct racer){ .n = i,
					    .nr_writes = nr_writes,
					    .mark_first = mark_first,
					    .iova = BASE };
		assert_int_equal(pthread_create(&racers[i].thread, NULL,
						race_writer, &racers[i]),
				 0);
	}
	while (atomic_load(&racers_left))
		copy_reported(&r, copy);
	for (i = 0; i < 8; i++)
		pthread_join(racers[i].thread, NULL);
	copy_reported(&r, copy);
	for (i = 0; i < race_spots() * 8; i++) {
		const uint64_t *now =
			(void *)(r.hva + i / 8 * be->page + i % 8 * 8);

		lost += *now != copy[i];
	}
	rig_down(&r);
	free(copy);
	return lost;
}

static void racing_writers_lose_no_page(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(race(400, false), 0);
}

/* The case above can fail: marks that come before their data are caught. */
static void the_race_catches_marks_before_data(void **state)
{
	unsigned int i, lost = 0;

	(void)state;
	if (!be->write_mark_first || be->everything)
		return;
	for (i = 0; i < 200 && !lost; i++)
		lost = race(40, true);
	assert_int_not_equal(lost, 0);
}

#define CASE(f) cmocka_unit_test(f)

int run_backend_cases(const struct backend *b)
{
	const struct CMUnitTest cases[] = {
		CASE(starts_clean),
		CASE(reports_exactly_what_was_written),
		CASE(small_and_straddling_writes_mark_each_page),
		CASE(never_clears_the_callers_bits),
		CASE(parts_add_up),
		CASE(coarse_and_shifted_bitmaps_get_every_page),
		CASE(last_address_is_tracked),
		CASE(memory_mapped_while_tracking_is_never_clean_unseen),
		CASE(unmapped_memory_is_dirty_once),
		CASE(collect_sets_whole_range_when_the_source_fails),
		CASE(bad_arguments_are_refused_and_change_nothing),
		CASE(probe_leaves_it_stopped_and_says_what_it_is),
		CASE(collect_set_passes_over_holes),
		CASE(racing_writers_lose_no_page),
		CASE(the_race_catches_marks_before_data),
	};

	be = b;
	return cmocka_run_group_tests_name(b->name, cases, NULL, NULL);
}
