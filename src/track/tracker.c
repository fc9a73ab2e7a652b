/* SPDX-License-Identifier: MIT */
/*
 * The life of a tracker: opened by its backend, probed, started, stopped.
 * Reading is in collect.c.
 *
 * Invariant: started means that the source has been started; the lists are
 * empty otherwise.  Threads: one at a time per tracker.
 */
#include "track/tracker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define PAGE	  4096u
/* A probe reads no more than this: enough to see whether reading works. */
#define PROBE_LEN (UINT64_C(64) << 20)

static const char *const kind_names[] = {
	[SPOOR_TRACKER_NONE] = "none",	     [SPOOR_TRACKER_DEVICE] = "device",
	[SPOOR_TRACKER_IOMMU] = "iommu",     [SPOOR_TRACKER_PINNED] = "pinned",
	[SPOOR_TRACKER_PROCESS] = "process", [SPOOR_TRACKER_ALL] = "all",
	[SPOOR_TRACKER_MERGED] = "merged",
};

const char *spoor_tracker_kind_name(enum spoor_tracker_kind kind)
{
	if ((size_t)kind >= sizeof(kind_names) / sizeof(kind_names[0]))
		return "none";
	return kind_names[kind];
}

void spoor_tracker_init(struct spoor_tracker *t,
			const struct spoor_tracker_ops *ops)
{
	*t = (struct spoor_tracker){ .ops = ops };
}

enum spoor_tracker_kind spoor_tracker_kind(const struct spoor_tracker *t)
{
	return t->ops->kind;
}

bool spoor_tracker_covers(const struct spoor_tracker *t,
			  const struct spoor_device *dev)
{
	return t->ops->covers(t, dev);
}

static void forget_lists(struct spoor_tracker *t)
{
	spoor_range_list_clear(&t->tracked);
	spoor_range_list_clear(&t->late);
	spoor_range_list_clear(&t->owed);
	spoor_range_list_clear(&t->known);
	t->owes_all = false;
}

static int check_ranges(const struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr)
{
	const char *kind = kind_names[t->ops->kind];
	size_t i;

	if (t->started)
		return spoor_fail(EBUSY, "%s tracker: started already", kind);
	if (!ranges || !nr)
		return spoor_fail(EINVAL, "%s tracker: no ranges", kind);
	for (i = 0; i < nr; i++) {
		const struct spoor_range *r = &ranges[i];
		const char *why = NULL;

		if (!spoor_range_valid(r))
			why = "is empty or reaches past 2^64";
		else if (!spoor_range_aligned(r, PAGE))
			why = "is not 4 KiB aligned";
		else if (i && ranges[i - 1].iova >= r->iova)
			why = "is out of order";
		else if (i && spoor_range_overlaps(&ranges[i - 1], r))
			why = "overlaps the one before";
		if (why)
			return spoor_fail(EINVAL,
					  "%s tracker: range %zu of %zu, "
					  "0x%llx+0x%llx, %s",
					  kind, i, nr,
					  (unsigned long long)r->iova,
					  (unsigned long long)r->len, why);
	}
	return 0;
}

int spoor_tracker_start(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			uint64_t page_size, uint64_t *ret_page_size)
{
	size_t i;
	int err;

	err = check_ranges(t, ranges, nr_ranges);
	if (err)
		return err;
	if (page_size < PAGE || (page_size & (page_size - 1)))
		return spoor_fail(EINVAL,
				  "%s tracker: page size %llu is no power of "
				  "two of at least 4096",
				  kind_names[t->ops->kind],
				  (unsigned long long)page_size);
	for (i = 0; i < nr_ranges && !err; i++) {
		err = spoor_range_list_add(&t->tracked, &ranges[i]);
		if (!err)
			err = spoor_range_list_add(&t->known, &ranges[i]);
	}
	if (!err)
		err = t->ops->start(t, ranges, nr_ranges, page_size,
				    &t->page_size);
	if (err) {
		forget_lists(t);
		return err;
	}
	t->started = true;
	*ret_page_size = t->page_size;
	return 0;
}

int spoor_tracker_stop(struct spoor_tracker *t)
{
	int err;

	if (!t->started)
		return 0;
	err = t->ops->stop(t);
	t->started = false;
	forget_lists(t);
	return err;
}

/* Start as the user would, read a little, stop: the errno of what failed. */
static int try_it(struct spoor_tracker *t, const struct spoor_range *ranges,
		  size_t nr_ranges, struct spoor_tracker_caps *caps)
{
	struct spoor_range some = ranges[0];
	struct spoor_bitmap b;
	uint64_t *words, page_size;
	int err, stopped;

	if (some.len > PROBE_LEN)
		some.len = PROBE_LEN;
	err = spoor_bitmap_init(&b, NULL, &some, 12);
	if (err)
		return err;
	words = calloc(spoor_bitmap_words(b.nr_pages), sizeof(*words));
	if (!words)
		return spoor_fail(ENOMEM, "probe: out of memory");
	b.words = words;
	err = spoor_tracker_start(t, ranges, nr_ranges, PAGE, &page_size);
	if (!err) {
		/* The backend itself: its errno, not what collect makes of
		 * it. */
		err = t->ops->collect(t, &some, &b);
		if (err == -EAGAIN) {
			caps->flags |= SPOOR_TRACKER_QUIET_READ;
			err = 0;
		}
		stopped = spoor_tracker_stop(t);
		if (!err)
			err = stopped;
	}
	free(words);
	return err;
}

int spoor_tracker_probe(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			struct spoor_tracker_caps *ret)
{
	struct spoor_tracker_caps caps = { .kind = t->ops->kind };
	int err;

	err = check_ranges(t, ranges, nr_ranges);
	if (err)
		return err;
	if (t->ops->probe) {
		err = t->ops->probe(t, ranges, nr_ranges, &caps);
	} else {
		t->ops->caps(t, &caps);
		err = try_it(t, ranges, nr_ranges, &caps);
	}
	if (err)
		return err;
	*ret = caps;
	return 0;
}

struct spoor_tracker *spoor_tracker_free(struct spoor_tracker *t)
{
	if (!t)
		return NULL;
	(void)spoor_tracker_stop(t);
	t->ops->free(t);
	return NULL;
}
