/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for the plain device, which fills memory on a doorbell
 * and says nothing when it is done: a success is a doorbell it took.
 *
 * Threads: one task; its state is the control page.
 */
#include "guest.h"
#include "models/plain_regs.h"

#define PLAIN_CTL_MAGIC	  0x706c61696e2d6472ull
#define PLAIN_CHUNK	  65536u
#define PLAIN_IDLE_NS	  1000000000ull
#define PLAIN_CATCH_UP_NS 100000000ull

struct plain_control {
	uint64_t magic;
	uint64_t fills, random;
};

static int fill(struct guest *g, size_t device, uint64_t dst, uint64_t value)
{
	int r = guest_write64(g, device, PLAIN_REG_DST, dst);

	if (!r)
		r = guest_write64(g, device, PLAIN_REG_LEN, PLAIN_CHUNK);
	return r ? r : guest_write64(g, device, PLAIN_REG_DOORBELL, value);
}

static int boot(struct guest *g, size_t device, struct plain_control *c)
{
	int r = guest_enable_device(g, device);

	if (r)
		return r;
	guest_store(&c->random, g->m->mf->seed + device);
	guest_store(&c->magic, PLAIN_CTL_MAGIC);
	return 0;
}

void guest_plain_run(struct guest_task *t)
{
	struct guest *g = t->g;
	const struct layout_device *l = &g->layout->devices[t->index];
	const struct mf_work *w = &g->m->mf->devices[t->index].work;
	struct plain_control *c = guest_at(g, l->control.iova, MF_PAGE);
	uint64_t per_s = w->rate / PLAIN_CHUNK ? w->rate / PLAIN_CHUNK : 1;
	uint64_t start = 0, count = 0;

	while (guest_checkpoint(g)) {
		uint64_t now = guest_now(), due, place, n;

		if (guest_load(&c->magic) != PLAIN_CTL_MAGIC) {
			int r = boot(g, t->index, c);

			if (r) {
				guest_refused(t, r);
				guest_sleep_until(g, now + 1000000);
				continue;
			}
		}
		if (!t->booted)
			guest_booted(t);
		due = pace_due_ns(start, count, per_s);
		if (!w->present) {
			guest_sleep_until(g, now + PLAIN_IDLE_NS);
			continue;
		}
		if (now > due + PLAIN_CATCH_UP_NS) {
			start = now;
			count = 0;
		} else if (now < due) {
			guest_sleep_until(g, due);
			continue;
		}
		n = guest_load(&c->fills);
		place = guest_next_place(w->pattern, n, w->set / PLAIN_CHUNK,
					 &c->random);
		if (fill(g, t->index, l->set.iova + place * PLAIN_CHUNK, n))
			continue;
		stamps_add(&g->stamps[t->index], guest_now(), 0);
		guest_store(&c->fills, n + 1);
		count++;
	}
}
