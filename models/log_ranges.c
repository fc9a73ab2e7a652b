/* SPDX-License-Identifier: MIT */
/*
 * Fitting ranges into what a log can hold: few ranges, of limited total
 * length.  Pure.  Ends are inclusive: a range may reach 2^64.
 */
#include <stdlib.h>
#include <string.h>

#include "models/model_priv.h"

static int by_first(const void *a, const void *b)
{
	const struct log_span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Join spans[i] and the next. */
static void join(struct log_span *spans, size_t nr, size_t i)
{
	if (spans[i].last < spans[i + 1].last)
		spans[i].last = spans[i + 1].last;
	memmove(&spans[i + 1], &spans[i + 2], (nr - i - 2) * sizeof(*spans));
}

static uint64_t gap_after(const struct log_span *spans, size_t i)
{
	if (spans[i].last >= spans[i + 1].first)
		return 0;
	return spans[i + 1].first - spans[i].last - 1;
}

size_t log_join_spans(struct log_span *spans, size_t nr, size_t max)
{
	size_t i, best;

	qsort(spans, nr, sizeof(*spans), by_first);
	for (i = 0; i + 1 < nr;) {
		if (spans[i].last >= spans[i + 1].first)
			join(spans, nr--, i);
		else
			i++;
	}
	while (max && nr > max) {
		for (best = 0, i = 1; i + 1 < nr; i++)
			if (gap_after(spans, i) < gap_after(spans, best))
				best = i;
		join(spans, nr--, best);
	}
	return nr;
}

unsigned int log_address_bits(const struct log_span *spans, size_t nr)
{
	unsigned int bits = 0;
	uint64_t more = 0; /* total - 1, so that 2^64 fits */

	if (!nr)
		return 0;
	for (size_t i = 0; i < nr; i++) {
		uint64_t len_less_1 = spans[i].last - spans[i].first;

		if (__builtin_add_overflow(more, len_less_1, &more) ||
		    (i && __builtin_add_overflow(more, 1, &more)))
			return 64;
	}
	while (bits < 64 && more >> bits)
		bits++;
	return bits;
}
