/* SPDX-License-Identifier: MIT */
/*
 * A program of the guest that stores to memory: whole pages, at a rate, over a
 * working set.  Which page comes next is deterministic; how many were written
 * and where the sequence is lives in its control page.
 *
 * Threads: one task; every store is an atomic 64-bit store.
 */
#include "guest.h"

struct cpu_control {
	uint64_t magic;
	uint64_t pages; /* written so far */
	uint64_t random;
};

#define CPU_MAGIC	0x637075777269746bull
#define CPU_CATCH_UP_NS 20000000ull

static void store_page(uint64_t *page, uint64_t value)
{
	for (size_t i = 0; i < MF_PAGE / sizeof(*page); i++)
		__atomic_store_n(&page[i], value, __ATOMIC_RELAXED);
}

uint64_t guest_cpu_pages(struct guest *g, size_t writer)
{
	const struct cpu_control *c =
		guest_at(g, g->layout->writers[writer].control.iova, MF_PAGE);

	return guest_load(&c->pages);
}

void guest_cpu_run(struct guest_task *t)
{
	struct guest *g = t->g;
	const struct mf_writer *w = &g->m->mf->writers[t->index];
	const struct layout_writer *l = &g->layout->writers[t->index];
	struct cpu_control *c = guest_at(g, l->control.iova, MF_PAGE);
	char *set = guest_at(g, l->set.iova, l->set.len);
	uint64_t per_s = w->rate / MF_PAGE ? w->rate / MF_PAGE : 1;
	uint64_t start = 0, done = 0;

	guest_booted(t);
	while (guest_checkpoint(g)) {
		uint64_t now = guest_now(), due, place, n;

		if (guest_load(&c->magic) != CPU_MAGIC) {
			guest_store(&c->random,
				    g->m->mf->seed * 0x2545f4914f6cdd1dull +
					    t->index);
			guest_store(&c->magic, CPU_MAGIC);
		}
		due = pace_due_ns(start, done, per_s);
		/* After a pause: the rate from now on, nothing made up. */
		if (now > due + CPU_CATCH_UP_NS) {
			start = now;
			done = 0;
		} else if (now < due) {
			/* A millisecond's worth at a time is fine enough. */
			guest_sleep_until(
				g, due > now + 1000000 ? due : now + 1000000);
			continue;
		}
		n = guest_load(&c->pages);
		place = guest_next_place(w->pattern, n, w->set / MF_PAGE,
					 &c->random);
		store_page((uint64_t *)(void *)(set + place * MF_PAGE),
			   n << 8 | t->index);
		guest_store(&c->pages, n + 1);
		done++;
	}
}
