// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: the log of pages that the device wrote.
 *
 * Only dirty granules are kept, so that the ranges may be as large as they
 * like. A granule is as large as START agreed to. A report that covers only a
 * part of one reports that part; the granule stays dirty until reports have
 * covered all of it, in one piece or in ascending pieces, without a write in
 * between. Forgetting it earlier would lose what it was marked for.
 *
 * Marks come with hw_lock held and take log.lock only. Reports hold
 * report_lock, and set bits in user memory with log.lock released.
 */
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "vfio_edu.h"

static ulong log_page_min = 4096;
module_param(log_page_min, ulong, 0644);
MODULE_PARM_DESC(log_page_min, "smallest page size of the log, a power of two from 4096");

static ulong log_page_max = 1ul << 30;
module_param(log_page_max, ulong, 0644);
MODULE_PARM_DESC(log_page_max, "largest page size of the log, a power of two");

static uint log_max_ranges;
module_param(log_max_ranges, uint, 0644);
MODULE_PARM_DESC(log_max_ranges, "how many ranges the log has: more are merged, nearest first; 0: as many as asked");

static int fail_start;
module_param(fail_start, int, 0644);
MODULE_PARM_DESC(fail_start, "the Nth start of a log from now fails");

static int fail_report;
module_param(fail_report, int, 0644);
MODULE_PARM_DESC(fail_report, "the Nth report from now fails, and what it should have reported is gone");

#define EDU_UNIT_SHIFT	12

void edu_log_init(struct edu_log *log)
{
	mutex_init(&log->report_lock);
	mutex_init(&log->lock);
	xa_init(&log->dirty);
}

static void edu_log_clear(struct edu_log *log)
{
	log->on = false;
	kfree(log->ranges);
	log->ranges = NULL;
	log->nr_ranges = 0;
	xa_destroy(&log->dirty);
}

void edu_log_fini(struct edu_log *log)
{
	edu_log_clear(log);
	mutex_destroy(&log->lock);
	mutex_destroy(&log->report_lock);
}

/* hw_lock held: the device wrote @len bytes at @iova, and they are there. */
void edu_log_mark(struct edu_device *edu, u64 iova, u64 len)
{
	struct edu_log *log = &edu->log;
	u64 first, last;
	unsigned int i;
	ulong granule;
	void *old;

	if (!len)
		return;
	mutex_lock(&log->lock);
	for (i = 0; log->on && i < log->nr_ranges; i++) {
		first = max(iova, log->ranges[i].first);
		last = min(iova + len - 1, log->ranges[i].last);
		if (first > last)
			continue;
		for (granule = first >> log->shift;
		     granule <= last >> log->shift; granule++) {
			/* A mark must not fail: it could not be made good. */
			old = xa_store(&log->dirty, granule, xa_mk_value(0),
				       GFP_KERNEL | __GFP_NOFAIL);
			if (!old)
				edu->stats.marks++;
		}
	}
	mutex_unlock(&log->lock);
}

static void edu_log_settle(struct edu_device *edu)
{
	if (!edu_hw_begin(edu, PCI_COMMAND_MEMORY)) {
		edu_dma_settle(edu);
		edu_hw_end(edu);
	}
}

static u64 edu_log_page_size(u64 asked)
{
	u64 smallest = roundup_pow_of_two(max(READ_ONCE(log_page_min), 4096ul));
	u64 largest = rounddown_pow_of_two(max_t(u64, READ_ONCE(log_page_max),
						 smallest));

	/* In this order: rounding up must not overflow. */
	return roundup_pow_of_two(clamp(asked, smallest, largest));
}

/* Merge the two neighbours with the smallest gap between them. */
static void edu_log_merge(struct edu_range *ranges, unsigned int nr)
{
	u64 gap, smallest = U64_MAX;
	unsigned int i, at = 0;

	for (i = 0; i + 1 < nr; i++) {
		gap = ranges[i + 1].first - ranges[i].last;
		if (gap < smallest) {
			smallest = gap;
			at = i;
		}
	}
	ranges[at].last = ranges[at + 1].last;
	memmove(ranges + at + 1, ranges + at + 2,
		(nr - at - 2) * sizeof(*ranges));
}

static int edu_log_start(struct vfio_device *vdev, struct rb_root_cached *root,
			 u32 nnodes, u64 *page_size)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	unsigned int most = READ_ONCE(log_max_ranges) ?: U32_MAX;
	u64 size = edu_log_page_size(*page_size);
	struct edu_log *log = &edu->log;
	struct interval_tree_node *node;
	struct edu_range *ranges;
	unsigned int nr = 0;
	int ret = 0;

	ranges = kcalloc(nnodes, sizeof(*ranges), GFP_KERNEL);
	if (!ranges)
		return -ENOMEM;
	for (node = interval_tree_iter_first(root, 0, ULONG_MAX);
	     node && nr < nnodes;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		/* a range without length, which the core lets through */
		if (node->last < node->start)
			continue;
		ranges[nr].first = node->start;
		ranges[nr].last = node->last;
		nr++;
	}
	for (; nr > most; nr--)
		edu_log_merge(ranges, nr);

	mutex_lock(&log->report_lock);
	/* What landed before now is not ours to log. */
	edu_log_settle(edu);
	mutex_lock(&log->lock);
	if (log->on) {
		ret = -EINVAL;
	} else if (edu_fail(&fail_start)) {
		ret = -EIO;
	} else {
		log->ranges = ranges;
		log->nr_ranges = nr;
		log->shift = ilog2(size);
		log->on = true;
		ranges = NULL;
		*page_size = size;
	}
	mutex_unlock(&log->lock);
	mutex_unlock(&log->report_lock);
	kfree(ranges);
	return ret;
}

static int edu_log_stop(struct vfio_device *vdev)
{
	struct edu_log *log = &edu_from_vfio(vdev)->log;

	mutex_lock(&log->report_lock);
	mutex_lock(&log->lock);
	edu_log_clear(log);
	mutex_unlock(&log->lock);
	mutex_unlock(&log->report_lock);
	return 0;
}

/*
 * log.lock held: [@first, @last] of the dirty @granule is about to be
 * reported. Clean it, or note how far reports have come.
 */
static void edu_log_take(struct edu_device *edu, ulong granule, void *entry,
			 u64 first, u64 last)
{
	struct edu_log *log = &edu->log;
	u64 start = (u64)granule << log->shift;
	u64 end = start + (1ull << log->shift) - 1;
	u64 told = start + ((u64)xa_to_value(entry) << EDU_UNIT_SHIFT);

	if (first > told)
		return;
	if (last >= end) {
		xa_erase(&log->dirty, granule);
		edu->stats.granules_reported++;
		return;
	}
	/* Whole units only: the rest of one is told with the next. */
	told = max(told, round_down(last + 1, 1ull << EDU_UNIT_SHIFT));
	/* In place of another value: nothing to allocate. */
	xa_store(&log->dirty, granule,
		 xa_mk_value((told - start) >> EDU_UNIT_SHIFT), GFP_KERNEL);
}

static int edu_log_report(struct edu_device *edu, u64 iova, u64 last,
			  struct iova_bitmap *bitmap, bool fail)
{
	struct edu_log *log = &edu->log;
	ulong granule = iova >> log->shift;
	ulong last_granule = last >> log->shift;
	u64 first, end;
	void *entry;

	for (;;) {
		mutex_lock(&log->lock);
		entry = xa_find(&log->dirty, &granule, last_granule,
				XA_PRESENT);
		if (entry) {
			first = max(iova, (u64)granule << log->shift);
			end = min(last, ((u64)granule << log->shift) +
				  (1ull << log->shift) - 1);
			edu_log_take(edu, granule, entry, first, end);
		}
		mutex_unlock(&log->lock);
		if (!entry)
			break;
		/*
		 * A write that lands here marks the granule again, and is
		 * reported the next time: the bit may be set a read too
		 * often, never too seldom.
		 */
		if (!fail)
			iova_bitmap_set(bitmap, first, end - first + 1);
		if (granule++ == last_granule)
			break;
		cond_resched();
	}
	return fail ? -EIO : 0;
}

static int edu_log_read_and_clear(struct vfio_device *vdev, unsigned long iova,
				  unsigned long length,
				  struct iova_bitmap *bitmap)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	struct edu_log *log = &edu->log;
	int ret = -EINVAL;

	mutex_lock(&log->report_lock);
	/* report_lock is enough to read it: START and STOP hold it as well */
	if (log->on) {
		edu_log_settle(edu);
		ret = 0;
		edu->stats.reports++;
		if (length)
			ret = edu_log_report(edu, iova, iova + length - 1,
					     bitmap, edu_fail(&fail_report));
	}
	mutex_unlock(&log->report_lock);
	return ret;
}

const struct vfio_log_ops edu_log_ops = {
	.log_start = edu_log_start,
	.log_stop = edu_log_stop,
	.log_read_and_clear = edu_log_read_and_clear,
};
