/* SPDX-License-Identifier: MIT */
/*
 * DMA_LOGGING_START, REPORT and STOP: what Linux's core checks before it asks
 * a driver, and the way of the dirty granules into the program's bitmap.
 *
 * Invariant: what the model has given up is in log.taken until every bit of it
 * is in the program's bitmap.  A REPORT that fails midway loses nothing: the
 * next one sets those bits (again).
 *
 * Threads: all of it under the device's `lock`.  The bitmap is the program's:
 * as with Linux, who else writes to it during a REPORT must expect to lose.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/cpu.h"
#include "softvfio/inject.h"

#define PAGE	  4096u
/* Room for taken granules that is kept between reports. */
#define KEEP_ROOM 4096u

/*
 * The core keeps ranges as [start, last] with last = iova + length - 1, which
 * for empty ranges lies before start, and for [0, 0) wraps to the top.  So an
 * empty range collides only with what has it strictly inside.
 */
static bool collides(const struct model_range *a, uint64_t iova, uint64_t len)
{
	return a->iova <= iova + len - 1 && iova <= a->iova + a->len - 1;
}

static int read_ranges(const struct vfio_device_feature_dma_logging_control *c,
		       struct model_range *ranges)
{
	const void *user = (const void *)(uintptr_t)c->ranges;
	struct vfio_device_feature_dma_logging_range r;
	uint64_t end;
	uint32_t i, j;

	for (i = 0; i < c->num_ranges; i++) {
		if (sv_copy_in(&r, sv_user_at(user, i * sizeof(r)), sizeof(r)))
			return -EFAULT;
		/* A page size of 0 lets only the range [0, 0) pass. */
		if ((r.iova | r.length) & (c->page_size - 1))
			return -EINVAL;
		if (__builtin_add_overflow(r.iova, r.length, &end))
			return -EOVERFLOW;
		for (j = 0; j < i; j++) {
			if (collides(&ranges[j], r.iova, r.length))
				return -EINVAL;
		}
		ranges[i] = (struct model_range){ r.iova, r.length };
	}
	return 0;
}

/* Nothing can be written to an empty range; the model is not told of it. */
static size_t drop_empty(struct model_range *ranges, size_t nr)
{
	size_t i, kept = 0;

	for (i = 0; i < nr; i++) {
		if (ranges[i].len)
			ranges[kept++] = ranges[i];
	}
	return kept;
}

/* The core lets any number pass as a page size; drivers take powers of two. */
static uint64_t round_page_size(uint64_t wish)
{
	if (wish <= PAGE)
		return PAGE;
	if (wish > 1ull << 63)
		return 1ull << 63;
	return 1ull << (64 - __builtin_clzll(wish - 1));
}

static int start(struct sv_device_state *st, const struct model_range *ranges,
		 size_t nr, __u64 *page_size)
{
	struct sv_log *log = &st->log;
	uint64_t real;
	int r;

	if (log->on)
		return -EINVAL;
	if (sv_inject_call(st->dev, SV_CALL_LOG_START))
		return -EIO;
	r = model_log_start(sv_model(st->dev), ranges, nr,
			    round_page_size(*page_size), &real);
	if (r)
		return r;
	log->on = true;
	log->broken = false;
	log->page_size = real;
	*page_size = real;
	return 0;
}

int sv_log_start(struct sv_device_state *st, void *user)
{
	struct model_range ranges[SPOOR_LOG_MAX_RANGES];
	struct vfio_device_feature_dma_logging_control c;
	size_t nr;
	int r;

	if (sv_copy_in(&c, user, sizeof(c)))
		return -EFAULT;
	if (!c.num_ranges)
		return -EINVAL;
	if (c.num_ranges > SPOOR_LOG_MAX_RANGES)
		return -E2BIG;
	r = read_ranges(&c, ranges);
	if (r)
		return r;
	nr = drop_empty(ranges, c.num_ranges);
	{
		SPOOR_LOCKED(&st->lock);

		r = start(st, ranges, nr, &c.page_size);
		if (r)
			return r;
		if (sv_copy_out(user, &c, sizeof(c))) {
			sv_log_off(st);
			return -EFAULT;
		}
	}
	return 0;
}

void sv_log_off(struct sv_device_state *st)
{
	struct sv_log *log = &st->log;

	if (log->on)
		model_log_stop(sv_model(st->dev));
	free(log->taken);
	*log = (struct sv_log){ 0 };
}

int sv_log_stop(struct sv_device_state *st)
{
	SPOOR_LOCKED(&st->lock);

	sv_log_off(st);
	return 0;
}

static int grow(struct sv_log *log)
{
	size_t room = log->room ? log->room * 2 : 256;
	struct sv_log_run *taken;

	taken = realloc(log->taken, room * sizeof(*taken));
	if (!taken)
		return -ENOMEM;
	log->taken = taken;
	log->room = room;
	return 0;
}

/* The model's callback: the granule is clear in the model from here on. */
static int take(void *ctx, uint64_t iova, uint64_t len)
{
	struct sv_log *log = ctx;
	struct sv_log_run *prev = NULL;

	if (!len)
		return 0;
	if (log->nr_taken)
		prev = &log->taken[log->nr_taken - 1];
	if (prev && prev->last + 1 == iova && iova) {
		prev->last = iova + len - 1;
		return 0;
	}
	if (log->nr_taken == log->room && grow(log))
		return -ENOMEM;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): room is 0 then */
	log->taken[log->nr_taken++] = (struct sv_log_run){
		.iova = iova,
		.last = iova + len - 1,
	};
	return 0;
}

/* A window on the program's bitmap, within one page of its memory. */
struct window {
	uintptr_t page;
	size_t first, end; /* bytes of the page that have bits; end 0: none */
	uint8_t bits[PAGE];
};

static int flush(struct window *w)
{
	uint8_t old[PAGE];
	void *user = (void *)(w->page + w->first);
	size_t i, len = w->end - w->first;

	if (!w->end)
		return 0;
	if (sv_copy_in(old, user, len))
		return -EFAULT;
	for (i = 0; i < len; i++)
		old[i] |= w->bits[w->first + i];
	if (sv_copy_out(user, old, len))
		return -EFAULT;
	memset(w->bits + w->first, 0, len);
	w->end = 0;
	return 0;
}

static void set_byte(struct window *w, size_t byte, uint8_t bits)
{
	w->bits[byte] |= bits;
	if (!w->end || byte < w->first)
		w->first = byte;
	if (byte + 1 > w->end)
		w->end = byte + 1;
}

/* Bits @first to @last, of which the byte at @user holds the first eight. */
static int set_bits(struct window *w, uintptr_t user, uint64_t first,
		    uint64_t last)
{
	uint64_t byte;

	for (byte = first / 8; byte <= last / 8; byte++) {
		unsigned int low = byte == first / 8 ? first % 8 : 0;
		unsigned int high = byte == last / 8 ? last % 8 : 7;
		uintptr_t at = user + byte;

		if (w->end && w->page != (at & ~(uintptr_t)(PAGE - 1))) {
			int r = flush(w);

			if (r)
				return r;
		}
		w->page = at & ~(uintptr_t)(PAGE - 1);
		set_byte(w, at % PAGE,
			 (uint8_t)((0xffu << low) & (0xffu >> (7 - high))));
	}
	return 0;
}

/* Set the bits of all that was taken, as far as it is in the range. */
static int
copy_taken(struct sv_log *log,
	   const struct vfio_device_feature_dma_logging_report *report)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(report->page_size);
	uint64_t iova = report->iova, last = iova + (report->length - 1);
	struct window w = { 0 };
	size_t i;
	int r;

	for (i = 0; i < log->nr_taken; i++) {
		const struct sv_log_run *run = &log->taken[i];
		uint64_t low = run->iova > iova ? run->iova : iova;
		uint64_t high = run->last < last ? run->last : last;

		if (low > high)
			continue;
		/* Relative to iova as it is, aligned or not. */
		r = set_bits(&w, report->bitmap, (low - iova) >> shift,
			     (high - iova) >> shift);
		if (r)
			return r;
	}
	return flush(&w);
}

/*
 * Forget what was told, by the granules of the tracker: a granule that reaches
 * out of the range is gone as a whole, as it is from hardware.  What an
 * earlier, failed report had taken elsewhere stays.
 */
static void forget_taken(struct sv_log *log, uint64_t iova, uint64_t last)
{
	size_t i, nr = log->nr_taken, kept = 0, extra = 0;
	struct sv_log_run *taken = log->taken;

	iova &= ~(log->page_size - 1);
	last |= log->page_size - 1;
	for (i = 0; i < nr; i++) {
		struct sv_log_run run = taken[i];
		bool before = run.iova < iova;
		bool after = run.last > last;
		bool outside = run.last < iova || run.iova > last;
		/* No room for two: told again rather than lost. */
		bool full = before && after && nr + extra == log->room;

		if (outside || full) {
			taken[kept++] = run;
		} else {
			if (before && after)
				taken[nr + extra++] =
					(struct sv_log_run){ last + 1,
							     run.last };
			if (before)
				taken[kept++] = (struct sv_log_run){ run.iova,
								     iova - 1 };
			else if (after)
				taken[kept++] = (struct sv_log_run){ last + 1,
								     run.last };
		}
	}
	if (extra)
		memmove(&taken[kept], &taken[nr], extra * sizeof(*taken));
	log->nr_taken = kept + extra;
	if (!log->nr_taken && log->room > KEEP_ROOM) {
		free(log->taken);
		log->taken = NULL;
		log->room = 0;
	}
}

/* The planted bug: bits that are not set are cleared. */
static int wipe(const struct vfio_device_feature_dma_logging_report *rep)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(rep->page_size);
	uint64_t bytes = ((rep->length - 1) >> shift) / 8 + 1, i;
	const uint8_t none = 0;

	for (i = 0; i < bytes; i++) {
		if (sv_copy_out((void *)(uintptr_t)(rep->bitmap + i), &none, 1))
			return -EFAULT;
	}
	return 0;
}

/* 6.1 pins all of the bitmap, whatever is dirty. */
static int
check_bitmap(const struct vfio_device_feature_dma_logging_report *rep)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(rep->page_size);
	uint64_t at = rep->bitmap;
	uint64_t last = at + ((rep->length - 1) >> shift) / 8;
	uint8_t byte;

	if (!sv_kernel_is_6_1())
		return 0;
	for (;; at = (at | (PAGE - 1)) + 1) {
		if (sv_copy_in(&byte, (void *)(uintptr_t)at, 1) ||
		    sv_copy_out((void *)(uintptr_t)at, &byte, 1))
			return -EFAULT;
		if (last < at || last - at < PAGE - at % PAGE)
			return 0;
	}
}

static int report_log(struct sv_device_state *st,
		      const struct vfio_device_feature_dma_logging_report *rep)
{
	struct sv_log *log = &st->log;
	int r;

	if (!log->on)
		return -EINVAL;
	if (log->broken)
		return -EIO;
	if (sv_inject_call(st->dev, SV_CALL_LOG_REPORT)) {
		log->broken = true;
		return -EIO;
	}
	if (!rep->length)
		return 0;
	r = model_log_report(sv_model(st->dev), rep->iova, rep->length, take,
			     log);
	if (r == -ENOMEM)
		/* A granule may be neither here nor there. */
		log->broken = true;
	if (r)
		return r;
	r = 0;
	if (st->dev->config->model.faults & MODEL_FAULT_LOG_OVERWRITES)
		r = wipe(rep);
	if (!r)
		r = copy_taken(log, rep);
	if (!r)
		r = check_bitmap(rep);
	if (r)
		return r;
	forget_taken(log, rep->iova, rep->iova + (rep->length - 1));
	return 0;
}

int sv_log_report(struct sv_device_state *st, void *user)
{
	struct vfio_device_feature_dma_logging_report rep;
	uint64_t end, began = sv_cpu_ns();
	int r;

	if (sv_copy_in(&rep, user, sizeof(rep)))
		return -EFAULT;
	if (rep.page_size < PAGE || (rep.page_size & (rep.page_size - 1)))
		return -EINVAL;
	if (__builtin_add_overflow(rep.iova, rep.length, &end))
		return -EOVERFLOW;
	{
		SPOOR_LOCKED(&st->lock);

		r = report_log(st, &rep);
	}
	st->report_ns += sv_cpu_ns() - began;
	return r;
}
