/* SPDX-License-Identifier: MIT */
/* The part of a bitmap that a read works on; see window.h. */
#include "bench/kernel/window.h"

#include <errno.h>
#include <string.h>

#include "softvfio/file.h"

void window_fill(struct window *w, uint64_t first, uint64_t end)
{
	for (uint64_t bit = first; bit < end; bit = (bit | 63) + 1) {
		uint64_t mask = UINT64_MAX << (bit % 64);

		if ((bit | 63) >= end)
			mask &= UINT64_MAX >> (-end % 64);
		w->words[bit / 64] |= mask;
		w->touched |= 1u << (bit / BITS_PER_PAGE);
	}
}

int window_set(void *w, uint64_t iova, uint64_t len)
{
	struct window *window = w;
	uint64_t bit = (iova - window->iova) >> window->shift;

	(void)len; /* one page: it is the tracker's granule */
	if (iova < window->iova || bit >= window->nr_bits)
		return -ERANGE;
	window->words[bit / 64] |= UINT64_C(1) << (bit % 64);
	window->touched |= 1u << (bit / BITS_PER_PAGE);
	return 0;
}

void window_look(struct window *w)
{
	uint64_t nr_words = (w->nr_bits + 63) / 64;

	for (uint64_t page = 0; page * WORDS_PER_PAGE < nr_words; page++) {
		const uint64_t *at = w->words + page * WORDS_PER_PAGE;
		uint64_t nr = nr_words - page * WORDS_PER_PAGE, any = 0;

		if (nr > WORDS_PER_PAGE)
			nr = WORDS_PER_PAGE;
		for (uint64_t i = 0; i < nr && !any; i++)
			any = at[i];
		if (any)
			w->touched |= 1u << page;
	}
}

/* The next run of touched pages from *page on, as words; false: none. */
static bool next_run(const struct window *w, unsigned int *page,
		     uint64_t *ret_word, uint64_t *ret_nr)
{
	uint64_t nr_words = (w->nr_bits + 63) / 64, end;

	while (*page < WINDOW_PAGES && !(w->touched >> *page & 1))
		(*page)++;
	if (*page == WINDOW_PAGES)
		return false;
	*ret_word = (uint64_t)*page * WORDS_PER_PAGE;
	while (*page < WINDOW_PAGES && w->touched >> *page & 1)
		(*page)++;
	end = (uint64_t)*page * WORDS_PER_PAGE;
	*ret_nr = (end < nr_words ? end : nr_words) - *ret_word;
	return true;
}

int window_or_out(const struct window *w, uint64_t *user)
{
	uint64_t theirs[WORDS_PER_PAGE], word, nr;
	unsigned int page = 0;

	user += w->first / 64;
	while (next_run(w, &page, &word, &nr)) {
		for (uint64_t n; nr; word += n, nr -= n) {
			int err;

			n = nr < WORDS_PER_PAGE ? nr : WORDS_PER_PAGE;
			err = sv_copy_in(theirs, user + word, n * 8);
			for (uint64_t i = 0; !err && i < n; i++)
				theirs[i] |= w->words[word + i];
			if (!err)
				err = sv_copy_out(user + word, theirs, n * 8);
			if (err)
				return err;
		}
	}
	return 0;
}

int window_copy_out(const struct window *w, uint64_t *user)
{
	unsigned int page = 0;
	uint64_t word, nr;

	user += w->first / 64;
	while (next_run(w, &page, &word, &nr)) {
		int err = sv_copy_out(user + word, w->words + word, nr * 8);

		if (err)
			return err;
	}
	return 0;
}

int window_copy_in(struct window *w, const uint64_t *user)
{
	unsigned int page = 0;
	uint64_t word, nr;

	user += w->first / 64;
	while (next_run(w, &page, &word, &nr)) {
		int err = sv_copy_in(w->words + word, user + word, nr * 8);

		if (err)
			return err;
	}
	return 0;
}

void window_clear(struct window *w)
{
	unsigned int page = 0;
	uint64_t word, nr;

	while (next_run(w, &page, &word, &nr))
		memset(w->words + word, 0, nr * 8);
	w->touched = 0;
}
