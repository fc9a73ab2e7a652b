/* SPDX-License-Identifier: MIT */
/*
 * The funnel: which devices a container tracks by what, at which page size.
 *
 * The choice is the kernel's: a device that has a tracker of its own is tracked
 * by that, what tells by its pins by the container, and what does neither makes
 * everything dirty unless TRACKED_ONLY says otherwise.
 */
#include "bench/kernel/funnel.h"

#include <errno.h>
#include <stdlib.h>

#include "base/uapi_vfio.h"

static struct funnel *funnels; /* sv_vfio_lock */

struct funnel *funnel_find(const struct sv_container *c)
{
	struct funnel *f = funnels;

	while (f && f->container != c)
		f = f->next;
	return f;
}

static unsigned int caps_of(const struct sv_group *g)
{
	unsigned int caps = 0;

	if (source_page_sizes(g->dev))
		caps |= FUNNEL_OWN;
	else if (g->pinned_scope)
		caps |= FUNNEL_CONTAINER;
	if (source_can_borrow(g->dev))
		caps |= FUNNEL_STORAGE;
	return caps;
}

int funnel_caps(int container, const char *device, unsigned int *ret)
{
	struct sv_device *dev = sv_device_by_name(device);
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	unsigned int caps;
	int err = -ENODEV;

	if (!c)
		return -EBADF;
	for (const struct sv_group *g = c->groups; g; g = g->next) {
		if (g->dev != dev)
			continue;
		caps = caps_of(g);
		err = sv_copy_out(ret, &caps, sizeof(caps));
	}
	call_end(file);
	return err;
}

/* One page size that all can serve: the finest from the wish on, or else the
 * coarsest. */
static int negotiate(const struct sv_container *c, struct design_info *info)
{
	/* Pins are known by pages, and folded into any larger size. */
	uint64_t sizes = -SV_PAGE_SIZE, larger;

	for (const struct sv_group *g = c->groups; g; g = g->next) {
		if (caps_of(g) & FUNNEL_OWN)
			sizes &= source_page_sizes(g->dev);
	}
	if (!sizes)
		return -EOPNOTSUPP;
	larger = sizes & -info->page_size;
	info->page_size = larger ? larger & -larger
				 : 1ull << (63 - __builtin_clzll(sizes));
	return 0;
}

static int start_sources(struct funnel *f)
{
	bool borrow = f->flags & DESIGN_BORROW, pins = false;
	int err = 0;

	for (struct sv_group *g = f->container->groups; g && !err;
	     g = g->next) {
		unsigned int caps = caps_of(g);

		if (caps & FUNNEL_OWN) {
			err = source_start_device(&f->sources[f->nr_sources],
						  g->dev, borrow, &f->info);
			f->nr_sources += !err;
		} else if (caps & FUNNEL_CONTAINER) {
			pins = true;
		} else {
			f->untracked = true;
		}
	}
	if (err || !pins)
		return err;
	err = source_start_pins(&f->sources[f->nr_sources], f->container);
	f->nr_sources += !err;
	return err;
}

/*
 * HOLD: in the trackers where all can, in a bitmap of the container else; what
 * is not held needs a window, unless trackers reach the program's bitmap.
 */
static int get_memory(struct funnel *f)
{
	uint64_t nr_windows = (f->info.nr_bits + WINDOW_BITS - 1) / WINDOW_BITS;
	bool hold = f->flags & DESIGN_HOLD;

	for (unsigned int i = 0; hold && i < f->nr_sources; i++)
		f->holds |= !f->sources[i].ops->clear;
	if (!hold && f->flags & DESIGN_PIN)
		return 0;
	f->words = calloc(f->holds ? nr_windows : 1,
			  WINDOW_WORDS * sizeof(uint64_t));
	if (hold)
		f->touched = calloc(nr_windows, sizeof(*f->touched));
	return f->words && (f->touched || !hold) ? 0 : -ENOMEM;
}

static int stop(struct funnel *f)
{
	int ret = 0;

	for (unsigned int i = 0; i < f->nr_sources; i++) {
		int err = f->sources[i].ops->stop(&f->sources[i]);

		if (!ret)
			ret = err;
	}
	outlet_unpin(&f->outlet);
	sv_container_put(f->container);
	free(f->sources);
	free(f->words);
	free(f->touched);
	free(f);
	return ret;
}

static int start(struct funnel *f, struct design_info *user)
{
	unsigned int nr = 1; /* the pins */
	int err = info_in(&f->info, user);

	for (const struct sv_group *g = f->container->groups; g; g = g->next)
		nr++;
	f->sources = calloc(nr, sizeof(*f->sources));
	if (!f->sources)
		return -ENOMEM;
	if (!err)
		err = negotiate(f->container, &f->info);
	if (!err)
		err = span_of(&f->container->list, &f->info);
	if (!err)
		err = start_sources(f);
	if (!err)
		err = get_memory(f);
	return err ? err : sv_copy_out(user, &f->info, sizeof(f->info));
}

static int start_locked(struct sv_container *c, unsigned int flags,
			struct design_info *info)
{
	struct funnel *f;
	int err;

	/* What is held is in no bitmap of the program's. */
	if (c->type != VFIO_TYPE1v2_IOMMU ||
	    (flags & DESIGN_HOLD && flags & DESIGN_PIN))
		return -EINVAL;
	if (funnel_find(c) || c->tracking)
		return -EBUSY;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->container = c;
	c->refs++;
	f->flags = flags;
	err = start(f, info);
	if (err) {
		stop(f);
		return err;
	}
	f->next = funnels;
	funnels = f;
	return 0;
}

int funnel_start(int container, unsigned int flags, struct design_info *info)
{
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	int err;

	if (!c)
		return -EBADF;
	err = start_locked(c, flags, info);
	call_end(file);
	return err;
}

int funnel_stop(int container)
{
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	struct funnel **at = &funnels, *f;
	int err = -EINVAL;

	if (!c)
		return -EBADF;
	f = funnel_find(c);
	if (f) {
		while (*at != f)
			at = &(*at)->next;
		*at = f->next;
		err = stop(f);
	}
	call_end(file);
	return err;
}
