/* SPDX-License-Identifier: MIT */
/*
 * Logging: when it is on, and what REPORT does to a bitmap and to the log.
 */
#include <errno.h>
#include <string.h>

#include "check.h"

#define GUARD 0xaaaaaaaaaaaaaaaaull

static int report_all(struct check *c, uint64_t *bits)
{
	return check_log_report(c, CHECK_DATA, CHECK_DATA_LEN, bits);
}

enum check_verdict check_log_twice(struct check *c)
{
	if (check_log_all(c, NULL))
		return check_cannot(c, "LOGGING_START", EIO);
	if (!check_log_all(c, NULL))
		return check_broken(c, "a second START is taken");
	return check_holds(c, "%s", "");
}

enum check_verdict check_log_off(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };

	if (!report_all(c, bits))
		return check_broken(c, "REPORT before any START is answered");
	if (check_log_all(c, NULL) || check_log_stop(c))
		return check_cannot(c, "LOGGING_START and STOP", EIO);
	if (!report_all(c, bits))
		return check_broken(c, "REPORT after STOP is answered");
	return check_holds(c, "%s", "");
}

/* A request of whole granules in the middle; its bitmap between guards. */
enum check_verdict check_log_bounds(struct check *c)
{
	uint64_t words[CHECK_BITMAP_WORDS + 2], granule = 0, len;
	size_t used;
	int r;

	memset(words, 0xaa, sizeof(words));
	r = check_log_all(c, &granule);
	if (r)
		return check_cannot(c, "LOGGING_START", r);
	len = granule > 64 * CHECK_PAGE ? granule : 64 * CHECK_PAGE;
	if (len > CHECK_DATA_LEN / 4)
		return check_skip(c, "its pages are of %llu bytes",
				  (unsigned long long)granule);
	used = len / CHECK_PAGE / 64;
	memset(&words[1], 0, used * sizeof(words[0]));
	if (c->ex) {
		const uint64_t pages[] = { len / CHECK_PAGE - 1,
					   len / CHECK_PAGE,
					   2 * len / CHECK_PAGE };

		r = check_dma_pages(c, pages, 3);
	}
	if (!r)
		r = check_log_report(c, CHECK_DATA + len, len, &words[1]);
	if (r)
		return check_cannot(c, "REPORT", r);
	for (size_t i = 0; i < CHECK_BITMAP_WORDS + 2; i++)
		if ((i < 1 || i > used) && words[i] != GUARD)
			return check_broken(
				c, "word %d around the bitmap is 0x%llx now",
				(int)i - 1, (unsigned long long)words[i]);
	return check_holds(c, "%s", "");
}

enum check_verdict check_log_or(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	const uint64_t page = 69, preset[] = { 3, 64, 70, 4000 };
	int r = check_log_all(c, NULL);

	if (!r)
		r = check_dma_pages(c, &page, 1);
	for (size_t i = 0; i < 4; i++)
		check_mark(bits, preset[i]);
	if (!r)
		r = report_all(c, bits);
	if (r)
		return check_cannot(c, "REPORT", r);
	for (size_t i = 0; i < 4; i++)
		if (!check_test(bits, preset[i]))
			return check_broken(c,
					    "the bit of page %llu was set "
					    "before and is not any more",
					    (unsigned long long)preset[i]);
	return check_holds(c, "%s", "");
}

enum check_verdict check_log_clear(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	uint64_t again[CHECK_BITMAP_WORDS] = { 0 };
	const uint64_t pages[] = { 5, 300, 4097 };
	int r = check_log_all(c, NULL);

	if (!r)
		r = check_dma_pages(c, pages, 3);
	if (!r)
		r = report_all(c, bits);
	if (!r)
		r = report_all(c, again);
	if (r)
		return check_cannot(c, "REPORT", r);
	if (check_count(again))
		return check_broken(c, "%zu pages are told a second time",
				    check_count(again));
	return check_holds(c, "%zu pages told once", check_count(bits));
}

/* One page inside of what is asked first, one far behind it. */
enum check_verdict check_log_outside(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 }, granule = 0;
	const uint64_t pages[] = { 5, CHECK_NR_PAGES - 100 };
	uint64_t half = CHECK_DATA_LEN / 2;
	int r = check_log_all(c, &granule);

	if (!r && granule > half)
		return check_skip(c, "its pages are of %llu bytes",
				  (unsigned long long)granule);
	if (!r)
		r = check_dma_pages(c, pages, 2);
	if (!r)
		r = check_log_report(c, CHECK_DATA, half, bits);
	if (r)
		return check_cannot(c, "REPORT", r);
	if (check_count(bits) && check_test(bits, pages[1]))
		return check_broken(c, "a page outside the request is told");
	memset(bits, 0, sizeof(bits));
	r = check_log_report(c, CHECK_DATA + half, half, bits);
	if (r)
		return check_cannot(c, "REPORT", r);
	if (!check_test(bits, pages[1] - half / CHECK_PAGE))
		return check_broken(c,
				    "page 0x%llx was written, and is forgotten "
				    "by a REPORT of 0x%llx+0x%llx",
				    CHECK_DATA + pages[1] * CHECK_PAGE,
				    CHECK_DATA, (unsigned long long)half);
	return check_holds(c, "%s", "");
}

enum check_verdict check_log_fresh(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	const uint64_t pages[] = { 5, 300 };
	int r = check_log_all(c, NULL);

	if (!r)
		r = check_dma_pages(c, pages, 2);
	if (!r)
		r = check_log_stop(c);
	if (!r)
		r = check_log_all(c, NULL);
	if (!r)
		r = report_all(c, bits);
	if (r)
		return check_cannot(c, "START, STOP, START, REPORT", r);
	if (check_count(bits))
		return check_broken(c,
				    "%zu pages are dirty that nobody wrote "
				    "since START",
				    check_count(bits));
	return check_holds(c, "%s", "");
}

enum check_verdict check_log_at_stop(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	const uint64_t pages[] = { 5, 300, 301 };
	int r = check_log_all(c, NULL);

	if (!r)
		r = check_dma_pages(c, pages, 3);
	if (r)
		return check_cannot(c, "writing three pages", r);
	r = check_set(c, VFIO_DEVICE_STATE_STOP, NULL);
	if (!r)
		r = report_all(c, bits);
	if (r)
		return check_broken(c, "%s", strerror(-r));
	for (size_t i = 0; i < 3; i++)
		if (!check_test(bits, pages[i]))
			return check_broken(c,
					    "page 0x%llx was written before "
					    "the stop, and is not told",
					    CHECK_DATA + pages[i] * CHECK_PAGE);
	return check_holds(c, "%s", "");
}
