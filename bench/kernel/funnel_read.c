/* SPDX-License-Identifier: MIT */
/*
 * Reading a funnel: window by window, every tracker ORs what it has, then one
 * copy goes to the program.  Devices may go on writing meanwhile.
 *
 * Invariant: what a tracker forgot is in the program's bitmap or in the
 * funnel's words.  Without HOLD those are one window, which the next read
 * begins with; with it they are a bitmap of all, until they are cleared, or the
 * trackers have forgotten nothing.
 */
#include "bench/kernel/funnel.h"

#include <errno.h>

/* Nobody tracks some device: all that is mapped is dirty. */
static void fill_mapped(const struct funnel *f, struct window *w)
{
	const struct sv_area_list *list = &f->container->list;
	uint64_t last = w->iova + ((w->nr_bits << w->shift) - 1);

	for (size_t i = sv_area_index(list, w->iova);
	     i < list->nr && list->areas[i]->iova <= last; i++) {
		const struct sv_area *a = list->areas[i];
		uint64_t from = a->iova > w->iova ? a->iova : w->iova;
		uint64_t to = a->last < last ? a->last : last;

		window_fill(w, (from - w->iova) >> w->shift,
			    ((to - w->iova) >> w->shift) + 1);
	}
}

/* One that fails keeps none of the others from being read; first -errno. */
static int gather(struct funnel *f, struct window *w)
{
	bool forget = f->holds || !(f->flags & DESIGN_HOLD);
	int ret = 0;

	if (f->untracked && !(f->flags & DESIGN_TRACKED_ONLY))
		fill_mapped(f, w);
	for (unsigned int i = 0; i < f->nr_sources; i++) {
		int err = source_read(&f->sources[i], w, forget);

		if (!ret)
			ret = err;
	}
	return ret;
}

/* HOLD: told again until it is cleared. */
static int read_held(struct funnel *f, uint64_t first, uint64_t *user,
		     int *ret_source)
{
	uint32_t *touched = &f->touched[first / WINDOW_BITS];
	struct window *w = &f->window;
	int err;

	window_at(w, &f->info, first,
		  f->holds ? f->words + first / 64 : f->words);
	if (f->holds)
		w->touched = *touched;
	*ret_source = gather(f, w);
	err = window_copy_out(w, user);
	*touched = w->touched;
	if (!f->holds)
		window_clear(w);
	w->touched = 0;
	return err;
}

static int read_once(struct funnel *f, uint64_t first, uint64_t *user,
		     int *ret_source)
{
	uint64_t *pinned = f->outlet.pinned;
	struct window *w = &f->window;
	int err;

	window_at(w, &f->info, first, pinned ? pinned + first / 64 : f->words);
	*ret_source = gather(f, w);
	if (pinned)
		w->touched = 0;
	err = window_copy_out(w, user);
	if (!err)
		window_clear(w);
	return err;
}

static int read_all(struct funnel *f, uint64_t *user)
{
	struct window *w = &f->window;
	int ret = 0, err = 0, source;

	if (f->nr_sources && f->sources[f->nr_sources - 1].container)
		source_pins_populate(f->container);
	if (f->flags & DESIGN_PIN)
		err = outlet_pin(&f->outlet, user, &f->info);
	/* What an earlier read could not bring out. */
	if (!err && w->touched)
		err = window_or_out(w, user);
	if (err)
		return err;
	window_clear(w);
	for (uint64_t first = 0; first < f->info.nr_bits && !err;
	     first += WINDOW_BITS) {
		err = f->flags & DESIGN_HOLD
			      ? read_held(f, first, user, &source)
			      : read_once(f, first, user, &source);
		if (!ret)
			ret = source;
	}
	return err ? err : ret;
}

/* The container's own bitmap is what was told; else the program says. */
static int clear_window(struct funnel *f, uint64_t first, const uint64_t *user)
{
	uint32_t *touched = &f->touched[first / WINDOW_BITS];
	struct window *w = &f->window;
	int err = 0;

	window_at(w, &f->info, first,
		  f->holds ? f->words + first / 64 : f->words);
	w->touched = *touched;
	if (!f->holds) {
		err = window_copy_in(w, user);
		for (unsigned int i = 0; i < f->nr_sources && !err; i++)
			err = f->sources[i].ops->clear(&f->sources[i], w);
	}
	if (!err)
		*touched = 0;
	/* After a failure nothing of the program's may stay for a read. */
	if (!f->holds || !err)
		window_clear(w);
	w->touched = 0;
	return err;
}

static int clear_all(struct funnel *f, const uint64_t *user)
{
	int err = 0;

	if (!(f->flags & DESIGN_HOLD))
		return -EINVAL;
	for (uint64_t first = 0; first < f->info.nr_bits && !err;
	     first += WINDOW_BITS) {
		if (f->touched[first / WINDOW_BITS])
			err = clear_window(f, first, user);
	}
	return err;
}

int funnel_read(int container, uint64_t *words)
{
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	struct funnel *f;
	int err;

	if (!c)
		return -EBADF;
	f = funnel_find(c);
	err = f ? read_all(f, words) : -EINVAL;
	call_end(file);
	return err;
}

int funnel_clear(int container, const uint64_t *words)
{
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	struct funnel *f;
	int err;

	if (!c)
		return -EBADF;
	f = funnel_find(c);
	err = f ? clear_all(f, words) : -EINVAL;
	call_end(file);
	return err;
}
