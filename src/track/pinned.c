/* SPDX-License-Identifier: MIT */
/*
 * Pinned pages of a type1 container: VFIO_IOMMU_DIRTY_PAGES.
 *
 * GET_BITMAP takes whole mappings only, overwrites the words it is given, and
 * where a request begins before a mapping it folds the caller's old bits into
 * the kernel's: so each mapping is read exactly as it was mapped, into a zeroed
 * scratch, and what lies outside the question is spilled.
 *
 * Invariant: the space's tracking flag is ours while started.
 * Threads: one at a time per tracker and space.
 */
#include "track/tracker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_vfio.h"
#include "device/device_priv.h"
#include "iommu/space_priv.h"
#include "track/scratch.h"

struct pinned_tracker {
	struct spoor_tracker t;
	struct spoor_space *space;
	unsigned int shift; /* of the smallest IOMMU page */
	uint64_t max_len; /* bytes of the largest mapping that can be read */
	bool everything; /* probed */
	struct spoor_scratch scratch;
};

static struct pinned_tracker *self(struct spoor_tracker *t)
{
	return (struct pinned_tracker *)t;
}

static void pinned_caps(struct spoor_tracker *t, struct spoor_tracker_caps *ret)
{
	*ret = (struct spoor_tracker_caps){
		.kind = SPOOR_TRACKER_PINNED,
		.page_sizes = UINT64_C(1) << self(t)->shift,
		.flags = self(t)->everything ? SPOOR_TRACKER_EVERYTHING : 0,
	};
}

static bool pinned_covers(const struct spoor_tracker *t,
			  const struct spoor_device *dev)
{
	return dev && dev->space == ((const struct pinned_tracker *)t)->space;
}

static int dirty_pages(struct pinned_tracker *p, uint32_t flag,
		       const char *what)
{
	struct vfio_iommu_type1_dirty_bitmap d = {
		.argsz = sizeof(d),
		.flags = flag,
	};

	if (ioctl(p->space->fd, VFIO_IOMMU_DIRTY_PAGES, &d) < 0)
		return spoor_fail_errno("space %s: VFIO_IOMMU_DIRTY_PAGES(%s)",
					p->space->name, what);
	return 0;
}

static int pinned_start(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			uint64_t page_size, uint64_t *ret_page_size)
{
	struct pinned_tracker *p = self(t);
	const struct spoor_space *s = p->space;
	size_t i;
	int err;

	(void)ranges;
	(void)nr_ranges;
	(void)page_size;
	for (i = 0; i < s->nr_mappings; i++)
		if (s->mappings[i].range.len > p->max_len)
			return spoor_fail(
				EOPNOTSUPP,
				"space %s: the mapping 0x%llx+0x%llx is too "
				"large for type1's dirty bitmap (0x%llx "
				"bytes): map it in parts",
				s->name,
				(unsigned long long)s->mappings[i].range.iova,
				(unsigned long long)s->mappings[i].range.len,
				(unsigned long long)p->max_len);
	/* Two readers would take each other's bits. */
	if (s->tracking)
		return spoor_fail(EBUSY,
				  "space %s: another tracker reads its pages",
				  s->name);
	err = dirty_pages(p, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, "START");
	if (err)
		return err;
	p->space->tracking = true;
	*ret_page_size = UINT64_C(1) << p->shift;
	return 0;
}

/* Read a whole mapping into the scratch. */
static int read_mapping(struct pinned_tracker *p, const struct spoor_range *m,
			struct spoor_bitmap *ret)
{
	/* The header, then GET_BITMAP's part as its flexible data. */
	uint64_t buf[1 + sizeof(struct vfio_iommu_type1_dirty_bitmap_get) / 8];
	struct vfio_iommu_type1_dirty_bitmap *d = (void *)buf;
	struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = m->iova,
		.size = m->len,
		.bitmap.pgsize = UINT64_C(1) << p->shift,
	};
	struct spoor_bitmap got;
	int err;

	static_assert(sizeof(*d) == 8 && sizeof(get) == 40, "ABI");
	err = spoor_scratch_bitmap(&p->scratch, &got, m, p->shift);
	if (err)
		return err;
	get.bitmap.size = spoor_bitmap_words(got.nr_pages) * 8;
	get.bitmap.data = (void *)got.words;
	d->argsz = sizeof(buf);
	d->flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	memcpy(d->data, &get, sizeof(get));
	if (ioctl(p->space->fd, VFIO_IOMMU_DIRTY_PAGES, d) < 0)
		return spoor_fail_errno(
			"space %s: VFIO_IOMMU_DIRTY_PAGES(GET_BITMAP) of "
			"0x%llx+0x%llx, page size %llu",
			p->space->name, (unsigned long long)m->iova,
			(unsigned long long)m->len,
			(unsigned long long)get.bitmap.pgsize);
	spoor_scratch_trim(&got);
	*ret = got;
	return 0;
}

static int pinned_collect(struct spoor_tracker *t,
			  const struct spoor_range *range,
			  struct spoor_bitmap *into)
{
	struct pinned_tracker *p = self(t);
	const struct spoor_space *s = p->space;
	struct spoor_bitmap got;
	size_t i;

	for (i = spoor_space_find_mapping(s, range->iova); i < s->nr_mappings;
	     i++) {
		const struct spoor_range *m = &s->mappings[i].range;
		int err;

		if (!spoor_range_overlaps(m, range))
			break;
		err = read_mapping(p, m, &got);
		if (err) {
			/* Whether bits went with it is not known. */
			spoor_tracker_spill(t, m);
			return err;
		}
		spoor_tracker_deliver(t, range, &got, into);
	}
	return 0;
}

static int pinned_stop(struct spoor_tracker *t)
{
	self(t)->space->tracking = false;
	return dirty_pages(self(t), VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, "STOP");
}

static void pinned_free(struct spoor_tracker *t)
{
	spoor_scratch_release(&self(t)->scratch);
	free(t);
}

/*
 * No uAPI tells the scope: started just now, and everything is dirty already,
 * means that some group lacks pinned-page scope.
 */
static int pinned_probe(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			struct spoor_tracker_caps *ret)
{
	struct pinned_tracker *p = self(t);
	const struct spoor_space *s = p->space;
	struct spoor_bitmap got = { 0 };
	uint64_t page_size, pages = 0, dirty = 0;
	int err, stopped;
	size_t i;

	err = spoor_tracker_start(t, ranges, nr_ranges, 4096, &page_size);
	if (err)
		return err;
	/*
	 * One clean page would settle it; but what is left unread is thrown
	 * away by the STOP, and nothing may be that was marked: whoever counts
	 * could not tell a short probe from pages lost.
	 */
	for (i = 0; i < s->nr_mappings && !err; i++) {
		err = read_mapping(p, &s->mappings[i].range, &got);
		if (err)
			break;
		pages += got.nr_pages;
		dirty += spoor_bitmap_count(&got);
	}
	stopped = spoor_tracker_stop(t);
	if (!err)
		err = stopped;
	if (err)
		return err;
	p->everything = pages && dirty == pages;
	pinned_caps(t, ret);
	return 0;
}

static const struct spoor_tracker_ops pinned_ops = {
	.kind = SPOOR_TRACKER_PINNED,
	.follows_map = true,
	.caps = pinned_caps,
	.covers = pinned_covers,
	.start = pinned_start,
	.collect = pinned_collect,
	.stop = pinned_stop,
	.free = pinned_free,
	.probe = pinned_probe,
};

/* The MIGRATION capability of VFIO_IOMMU_GET_INFO: -ENOENT if it is missing. */
static int find_migration_cap(const struct vfio_iommu_type1_info *info,
			      uint32_t len,
			      struct vfio_iommu_type1_info_cap_migration *ret)
{
	uint32_t at = info->cap_offset;

	if (!(info->flags & VFIO_IOMMU_INFO_CAPS))
		return -ENOENT;
	while (at >= sizeof(*info) && at <= len && len - at >= sizeof(*ret)) {
		memcpy(ret, (const char *)info + at, sizeof(*ret));
		if (ret->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION)
			return 0;
		if (ret->header.next <= at)
			break;
		at = ret->header.next;
	}
	return -ENOENT;
}

/* Page size and bitmap limit, as this container has them. */
static int learn_limits(struct pinned_tracker *p)
{
	SPOOR_AUTO_HEAP struct vfio_iommu_type1_info *info = NULL;
	struct vfio_iommu_type1_info_cap_migration cap;
	/* Room for hundreds of IOVA ranges before the capability. */
	const uint32_t len = 16384;
	uint64_t pages;

	info = calloc(1, len);
	if (!info)
		return spoor_fail(ENOMEM, "space %s: tracker: out of memory",
				  p->space->name);
	info->argsz = len;
	if (ioctl(p->space->fd, VFIO_IOMMU_GET_INFO, info) < 0)
		return spoor_fail_errno("space %s: VFIO_IOMMU_GET_INFO",
					p->space->name);
	if (find_migration_cap(info, len, &cap) != 0 || !cap.pgsize_bitmap ||
	    cap.pgsize_bitmap & 4095)
		return spoor_fail(EOPNOTSUPP,
				  "space %s: this kernel's type1 tracks no "
				  "dirty pages (no MIGRATION capability)",
				  p->space->name);
	p->shift = (unsigned int)__builtin_ctzll(cap.pgsize_bitmap);
	pages = cap.max_dirty_bitmap_size < SPOOR_TYPE1_BITMAP_MAX
			? cap.max_dirty_bitmap_size * 8
			: (uint64_t)SPOOR_TYPE1_BITMAP_MAX * 8;
	p->max_len = pages << p->shift;
	return 0;
}

int spoor_tracker_open_pinned(struct spoor_tracker **ret,
			      struct spoor_space *space)
{
	struct pinned_tracker *p;
	int err;

	if (space->opts.backend != SPOOR_SPACE_TYPE1)
		return spoor_fail(
			EOPNOTSUPP,
			"space %s: only a type1 container knows pinned pages",
			space->name);
	if (!space->iommu_set)
		return spoor_fail(EOPNOTSUPP,
				  "space %s: no device is attached yet: its "
				  "container has no IOMMU type",
				  space->name);
	p = calloc(1, sizeof(*p));
	if (!p)
		return spoor_fail(ENOMEM, "space %s: tracker: out of memory",
				  space->name);
	p->space = space;
	err = learn_limits(p);
	if (err) {
		free(p);
		return err;
	}
	spoor_tracker_init(&p->t, &pinned_ops);
	*ret = &p->t;
	return 0;
}
