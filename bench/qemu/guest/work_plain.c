/* SPDX-License-Identifier: MIT */
/*
 * The driver for the plain device, which fills memory on a doorbell and says
 * nothing when it is done: as tools/spoor/guest_plain.c.
 */
#include "bench/qemu/guest/work.h"
#include "models/plain_regs.h"
#include "tools/spoor/pace.h"

#define CATCH_UP_NS 100000000ull

void plain_start(struct work *w, uint64_t seed)
{
	w->pci = pci_find((uint32_t)w->word->slot, PLAIN_MAGIC, false);
	pci_set_up(&w->pci, w->index);
	pace_set(&w->pace, w->word->rate, WORD_CHUNK);
	w->random = seed;
}

uint64_t plain_turn(struct work *w, uint64_t now)
{
	uint64_t n = w->status->done, due, place;
	uint32_t regs = w->pci.regs;

	if (!w->word->rate)
		return now + WORK_IDLE_NS;
	due = pace_next(&w->pace, now, CATCH_UP_NS);
	if (due > now)
		return due;
	place = pace_place((unsigned int)w->word->pattern, n,
			   w->word->set / WORD_CHUNK, &w->random);
	hw_write64(regs + PLAIN_REG_DST,
		   w->word->set_base + place * WORD_CHUNK);
	hw_write64(regs + PLAIN_REG_LEN, WORD_CHUNK);
	hw_write64(regs + PLAIN_REG_DOORBELL, n);
	w->status->submitted++;
	w->status->done++;
	w->pace.done++;
	return now;
}
