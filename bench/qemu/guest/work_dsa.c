/* SPDX-License-Identifier: MIT */
/*
 * The driver for the accelerator, and a program that keeps it busy: as
 * tools/spoor/guest_dsa.c, which says why.
 *
 * Its state is the control page.  A request that does not complete for long is
 * submitted again, if nothing else completes or one that came after it did: the
 * device was reset, or the doorbell was lost.  Doing it twice does no harm.
 */
#include "bench/qemu/guest/work.h"
#include "tools/spoor/pace.h"

#define POLL_NS	    500000ull
#define WATCH_NS    2000000000ull
#define CATCH_UP_NS 50000000ull

struct control {
	uint64_t submitted, random;
	struct {
		uint64_t id; /* 0: free */
		uint64_t rung;
	} slot[DSA_QUEUE];
};
_Static_assert(DSA_QUEUE == WORD_DEPTH_MAX, "a slot for each request");
_Static_assert(sizeof(struct control) <= CTL_DESCRIPTORS, "layout");
_Static_assert(CTL_DESCRIPTORS + DSA_QUEUE * sizeof(struct dsa_descriptor) <=
		       CTL_COMPLETIONS,
	       "layout");
_Static_assert(CTL_COMPLETIONS + DSA_QUEUE * sizeof(struct dsa_completion) <=
		       WORD_CTL_LEN,
	       "layout");

static volatile struct control *control(const struct work *w)
{
	return hw_at((uint32_t)w->word->ctl);
}

static uint32_t descriptor_at(const struct work *w, unsigned int slot)
{
	return (uint32_t)w->word->ctl + CTL_DESCRIPTORS +
	       slot * (uint32_t)sizeof(struct dsa_descriptor);
}

static uint32_t completion_at(const struct work *w, unsigned int slot)
{
	return (uint32_t)w->word->ctl + CTL_COMPLETIONS +
	       slot * (uint32_t)sizeof(struct dsa_completion);
}

/* Rings and reaps what is outstanding; did something complete? */
static bool reap(struct work *w)
{
	volatile struct control *c = control(w);
	bool any = false;

	for (unsigned int i = 0; i < w->word->depth; i++) {
		volatile struct dsa_completion *done =
			hw_at(completion_at(w, i));

		if (!c->slot[i].id)
			continue;
		if (!c->slot[i].rung) {
			hw_write64(w->pci.regs + DSA_REG_DOORBELL,
				   descriptor_at(w, i));
			c->slot[i].rung = 1;
		}
		if (done->id != c->slot[i].id)
			continue;
		if (done->status == DSA_STATUS_OK)
			w->status->done++;
		else
			w->status->errors++;
		if (done->id > w->dsa.newest)
			w->dsa.newest = done->id;
		c->slot[i].id = 0;
		any = true;
	}
	return any;
}

static uint64_t next_place(const struct work *w, uint64_t id, uint64_t *from)
{
	uint64_t chunks = w->word->set / w->word->request;
	uint64_t random = control(w)->random;
	uint64_t place =
		pace_place((unsigned int)w->word->pattern, id, chunks, &random);

	*from = pace_random(&random) % chunks;
	control(w)->random = random;
	return place;
}

static void describe(const struct work *w, unsigned int slot, uint64_t id)
{
	volatile struct dsa_descriptor *out = hw_at(descriptor_at(w, slot));
	uint64_t size = w->word->request, from;
	uint64_t place = next_place(w, id, &from);

	out->op = id % 2 && from != place ? DSA_OP_COPY : DSA_OP_FILL;
	out->flags = 0;
	out->src = w->word->set_base + from * size;
	out->dst = w->word->set_base + place * size;
	out->len = size;
	out->completion = completion_at(w, slot);
	out->pattern = id * 0x9e3779b97f4a7c15ull;
	out->zero = 0;
	out->id = id;
}

/* Begins one request if one is due and a slot is free. */
static bool submit(struct work *w, uint64_t now)
{
	volatile struct control *c = control(w);

	if (pace_next(&w->pace, now, CATCH_UP_NS) > now)
		return false;
	for (unsigned int i = 0; i < w->word->depth; i++) {
		uint64_t id = c->submitted + 1;

		if (c->slot[i].id)
			continue;
		describe(w, i, id);
		c->slot[i].rung = 0;
		c->slot[i].id = id;
		w->dsa.rung[i] = now;
		c->submitted = id;
		w->status->submitted = id;
		w->pace.done++;
		return true;
	}
	return false;
}

/* What is overdue is rung again at the next turn. */
static void resubmit(struct work *w, uint64_t now)
{
	volatile struct control *c = control(w);
	bool stalled = now > w->dsa.progress + WATCH_NS;
	bool any = false;

	for (unsigned int i = 0; i < w->word->depth; i++) {
		if (!c->slot[i].id || now <= w->dsa.rung[i] + WATCH_NS ||
		    (!stalled && c->slot[i].id > w->dsa.newest))
			continue;
		c->slot[i].rung = 0;
		w->dsa.rung[i] = now;
		w->status->errors++;
		any = true;
	}
	if (any)
		pci_set_up(&w->pci, w->index);
}

void dsa_start(struct work *w, uint64_t seed)
{
	w->pci = pci_find((uint32_t)w->word->slot, DSA_MAGIC, true);
	pci_set_up(&w->pci, w->index);
	pace_set(&w->pace, w->word->rate, w->word->request);
	control(w)->random = seed;
}

uint64_t dsa_turn(struct work *w, uint64_t now)
{
	bool any;

	if (!w->word->rate)
		return now + WORK_IDLE_NS;
	any = reap(w);
	if (any)
		w->dsa.progress = now;
	resubmit(w, now);
	any |= submit(w, now);
	return any ? now : now + POLL_NS;
}
