/* SPDX-License-Identifier: MIT */
/* Sets of pages of the data.  Pure. */
#include "check.h"

bool check_test(const uint64_t *bits, uint64_t page)
{
	return bits[page / 64] >> page % 64 & 1;
}

void check_mark(uint64_t *bits, uint64_t page)
{
	bits[page / 64] |= UINT64_C(1) << page % 64;
}

size_t check_count(const uint64_t *bits)
{
	size_t n = 0;

	for (size_t i = 0; i < CHECK_BITMAP_WORDS; i++)
		n += (size_t)__builtin_popcountll(bits[i]);
	return n;
}

uint64_t check_only_in(const uint64_t *a, const uint64_t *b)
{
	for (uint64_t page = 0; page < CHECK_NR_PAGES; page++)
		if (check_test(a, page) && !check_test(b, page))
			return page;
	return CHECK_NR_PAGES;
}

void check_widen(uint64_t *bits, uint64_t granule)
{
	uint64_t nr = granule / CHECK_PAGE;

	if (nr <= 1)
		return;
	if (nr > CHECK_NR_PAGES)
		nr = CHECK_NR_PAGES;
	for (uint64_t first = 0; first < CHECK_NR_PAGES; first += nr) {
		bool any = false;

		for (uint64_t i = first; i < first + nr; i++)
			any |= check_test(bits, i);
		for (uint64_t i = first; any && i < first + nr; i++)
			check_mark(bits, i);
	}
}
