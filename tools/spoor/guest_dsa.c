/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for the accelerator, and a program that keeps it busy:
 * fills and copies over a working set, at a rate, as large and as many at a time
 * as the machine file says.
 *
 * Its state is the control page: what is outstanding, and whether its doorbell
 * was rung.  A request that does not complete for long is submitted again (the
 * device was reset): doing it twice does no harm.
 *
 * Threads: one task.
 */
#include <string.h>

#include "guest.h"
#include "models/dsa_regs.h"

#define DSA_CTL_MAGIC	0x6473612d64727672ull
#define DSA_OUTSTANDING DSA_QUEUE
#define DSA_POLL_NS	500000ull
#define DSA_WATCH_NS	2000000000ull
#define DSA_CATCH_UP_NS 50000000ull
/* With a peer, every other request fills all of its BAR. */
#define DSA_PEER_EVERY	2u
#define DSA_PEER_LEN	65536u

struct dsa_slot {
	uint64_t id; /* 0: free */
	uint64_t rung;
};

struct dsa_control {
	uint64_t magic;
	uint64_t submitted, random;
	struct dsa_slot slots[DSA_OUTSTANDING];
};

struct dsa {
	struct guest *g;
	size_t device;
	const struct mf_work *work;
	const struct layout_device *l;
	struct dsa_control *c;
	struct dsa_descriptor *descriptors;
	struct dsa_completion *completions;
	uint64_t peer; /* address of a peer's BAR, 0: none */
	uint64_t start, done; /* the rate, of this run */
	uint64_t begun[DSA_OUTSTANDING]; /* when asked; 0: not here */
	uint64_t progress; /* when something last completed */
};

/* Ring and reap what is outstanding; true if something completed. */
static bool reap(struct dsa *d)
{
	bool any = false;

	for (unsigned int i = 0; i < d->work->depth; i++) {
		struct dsa_slot *s = &d->c->slots[i];

		if (!s->id)
			continue;
		if (!s->rung &&
		    !guest_write64(d->g, d->device, DSA_REG_DOORBELL,
				   d->l->descriptors.iova +
					   i * sizeof(*d->descriptors)))
			guest_store(&s->rung, 1);
		if (guest_load(&d->completions[i].id) != s->id)
			continue;
		if (guest_load(&d->completions[i].status) == DSA_STATUS_OK) {
			uint64_t now = guest_now();

			stamps_add(&d->g->stamps[d->device], now,
				   d->begun[i] ? now - d->begun[i] : 0);
		}
		d->begun[i] = 0;
		guest_store(&s->id, 0);
		guest_store(&s->rung, 0);
		any = true;
	}
	return any;
}

static void describe(struct dsa *d, struct dsa_descriptor *out, uint64_t id,
		     unsigned int slot)
{
	uint64_t size = d->work->request, chunks = d->work->set / size;
	uint64_t place =
		guest_next_place(d->work->pattern, id, chunks, &d->c->random);
	uint64_t from = guest_random(&d->c->random) % chunks;
	bool peer = d->peer && id % DSA_PEER_EVERY == 0;
	bool copy = !peer && id % 2 && from != place;

	guest_store(&out->op, copy ? DSA_OP_COPY : DSA_OP_FILL);
	guest_store(&out->flags, 0);
	guest_store(&out->src, d->l->set.iova + from * size);
	guest_store(&out->dst, peer ? d->peer : d->l->set.iova + place * size);
	guest_store(&out->len, peer ? DSA_PEER_LEN : size);
	guest_store(&out->completion,
		    d->l->completions.iova + slot * sizeof(*d->completions));
	guest_store(&out->pattern, id * 0x9e3779b97f4a7c15ull);
	guest_store(&out->zero, 0);
	guest_store(&out->id, id);
}

/* Starts one request if one is due and there is a free slot. */
static bool submit(struct dsa *d, uint64_t now)
{
	uint64_t per_s = d->work->rate / d->work->request;
	uint64_t due = pace_due_ns(d->start, d->done, per_s ? per_s : 1);

	if (now > due + DSA_CATCH_UP_NS) {
		d->start = now;
		d->done = 0;
	} else if (now < due) {
		return false;
	}
	for (unsigned int i = 0; i < d->work->depth; i++) {
		struct dsa_slot *s = &d->c->slots[i];
		uint64_t id = d->c->submitted + 1;

		if (s->id)
			continue;
		describe(d, &d->descriptors[i], id, i);
		d->begun[i] = now;
		guest_store(&s->rung, 0);
		guest_store(&s->id, id);
		guest_store(&d->c->submitted, id);
		d->done++;
		return true;
	}
	return false;
}

static bool outstanding(const struct dsa *d)
{
	for (unsigned int i = 0; i < d->work->depth; i++)
		if (d->c->slots[i].id)
			return true;
	return false;
}

static void resubmit(struct dsa *d, uint64_t now)
{
	if (guest_enable_device(d->g, d->device))
		return;
	for (unsigned int i = 0; i < d->work->depth; i++)
		guest_store(&d->c->slots[i].rung, 0);
	d->progress = now;
}

static bool setup(struct dsa *d, struct guest_task *t)
{
	const struct machine_file *mf = t->g->m->mf;

	d->g = t->g;
	d->device = t->index;
	d->work = &mf->devices[t->index].work;
	d->l = &t->g->layout->devices[t->index];
	d->c = guest_at(d->g, d->l->control.iova, MF_PAGE);
	d->descriptors = guest_at(d->g, d->l->descriptors.iova, MF_PAGE);
	d->completions = guest_at(d->g, d->l->completions.iova, MF_PAGE);
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (d->work->p2p[0] &&
		    !strcmp(mf->devices[i].name, d->work->p2p))
			d->peer = LAYOUT_PEER_BASE + i * LAYOUT_PEER_STEP;
	return d->work->present;
}

void guest_dsa_run(struct guest_task *t)
{
	struct guest *g = t->g;
	struct dsa d = { 0 };
	bool busy = setup(&d, t);

	while (guest_checkpoint(g)) {
		uint64_t now = guest_now();
		bool any;

		if (guest_load(&d.c->magic) != DSA_CTL_MAGIC) {
			int r = guest_enable_device(g, d.device);

			if (r) {
				guest_refused(t, r);
				guest_sleep_until(g, now + DSA_POLL_NS);
				continue;
			}
			guest_store(&d.c->random, g->m->mf->seed + t->index);
			guest_store(&d.c->magic, DSA_CTL_MAGIC);
		}
		if (!t->booted)
			guest_booted(t);
		if (!busy) {
			guest_sleep_until(g, now + DSA_WATCH_NS);
			continue;
		}
		any = reap(&d);
		if (any || !d.progress || !outstanding(&d))
			d.progress = now;
		else if (now > d.progress + DSA_WATCH_NS)
			resubmit(&d, now);
		any |= submit(&d, now);
		if (!any)
			guest_wait_fd(g, g->m->irqs[d.device],
				      now + DSA_POLL_NS);
	}
}
