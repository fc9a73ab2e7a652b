/* SPDX-License-Identifier: MIT */
/*
 * The split design, as lean as the funnel is: one call reads one device's
 * tracker and ORs into the caller's bitmap.
 *
 * Invariant: what the tracker forgot is in the caller's bitmap or in the
 * window; a read begins with what an earlier, failed one left there.
 * Threads: one lock for all.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench/kernel/count.h"
#include "bench/kernel/source.h"
#include "base/cleanup.h"

struct split {
	struct source source;
	struct design_info info;
	bool pin;
	struct outlet outlet;
	struct window window;
	uint64_t *words; /* of the window, unless pinned */
	struct split *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct split *splits;

static struct split **find(const char *device)
{
	struct sv_device *dev = sv_device_by_name(device);
	struct split **at = &splits;

	while (*at && (*at)->source.dev != dev)
		at = &(*at)->next;
	return at;
}

static void split_free(struct split *s)
{
	outlet_unpin(&s->outlet);
	free(s->words);
	free(s);
}

/* What is mapped for a device. */
static int device_span(const struct sv_device *dev, struct design_info *info)
{
	SPOOR_LOCKED(&sv_vfio_lock);

	return dev->attachment ? span_of(dev->attachment->list, info) : -ENODEV;
}

int split_start(const char *device, unsigned int flags,
		struct design_info *info)
{
	struct sv_device *dev = sv_device_by_name(device);
	struct split *s;
	int err;

	count_call();
	if (!dev)
		return -ENODEV;
	if (!source_page_sizes(dev))
		return -EOPNOTSUPP;
	SPOOR_LOCKED(&lock);
	if (*find(device))
		return -EBUSY;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->pin = flags & DESIGN_PIN;
	if (!s->pin)
		s->words = calloc(WINDOW_WORDS, sizeof(*s->words));
	err = s->pin || s->words ? info_in(&s->info, info) : -ENOMEM;
	if (!err)
		err = device_span(dev, &s->info);
	if (!err)
		err = source_start_device(&s->source, dev,
					  flags & DESIGN_BORROW, &s->info);
	if (err) {
		split_free(s);
		return err;
	}
	if (sv_copy_out(info, &s->info, sizeof(s->info))) {
		s->source.ops->stop(&s->source);
		split_free(s);
		return -EFAULT;
	}
	s->next = splits;
	splits = s;
	return 0;
}

static int read_windows(struct split *s, uint64_t *user)
{
	uint64_t *pinned = s->outlet.pinned;
	struct window *w = &s->window;
	int ret = 0, err = pinned ? 0 : window_or_out(w, user);

	if (err)
		return err;
	window_clear(w);
	for (uint64_t first = 0; first < s->info.nr_bits;
	     first += WINDOW_BITS) {
		window_at(w, &s->info, first,
			  pinned ? pinned + first / 64 : s->words);
		err = source_read(&s->source, w, true);
		if (!ret)
			ret = err;
		if (pinned)
			w->touched = 0;
		err = window_or_out(w, user);
		if (err)
			return err;
		window_clear(w);
	}
	return ret;
}

int split_read(const char *device, uint64_t *words)
{
	struct split *s;
	int err;

	count_call();
	SPOOR_LOCKED(&lock);
	s = *find(device);
	if (!s)
		return -EINVAL;
	err = s->pin ? outlet_pin(&s->outlet, words, &s->info) : 0;
	return err ? err : read_windows(s, words);
}

int split_stop(const char *device)
{
	struct split **at, *s;
	int err;

	count_call();
	SPOOR_LOCKED(&lock);
	at = find(device);
	s = *at;
	if (!s)
		return -EINVAL;
	*at = s->next;
	err = s->source.ops->stop(&s->source);
	split_free(s);
	return err;
}
