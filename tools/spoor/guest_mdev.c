/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for the emulated device: enabling it pins its areas, and
 * a timer asks for one operation after another.
 *
 * Its state is the control page: the operation that is under way, and whether
 * its doorbell was rung.
 *
 * Threads: one task.
 */
#include "guest.h"
#include "models/mdev_regs.h"

#define MDEV_CTL_MAGIC	 0x6d6465762d647276ull
#define MDEV_PER_S	 100u
#define MDEV_POLL_NS	 1000000ull
#define MDEV_WATCH_NS	 2000000000ull
#define MDEV_CATCH_UP_NS 100000000ull

struct mdev_control {
	uint64_t magic;
	uint64_t id; /* the operation under way, or done */
	uint64_t rung, done; /* ids */
};

struct mdev {
	struct guest *g;
	size_t device;
	const struct layout_device *l;
	struct mdev_control *c;
	struct mdev_completion *completion;
	uint64_t per_s, start, count, progress;
	uint64_t begun; /* when the operation was asked for; 0: not here */
};

static int boot(struct mdev *d)
{
	const struct layout_device *l = d->l;
	const uint64_t regs[][2] = {
		{ MDEV_REG_READ_BASE, l->read.iova },
		{ MDEV_REG_READ_LEN, l->read.len },
		{ MDEV_REG_WRITE_BASE, l->write.iova },
		{ MDEV_REG_WRITE_LEN, l->write.len },
		{ MDEV_REG_COMPLETION, l->completions.iova },
	};
	int r = guest_enable_device(d->g, d->device);

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]) && !r; i++)
		r = guest_write64(d->g, d->device, (uint32_t)regs[i][0],
				  regs[i][1]);
	if (!r)
		r = guest_write32(d->g, d->device, MDEV_REG_ENABLE, 1);
	if (!r) {
		/* Whatever was under way is asked for again. */
		guest_store(&d->c->rung, d->c->done);
		guest_store(&d->c->magic, MDEV_CTL_MAGIC);
	}
	return r;
}

static bool was_reset(struct mdev *d)
{
	uint32_t on;

	return !guest_read32(d->g, d->device, MDEV_REG_ENABLE, &on) && !on;
}

/* One step of the operation under way; true if it completed. */
static bool step(struct mdev *d)
{
	struct mdev_control *c = d->c;

	if (c->rung != c->id) {
		if (guest_write64(d->g, d->device, MDEV_REG_DOORBELL, c->id))
			return false;
		guest_store(&c->rung, c->id);
	}
	if (guest_load(&d->completion->id) != c->id)
		return false;
	if (!guest_load(&d->completion->status)) {
		uint64_t now = guest_now();

		stamps_add(&d->g->stamps[d->device], now,
			   d->begun ? now - d->begun : 0);
	}
	d->begun = 0;
	guest_store(&c->done, c->id);
	return true;
}

static bool next(struct mdev *d, uint64_t now)
{
	uint64_t due = pace_due_ns(d->start, d->count, d->per_s);

	if (now > due + MDEV_CATCH_UP_NS) {
		d->start = now;
		d->count = 0;
	} else if (now < due) {
		guest_sleep_until(d->g, due);
		return false;
	}
	d->begun = now;
	guest_store(&d->c->id, d->c->id + 1);
	d->count++;
	return true;
}

static void setup(struct mdev *d, struct guest_task *t)
{
	const struct mf_device *dev = &t->g->m->mf->devices[t->index];

	d->g = t->g;
	d->device = t->index;
	d->l = &t->g->layout->devices[t->index];
	d->c = guest_at(d->g, d->l->control.iova, MF_PAGE);
	d->completion = guest_at(d->g, d->l->completions.iova, MF_PAGE);
	/* An operation writes one page of the area. */
	d->per_s = MDEV_PER_S;
	if (dev->work.present)
		d->per_s = dev->work.rate / MF_PAGE;
	if (!d->per_s)
		d->per_s = 1;
}

void guest_mdev_run(struct guest_task *t)
{
	struct guest *g = t->g;
	struct mdev d = { 0 };

	setup(&d, t);
	while (guest_checkpoint(g)) {
		uint64_t now = guest_now();

		if (!d.progress)
			d.progress = now;
		if (guest_load(&d.c->magic) != MDEV_CTL_MAGIC ||
		    (now > d.progress + MDEV_WATCH_NS && was_reset(&d))) {
			int r = boot(&d);

			if (r) {
				guest_refused(t, r);
				guest_sleep_until(g, now + MDEV_POLL_NS);
				continue;
			}
		}
		if (now > d.progress + MDEV_WATCH_NS)
			d.progress = now;
		if (!t->booted)
			guest_booted(t);
		if (d.c->done == d.c->id) {
			d.progress = now;
			if (!next(&d, now))
				continue;
		}
		if (!step(&d))
			guest_wait_fd(g, g->m->irqs[d.device],
				      now + MDEV_POLL_NS);
	}
}
