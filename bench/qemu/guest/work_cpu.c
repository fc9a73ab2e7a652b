/* SPDX-License-Identifier: MIT */
/*
 * A program that stores to memory, whole pages at a rate: as tools/spoor/cpu.c.
 * Its state is the control page.
 */
#include "bench/qemu/guest/work.h"
#include "tools/spoor/pace.h"

#define CATCH_UP_NS 20000000ull
#define GRAIN_NS    1000000ull
/* Then the drivers have their turn. */
#define BATCH	    64u

struct control {
	uint64_t pages, random;
};

static volatile struct control *control(const struct work *w)
{
	return hw_at((uint32_t)w->word->ctl);
}

static void store_page(uint32_t at, uint64_t value)
{
	volatile uint32_t *page = hw_at(at);

	for (unsigned int i = 0; i < WORD_PAGE / sizeof(*page); i += 2) {
		page[i] = (uint32_t)value;
		page[i + 1] = (uint32_t)(value >> 32);
	}
}

static void write_next(struct work *w)
{
	volatile struct control *c = control(w);
	uint64_t n = c->pages, random = c->random;
	uint64_t place = pace_place((unsigned int)w->word->pattern, n,
				    w->word->set / WORD_PAGE, &random);

	c->random = random;
	store_page((uint32_t)(w->word->set_base + place * WORD_PAGE),
		   n << 8 | w->index);
	c->pages = n + 1;
	w->status->submitted = n + 1;
	w->status->done = n + 1;
	w->pace.done++;
}

void cpu_start(struct work *w, uint64_t seed)
{
	pace_set(&w->pace, w->word->rate, WORD_PAGE);
	control(w)->random = seed * 0x2545f4914f6cdd1dull;
}

uint64_t cpu_turn(struct work *w, uint64_t now)
{
	uint64_t due = 0;

	if (!w->word->rate)
		return now + WORK_IDLE_NS;
	for (unsigned int i = 0; i < BATCH; i++) {
		due = pace_next(&w->pace, now, CATCH_UP_NS);
		if (due > now)
			break;
		write_next(w);
	}
	if (due <= now)
		return now;
	/* A millisecond's worth at a time is fine enough. */
	return due > now + GRAIN_NS ? due : now + GRAIN_NS;
}
