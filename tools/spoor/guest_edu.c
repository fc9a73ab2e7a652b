/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for edu, a model or QEMU's own: it writes one page after
 * another from the device's buffer, each with other bytes, and looks whether
 * they are there.
 *
 * The buffer is filled once; write n sends it from an offset that n gives, so
 * a page's content tells which write was the last, and a buffer that got lost
 * on the way shows.  No transfer is of the whole buffer: older QEMUs stop at
 * one.
 *
 * Its state is the control page.  A DMA that was in flight when the guest was
 * paused is waited for afterwards; one that did not come is started again:
 * doing it twice does no harm.
 *
 * Threads: one task.
 */
#include <errno.h>
#include <string.h>

#include "guest.h"
#include "models/edu_regs.h"

#define EDU_CTL_MAGIC	 0x6564752d64727672ull
#define EDU_SHIFTS	 256u /* offsets of 8 bytes each */
#define EDU_WORD	 8u
#define EDU_RETRIES	 3u
#define EDU_IDLE_NS	 1000000000ull
#define EDU_RETRY_NS	 1000000ull
#define EDU_POLL_MIN_NS	 100000ull
#define EDU_POLL_MAX_NS	 5000000ull
#define EDU_FILL_NS	 2000000000ull
#define EDU_CATCH_UP_NS	 100000000ull
/* The device's first word of a page may be its stamp: not the data's. */
#define EDU_CHECKED_FROM EDU_WORD

struct edu_control {
	uint64_t magic;
	uint64_t id; /* the write under way, or done; 0: none yet */
	uint64_t place; /* its page of the set */
	uint64_t rung, done; /* ids */
	uint64_t random;
};

struct edu {
	struct guest *g;
	size_t device;
	const struct layout_device *l;
	const struct mf_work *work;
	struct edu_control *c;
	uint8_t *pattern; /* what the buffer holds, in guest memory */
	uint64_t per_s, start, count; /* the rate, of this run */
	uint64_t rung_ns, took_ns; /* the last doorbell; the last DMA took */
	unsigned int tries;
};

/*
 * Two halves would not do: the upper one is no register.  Where it is 0 one
 * access of 4 bytes sets all.
 */
static int write_reg(struct edu *e, uint64_t reg, uint64_t v)
{
	return v >> 32 ? guest_write64(e->g, e->device, reg, v)
		       : guest_write32(e->g, e->device, reg, (uint32_t)v);
}

static int running(struct edu *e, bool *ret)
{
	uint32_t cmd;
	int r = guest_read32(e->g, e->device, EDU_REG_CMD, &cmd);

	if (!r)
		*ret = cmd & EDU_CMD_RUN;
	return r;
}

static int start_dma(struct edu *e, uint64_t src, uint64_t dst, uint64_t len,
		     uint64_t cmd)
{
	int r = write_reg(e, EDU_REG_SRC, src);

	if (!r)
		r = write_reg(e, EDU_REG_DST, dst);
	if (!r)
		r = write_reg(e, EDU_REG_COUNT, len);
	return r ? r : write_reg(e, EDU_REG_CMD, cmd | EDU_CMD_RUN);
}

/* -ETIMEDOUT: it is still at work; -EAGAIN: the guest is being paused. */
static int await_idle(struct edu *e)
{
	uint64_t until = guest_now() + EDU_FILL_NS;
	bool busy = true;
	int r;

	for (;;) {
		r = running(e, &busy);
		if (r || !busy)
			return r;
		if (guest_now() > until)
			return -ETIMEDOUT;
		if (atomic_load(&e->g->paused) || atomic_load(&e->g->quit))
			return -EAGAIN;
		guest_sleep_until(e->g, guest_now() + EDU_RETRY_NS);
	}
}

/* It is an edu, and alive. */
static int identify(struct edu *e)
{
	uint32_t id = 0, alive = 0, asked = 0x5a17c0deu;
	int r = guest_read32(e->g, e->device, EDU_REG_ID, &id);

	if (!r)
		r = guest_write32(e->g, e->device, EDU_REG_LIVENESS, asked);
	if (!r)
		r = guest_read32(e->g, e->device, EDU_REG_LIVENESS, &alive);
	if (!r && (id != EDU_ID || alive != ~asked))
		r = -ENODEV;
	return r;
}

static int boot(struct edu *e)
{
	uint64_t random = e->g->m->mf->seed + e->device;
	int r = guest_enable_device(e->g, e->device);

	if (!r)
		r = identify(e);
	if (!r)
		r = await_idle(e);
	if (r)
		return r;
	for (size_t i = 0; i < EDU_BUF_LEN; i += EDU_WORD)
		guest_store((uint64_t *)(void *)(e->pattern + i),
			    guest_random(&random));
	r = start_dma(e, e->l->descriptors.iova + EDU_WORD, EDU_BUF + EDU_WORD,
		      EDU_BUF_LEN - EDU_WORD, 0);
	if (!r)
		r = await_idle(e);
	if (r)
		return r;
	guest_store(&e->c->rung, e->c->done);
	guest_store(&e->c->random, random);
	guest_store(&e->c->magic, EDU_CTL_MAGIC);
	e->tries = 0;
	return 0;
}

static uint64_t offset_of(uint64_t id)
{
	return EDU_WORD * (1 + id % EDU_SHIFTS);
}

static bool arrived(struct edu *e)
{
	uint64_t offset = offset_of(e->c->id), len = EDU_BUF_LEN - offset;
	const uint8_t *page =
		guest_at(e->g, e->l->set.iova + e->c->place * MF_PAGE, MF_PAGE);

	return !memcmp(page + EDU_CHECKED_FROM,
		       e->pattern + offset + EDU_CHECKED_FROM,
		       len - EDU_CHECKED_FROM);
}

static int ring(struct edu *e)
{
	uint64_t offset = offset_of(e->c->id);
	int r = start_dma(e, EDU_BUF + offset,
			  e->l->set.iova + e->c->place * MF_PAGE,
			  EDU_BUF_LEN - offset, EDU_CMD_TO_RAM);

	if (r)
		return r;
	guest_store(&e->c->rung, e->c->id);
	e->rung_ns = guest_now();
	e->tries++;
	return 0;
}

static void completed(struct edu *e, uint64_t now)
{
	uint64_t took = e->rung_ns ? now - e->rung_ns : 0;

	if (took)
		e->took_ns = took;
	e->rung_ns = 0;
	e->tries = 0;
	stamps_add(&e->g->stamps[e->device], now, took);
	guest_store(&e->c->done, e->c->id);
}

/* Most of the time that the last one took is slept through. */
static void wait_for_dma(struct edu *e, uint64_t now)
{
	uint64_t poll = e->took_ns / 32;

	if (poll < EDU_POLL_MIN_NS)
		poll = EDU_POLL_MIN_NS;
	if (poll > EDU_POLL_MAX_NS)
		poll = EDU_POLL_MAX_NS;
	if (e->rung_ns && now < e->rung_ns + e->took_ns / 16 * 15)
		poll = e->rung_ns + e->took_ns / 16 * 15 - now;
	guest_sleep_until(e->g, now + poll);
}

/* Moves the write under way on. */
static void step(struct edu *e, uint64_t now)
{
	bool busy;
	int r = running(e, &busy);

	if (!r && busy) {
		wait_for_dma(e, now);
		return;
	}
	if (!r && e->c->rung == e->c->id && arrived(e)) {
		completed(e, guest_now());
		return;
	}
	/* Its buffer is gone, or it is: it was reset. */
	if (!r && e->tries >= EDU_RETRIES)
		r = -EIO;
	if (!r)
		r = ring(e);
	if (r && r != -EAGAIN)
		guest_store(&e->c->magic, 0);
}

/* The next write, if it is due. */
static bool next(struct edu *e, uint64_t now)
{
	uint64_t due = pace_due_ns(e->start, e->count, e->per_s);
	uint64_t n = e->c->id;

	if (now > due + EDU_CATCH_UP_NS) {
		e->start = now;
		e->count = 0;
	} else if (now < due) {
		guest_sleep_until(e->g, due);
		return false;
	}
	guest_store(&e->c->place,
		    guest_next_place(e->work->pattern, n,
				     e->work->set / MF_PAGE, &e->c->random));
	guest_store(&e->c->id, n + 1);
	e->count++;
	return true;
}

static void setup(struct edu *e, struct guest_task *t)
{
	e->g = t->g;
	e->device = t->index;
	e->work = &t->g->m->mf->devices[t->index].work;
	e->l = &t->g->layout->devices[t->index];
	e->c = guest_at(e->g, e->l->control.iova, MF_PAGE);
	e->pattern = guest_at(e->g, e->l->descriptors.iova, MF_PAGE);
	e->per_s = e->work->rate / MF_PAGE ? e->work->rate / MF_PAGE : 1;
}

void guest_edu_run(struct guest_task *t)
{
	struct guest *g = t->g;
	struct edu e = { 0 };

	setup(&e, t);
	while (guest_checkpoint(g)) {
		uint64_t now = guest_now();

		if (guest_load(&e.c->magic) != EDU_CTL_MAGIC) {
			int r = boot(&e);

			if (r) {
				guest_refused(t, r);
				guest_sleep_until(g, now + EDU_RETRY_NS);
				continue;
			}
		}
		if (!t->booted)
			guest_booted(t);
		if (!e.work->present) {
			guest_sleep_until(g, now + EDU_IDLE_NS);
			continue;
		}
		if (e.c->done != e.c->id || next(&e, now))
			step(&e, now);
	}
}
