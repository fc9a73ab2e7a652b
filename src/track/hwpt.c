/* SPDX-License-Identifier: MIT */
/*
 * Dirty bits of an I/O page table: IOMMU_HWPT_SET_DIRTY_TRACKING and
 * _GET_DIRTY_BITMAP.
 *
 * The read answers 0 for almost anything, and stops at the first hole: it is
 * asked mapping by mapping, as the space has them.  It reports and forgets
 * whole I/O page table entries, also where they begin before or end behind what
 * was asked.  An entry never reaches past its mapping; so unless entries are
 * known to be 4 KiB, the whole mapping is read and the rest spilled.
 *
 * Invariant: the page table's tracking flag is ours while started.
 * Threads: one at a time per tracker and space.
 */
#include "track/tracker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/uapi_iommufd.h"
#include "device/device_priv.h"
#include "iommu/space_priv.h"
#include "track/scratch.h"

/* What entries are taken for where the space leaves them to the kernel. */
#define LIKELY_ENTRY (UINT64_C(2) << 20)

struct hwpt_tracker {
	struct spoor_tracker t;
	struct spoor_space *space;
	uint32_t hwpt;
	uint64_t entry; /* bytes; 4096 is certain, more is the usual */
	struct spoor_scratch scratch;
};

static struct hwpt_tracker *self(struct spoor_tracker *t)
{
	return (struct hwpt_tracker *)t;
}

static uint64_t entry_size(const struct spoor_space *s)
{
	uint64_t wish = s->opts.iommu_page;

	/* Switching large entries off leaves entries of the host's pages. */
	if (wish == 4096)
		return (uint64_t)sysconf(_SC_PAGESIZE);
	return wish > 4096 && !(wish & (wish - 1)) ? wish : LIKELY_ENTRY;
}

static void hwpt_caps(struct spoor_tracker *t, struct spoor_tracker_caps *ret)
{
	*ret = (struct spoor_tracker_caps){
		.kind = SPOOR_TRACKER_IOMMU,
		.page_sizes = self(t)->entry,
		.flags = SPOOR_TRACKER_EXACT,
	};
}

static bool hwpt_covers(const struct spoor_tracker *t,
			const struct spoor_device *dev)
{
	const struct hwpt_tracker *h = (const struct hwpt_tracker *)t;

	return dev && dev->space == h->space && dev->pt_id == h->hwpt;
}

static int set_tracking(struct hwpt_tracker *h, bool on)
{
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = h->hwpt,
	};

	if (ioctl(h->space->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &set) < 0)
		return spoor_fail_errno(
			"space %s: IOMMU_HWPT_SET_DIRTY_TRACKING(%s) of HWPT "
			"%u",
			h->space->name, on ? "on" : "off", h->hwpt);
	return 0;
}

/* Enabling clears what was dirty before: the kernel's promise. */
static int hwpt_start(struct spoor_tracker *t, const struct spoor_range *ranges,
		      size_t nr_ranges, uint64_t page_size,
		      uint64_t *ret_page_size)
{
	struct hwpt_tracker *h = self(t);
	struct spoor_space_hwpt *pt = spoor_space_find_hwpt(h->space, h->hwpt);
	int err;

	(void)ranges;
	(void)nr_ranges;
	(void)page_size;
	if (!pt)
		return spoor_fail(EINVAL, "space %s: HWPT %u is gone",
				  h->space->name, h->hwpt);
	/* Two readers would take each other's bits. */
	if (pt->tracking)
		return spoor_fail(EBUSY,
				  "space %s: another tracker reads HWPT %u",
				  h->space->name, h->hwpt);
	err = set_tracking(h, true);
	if (err)
		return err;
	pt->tracking = true;
	*ret_page_size = h->entry;
	return 0;
}

/* @asked lies in one mapping. */
static int read_bits(struct hwpt_tracker *h, const struct spoor_range *asked,
		     const struct spoor_range *range, struct spoor_bitmap *into)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = h->hwpt,
		.iova = asked->iova,
		.length = asked->len,
		.page_size = 4096,
	};
	struct spoor_bitmap got;
	int err;

	err = spoor_scratch_bitmap(&h->scratch, &got, asked, 12);
	if (err)
		return err;
	get.data = (uintptr_t)got.words;
	if (ioctl(h->space->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get) < 0) {
		err = spoor_fail_errno("space %s: IOMMU_HWPT_GET_DIRTY_BITMAP "
				       "of HWPT %u, 0x%llx+0x%llx",
				       h->space->name, h->hwpt,
				       (unsigned long long)asked->iova,
				       (unsigned long long)asked->len);
		/* How far it got is not known. */
		spoor_tracker_spill(&h->t, asked);
		return err;
	}
	spoor_scratch_trim(&got);
	spoor_tracker_deliver(&h->t, range, &got, into);
	return 0;
}

static int hwpt_collect(struct spoor_tracker *t,
			const struct spoor_range *range,
			struct spoor_bitmap *into)
{
	struct hwpt_tracker *h = self(t);
	const struct spoor_space *s = h->space;
	struct spoor_range asked;
	size_t i;

	for (i = spoor_space_find_mapping(s, range->iova); i < s->nr_mappings;
	     i++) {
		int err;

		if (!spoor_range_intersect(&s->mappings[i].range, range,
					   &asked))
			break;
		if (h->entry != 4096)
			asked = s->mappings[i].range;
		err = read_bits(h, &asked, range, into);
		if (err)
			return err;
	}
	return 0;
}

static int hwpt_stop(struct spoor_tracker *t)
{
	struct hwpt_tracker *h = self(t);
	struct spoor_space_hwpt *pt = spoor_space_find_hwpt(h->space, h->hwpt);

	if (pt)
		pt->tracking = false;
	return set_tracking(h, false);
}

static void hwpt_free(struct spoor_tracker *t)
{
	spoor_scratch_release(&self(t)->scratch);
	free(t);
}

static const struct spoor_tracker_ops hwpt_ops = {
	.kind = SPOOR_TRACKER_IOMMU,
	.follows_map = true,
	.caps = hwpt_caps,
	.covers = hwpt_covers,
	.start = hwpt_start,
	.collect = hwpt_collect,
	.stop = hwpt_stop,
	.free = hwpt_free,
};

int spoor_tracker_open_iommu(struct spoor_tracker **ret,
			     struct spoor_space *space,
			     struct spoor_device *dev)
{
	struct hwpt_tracker *h;

	if (dev->space != space)
		return spoor_fail(EINVAL, "%s: not attached to space %s",
				  dev->name, space->name);
	if (space->opts.backend != SPOOR_SPACE_IOMMUFD)
		return spoor_fail(EOPNOTSUPP,
				  "space %s: type1 reads no dirty bits of page "
				  "tables: use an iommufd space",
				  space->name);
	if (!spoor_space_find_hwpt(space, dev->pt_id))
		return spoor_fail(
			EOPNOTSUPP,
			"%s: its page table %u in space %s keeps no dirty "
			"bits: %s",
			dev->name, dev->pt_id, space->name,
			space->opts.dirty_tracking
				? "its IOMMU has none (IOMMU_GET_HW_INFO)"
				: "the space was opened without "
				  "dirty_tracking");
	h = calloc(1, sizeof(*h));
	if (!h)
		return spoor_fail(ENOMEM, "%s: tracker: out of memory",
				  dev->name);
	spoor_tracker_init(&h->t, &hwpt_ops);
	h->space = space;
	h->hwpt = dev->pt_id;
	h->entry = entry_size(space);
	*ret = &h->t;
	return 0;
}
