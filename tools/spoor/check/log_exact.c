/* SPDX-License-Identifier: MIT */
/*
 * Logging held against what was written: nothing is missing, nothing is there
 * that was not, ends of ranges, page sizes, and the order of data and mark.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* A device that takes so long for a DMA is given fewer. */
#define SLOW_NS	    10000000u
#define NR_FAST	    64u
#define NR_SLOW	    6u
#define NR_RANGES   16u
#define ORDER_NS    300000000ull
#define ORDER_PAGES 16u

static size_t how_many(const struct check *c, size_t fast, size_t slow)
{
	return c->dma_ns > SLOW_NS ? slow : fast;
}

/* The pages written one by one with the log on; what it tells. */
static int log_of(struct check *c, const uint64_t *pages, size_t nr,
		  uint64_t *bits, uint64_t *granule)
{
	int r = check_log_all(c, granule);

	if (!r)
		r = check_dma_pages(c, pages, nr);
	return r ? r : check_log_report(c, CHECK_DATA, CHECK_DATA_LEN, bits);
}

static void scatter(uint64_t *pages, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		pages[i] = 5 + i * 117 + i * i % 7;
}

enum check_verdict check_log_complete(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	uint64_t want[CHECK_BITMAP_WORDS] = { 0 };
	uint64_t pages[NR_FAST], missing;
	size_t nr = how_many(c, NR_FAST, NR_SLOW);
	int r;

	scatter(pages, nr);
	r = log_of(c, pages, nr, bits, NULL);
	if (r)
		return check_cannot(c, "REPORT", r);
	for (size_t i = 0; i < nr; i++)
		check_mark(want, pages[i]);
	missing = check_only_in(want, bits);
	if (missing < CHECK_NR_PAGES)
		return check_broken(c, "page 0x%llx was written, and not told",
				    CHECK_DATA + missing * CHECK_PAGE);
	return check_holds(c, "%zu pages", nr);
}

enum check_verdict check_log_exact(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 }, granule = 0;
	uint64_t want[CHECK_BITMAP_WORDS] = { 0 };
	const uint64_t pages[] = { 5, 100, 101, 1001, 4098 };
	uint64_t extra;
	int r = log_of(c, pages, 5, bits, &granule);

	if (r)
		return check_cannot(c, "REPORT", r);
	for (size_t i = 0; i < 5; i++)
		check_mark(want, pages[i]);
	check_widen(want, granule);
	extra = check_only_in(bits, want);
	if (extra < CHECK_NR_PAGES)
		return check_broken(
			c, "page 0x%llx is told, and nobody wrote to it",
			CHECK_DATA + extra * CHECK_PAGE);
	return check_holds(c, "%s", "");
}

/*
 * The first of @pages, each in its range, that is written and not told.  One
 * is written and told before the next is: no REPORT sees another's page.
 */
static uint64_t not_told(struct check *c,
			 const struct vfio_device_feature_dma_logging_range *r,
			 const uint64_t *pages, size_t nr, int *ret)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
		uint64_t first = (r[i].iova - CHECK_DATA) / CHECK_PAGE;

		*ret = check_dma_pages(c, &pages[i], 1);
		if (!*ret)
			*ret = check_log_report(c, r[i].iova, r[i].length,
						bits);
		if (*ret)
			return CHECK_NR_PAGES;
		if (!check_test(bits, pages[i] - first))
			return pages[i];
	}
	return CHECK_NR_PAGES;
}

enum check_verdict check_log_last_page(struct check *c)
{
	const struct vfio_device_feature_dma_logging_range ranges[] = {
		{ CHECK_DATA + 0x10000, 0x10000 },
		{ CHECK_DATA + 0x1000000, 0x21000 },
	};
	const uint64_t first[] = { 16, 4096 }, last[] = { 31, 4096 + 32 };
	uint64_t page;
	int r = check_log_start(c, ranges, 2, CHECK_PAGE, NULL);

	if (r)
		return check_cannot(c, "LOGGING_START", r);
	page = not_told(c, ranges, first, 2, &r);
	if (!r && page == CHECK_NR_PAGES)
		page = not_told(c, ranges, last, 2, &r);
	if (r)
		return check_cannot(c, "REPORT", r);
	if (page < CHECK_NR_PAGES)
		return check_broken(
			c,
			"page 0x%llx, the %s of its range, was written, "
			"and not told",
			CHECK_DATA + page * CHECK_PAGE,
			page == first[0] || page == first[1] ? "first"
							     : "last");
	return check_holds(c, "%s", "");
}

enum check_verdict check_log_ranges(struct check *c)
{
	struct vfio_device_feature_dma_logging_range ranges[NR_RANGES];
	uint64_t pages[NR_RANGES], page;
	size_t nr = how_many(c, NR_RANGES, NR_SLOW);
	int r;

	for (size_t i = 0; i < NR_RANGES; i++) {
		ranges[i].iova = CHECK_DATA + i * 0x100000;
		ranges[i].length = 0x10000;
		pages[i] = i * 256 + 1;
	}
	r = check_log_start(c, ranges, NR_RANGES, CHECK_PAGE, NULL);
	if (r)
		return check_holds(c, "%u are refused: %s", NR_RANGES,
				   strerror(-r));
	page = not_told(c, ranges, pages, nr, &r);
	if (r)
		return check_cannot(c, "REPORT", r);
	if (page < CHECK_NR_PAGES)
		return check_broken(c,
				    "page 0x%llx, in one of %u ranges, was "
				    "written, and not told",
				    CHECK_DATA + page * CHECK_PAGE, NR_RANGES);
	return check_holds(c, "%u ranges", NR_RANGES);
}

/* A written page and what is told of it: an aligned block of 2^n pages? */
static uint64_t granule_of(const uint64_t *bits, uint64_t page)
{
	size_t nr = check_count(bits);
	uint64_t want[CHECK_BITMAP_WORDS] = { 0 };

	if (!nr || (nr & (nr - 1)))
		return 0;
	check_mark(want, page);
	check_widen(want, nr * CHECK_PAGE);
	return memcmp(want, bits, sizeof(want)) ? 0 : nr * CHECK_PAGE;
}

static enum check_verdict one_page_size(struct check *c, uint64_t wish,
					bool *tried)
{
	const struct vfio_device_feature_dma_logging_range all = {
		CHECK_DATA, CHECK_DATA_LEN
	};
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 }, said = 0, real;
	const uint64_t page = 2047; /* of an odd granule at every size */
	int r;

	if (check_log_start(c, &all, 1, wish, &said))
		return CHECK_HOLDS;
	*tried = true;
	if (said < CHECK_PAGE || (said & (said - 1)))
		return check_broken(c, "asked for %llu it returns %llu",
				    (unsigned long long)wish,
				    (unsigned long long)said);
	r = check_dma_pages(c, &page, 1);
	if (!r)
		r = check_log_report(c, CHECK_DATA, CHECK_DATA_LEN, bits);
	if (r)
		return check_cannot(c, "REPORT", r);
	real = granule_of(bits, page);
	if (said > CHECK_DATA_LEN)
		said = CHECK_DATA_LEN;
	if (real && real != said)
		return check_broken(c,
				    "asked for %llu it returns %llu, and a "
				    "write dirties %llu bytes",
				    (unsigned long long)wish,
				    (unsigned long long)said,
				    (unsigned long long)real);
	check_log_stop(c);
	return CHECK_HOLDS;
}

enum check_verdict check_log_page_size(struct check *c)
{
	static const uint64_t wishes[] = { 4096, 8192, 65536, 1 << 21 };
	bool tried = false;

	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		enum check_verdict v = one_page_size(c, wishes[i], &tried);

		if (v != CHECK_HOLDS)
			return v;
	}
	return tried ? check_holds(c, "%s", "")
		     : check_skip(c, "no page size is taken");
}

/* Copies of pages, each made when it was told dirty. */
struct copies {
	uint8_t *bytes;
	size_t nr; /* REPORTs */
};

static int copy_dirty(struct check *c, struct copies *k)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	int r = check_log_report(c, CHECK_DATA, CHECK_DATA_LEN, bits);

	for (uint64_t page = 0; page < ORDER_PAGES && !r; page++)
		if (check_test(bits, page))
			memcpy(k->bytes + page * CHECK_PAGE,
			       c->data + page * CHECK_PAGE, CHECK_PAGE);
	k->nr++;
	return r;
}

/* Written while it is read, then read once more when nothing is written. */
static int write_and_copy(struct check *c, struct copies *k, size_t nr)
{
	int r = c->ex->start(c, CHECK_DATA, nr * CHECK_PAGE), done = 0;

	while (!r && !done) {
		r = copy_dirty(c, k);
		done = r ? 0 : c->ex->done(c);
		if (done < 0)
			r = done;
	}
	return r ? r : copy_dirty(c, k);
}

enum check_verdict check_log_order(struct check *c)
{
	struct copies k = { .bytes = calloc(ORDER_PAGES, CHECK_PAGE) };
	size_t nr = how_many(c, ORDER_PAGES, 2), rounds = 0;
	uint64_t until = check_now() + ORDER_NS;
	uint64_t lost = CHECK_NR_PAGES;
	int r = k.bytes ? check_log_all(c, NULL) : -ENOMEM;

	while (!r && lost == CHECK_NR_PAGES && check_now() < until) {
		r = write_and_copy(c, &k, nr);
		for (uint64_t page = 0; page < nr && !r; page++)
			if (memcmp(k.bytes + page * CHECK_PAGE,
				   c->data + page * CHECK_PAGE, CHECK_PAGE))
				lost = page;
		rounds++;
	}
	free(k.bytes);
	if (r)
		return check_cannot(c, "REPORT while it writes", r);
	if (lost < CHECK_NR_PAGES)
		return check_broken(c,
				    "page 0x%llx was told before its last "
				    "write was in memory, and not again",
				    CHECK_DATA + lost * CHECK_PAGE);
	return check_holds(c, "%zu pages, %zu times, %zu REPORTs", nr, rounds,
			   k.nr);
}
