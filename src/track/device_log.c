/* SPDX-License-Identifier: MIT */
/*
 * The device's own DMA log: VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _REPORT and
 * _STOP.
 *
 * REPORT promises to OR, and clears by the driver's granule, whatever page size
 * it is asked with.  So what is asked is widened to whole granules, and what
 * that brings beyond the caller's range is spilled.  After a failed REPORT the
 * log is corrupt: nothing more is read from it until it is started again.
 *
 * Invariant: given is what START was given, a superset of what is tracked.
 * Threads: one at a time per tracker.
 */
#include "track/tracker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/uapi_vfio.h"
#include "device/device_priv.h"
#include "track/log_ioctl.h"
#include "track/log_ranges.h"
#include "track/scratch.h"

/* Pages a REPORT: a bitmap of 2 MiB, 64 GiB at 4 KiB. */
#define WINDOW_PAGES_SHIFT 24u
/* The largest granule that the probe looks for. */
#define PROBE_MAX_PAGE	   (UINT64_C(1) << 30)

struct device_tracker {
	struct spoor_tracker t;
	struct spoor_device *dev;
	struct spoor_range_list given;
	struct spoor_scratch scratch;
	uint64_t page_sizes; /* probed, or 0 */
	bool quiet_read; /* probed */
	bool corrupt; /* a REPORT failed */
};

static struct device_tracker *self(struct spoor_tracker *t)
{
	return (struct device_tracker *)t;
}

static void device_caps(struct spoor_tracker *t, struct spoor_tracker_caps *ret)
{
	*ret = (struct spoor_tracker_caps){
		.kind = SPOOR_TRACKER_DEVICE,
		.page_sizes = self(t)->page_sizes,
		.flags = SPOOR_TRACKER_EXACT |
			 (self(t)->quiet_read ? SPOOR_TRACKER_QUIET_READ : 0),
	};
}

static bool device_covers(const struct spoor_tracker *t,
			  const struct spoor_device *dev)
{
	return dev && ((const struct device_tracker *)t)->dev == dev;
}

static int start_failed(const struct spoor_device *dev,
			const struct spoor_range_list *l, uint64_t page,
			int err)
{
	uint64_t first = l->ranges[0].iova;
	uint64_t last = spoor_range_last(&l->ranges[l->nr - 1]);
	const char *why = "";

	/* The core refuses an end of exactly 2^64. */
	if (err == -EOVERFLOW)
		err = -EOPNOTSUPP;
	if (err == -EOPNOTSUPP)
		why = ": the device cannot log an address space this wide or "
		      "this high";
	else if (err == -EINVAL)
		why = ": its log is in use, or its driver refuses this page "
		      "size or these ranges";
	errno = -err;
	return spoor_fail_errno(
		"%s: VFIO_DEVICE_FEATURE(DMA_LOGGING_START) page size %llu, "
		"%zu ranges in [0x%llx, 0x%llx]%s",
		dev->name, (unsigned long long)page, l->nr,
		(unsigned long long)first, (unsigned long long)last, why);
}

static bool maybe_too_many(int err)
{
	return err == -E2BIG || err == -EINVAL || err == -EOPNOTSUPP;
}

/*
 * START with as many ranges as the driver takes.  Each driver has its own
 * limit and its own errno for it, so fewer are tried until one is left.  If
 * that is refused too, the first refusal tells more than the last.
 */
static int start_combining(struct device_tracker *d, struct spoor_range_list *l,
			   uint64_t *page)
{
	uint64_t wish = *page;
	int err, first;

	err = spoor_ranges_combine(l, SPOOR_LOG_MAX_RANGES);
	if (err)
		return err;
	first = err = spoor_log_start(d->dev, l, page);
	while (err && maybe_too_many(err) && l->nr > 1) {
		if (spoor_ranges_combine(l, l->nr / 2) != 0)
			return -ENOMEM;
		*page = wish;
		err = spoor_log_start(d->dev, l, page);
	}
	if (!err)
		return 0;
	return start_failed(d->dev, l, wish, first == -E2BIG ? err : first);
}

static int widen_all(struct device_tracker *d, const struct spoor_range *ranges,
		     size_t nr, uint64_t page, struct spoor_range_list *ret)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		struct spoor_range wide;
		int err;

		if (!spoor_range_widen(&ranges[i], page, &wide))
			return spoor_fail(EOPNOTSUPP,
					  "%s: DMA logging of all 2^64 bytes "
					  "is not possible",
					  d->dev->name);
		err = spoor_range_list_add(ret, &wide);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The core demands ranges aligned to the wanted page size.  If the real one
 * comes out coarser, start again with that wish, so that whole granules lie in
 * the ranges and can be asked for.
 */
static int device_start(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			uint64_t page_size, uint64_t *ret_page_size)
{
	struct device_tracker *d = self(t);
	struct spoor_range_list l = { 0 };
	uint64_t wish = page_size, real;
	int tries, err;

	err = spoor_device_need_fd(d->dev, "DMA logging");
	if (err)
		return err;
	for (tries = 0;; tries++) {
		spoor_range_list_clear(&l);
		err = widen_all(d, ranges, nr_ranges, wish, &l);
		real = wish;
		if (!err)
			err = start_combining(d, &l, &real);
		if (err)
			break;
		if (!real || (real & (real - 1))) {
			(void)spoor_log_stop(d->dev);
			err = spoor_fail(EPROTO,
					 "%s: DMA_LOGGING_START answered page "
					 "size 0x%llx, no power of two",
					 d->dev->name,
					 (unsigned long long)real);
			break;
		}
		if (tries || real <= wish || spoor_ranges_aligned(&l, real))
			break;
		err = spoor_log_stop(d->dev);
		if (err)
			break;
		wish = real;
	}
	if (err) {
		spoor_range_list_clear(&l);
		return err;
	}
	spoor_range_list_clear(&d->given);
	d->given = l;
	d->corrupt = false;
	*ret_page_size = real;
	return 0;
}

static int report_failed(struct device_tracker *d, const struct spoor_range *r,
			 int err)
{
	const char *why = "";

	if (err == -EBUSY)
		return spoor_fail(
			EAGAIN,
			"%s: DMA_LOGGING_REPORT of 0x%llx+0x%llx: the log is "
			"read only while the device is quiet",
			d->dev->name, (unsigned long long)r->iova,
			(unsigned long long)r->len);
	if (err == -EOPNOTSUPP)
		why = ": the kernel takes START but not REPORT: it lacks "
		      "CONFIG_IOMMUFD";
	d->corrupt = true;
	errno = -err;
	return spoor_fail_errno("%s: VFIO_DEVICE_FEATURE(DMA_LOGGING_REPORT) "
				"of 0x%llx+0x%llx%s",
				d->dev->name, (unsigned long long)r->iova,
				(unsigned long long)r->len, why);
}

/* Report @window, whole granules, of which the caller asked for @range. */
static int report_window(struct device_tracker *d,
			 const struct spoor_range *window, unsigned int shift,
			 const struct spoor_range *range,
			 struct spoor_bitmap *into)
{
	struct spoor_bitmap got;
	uint64_t bit = (window->iova - into->base) >> into->page_shift;
	int err;

	/*
	 * Straight into the caller's words where a word begins with the window
	 * and no bit stands for pages outside it.
	 */
	if (spoor_range_inside(window, range) && window->iova >= into->base &&
	    spoor_range_aligned(window, UINT64_C(1) << into->page_shift) &&
	    bit % 64 == 0) {
		spoor_bitmap_touch(into, bit, window->len >> into->page_shift);
		err = spoor_log_report(d->dev, window, into->page_shift,
				       &into->words[bit / 64]);
		return err ? report_failed(d, window, err) : 0;
	}
	err = spoor_scratch_bitmap(&d->scratch, &got, window, shift);
	if (err)
		return err;
	/* If it fails, what lies around the range needs no care: the log is
	 * corrupt from here on, and whoever asks for it finds it dirty. */
	err = spoor_log_report(d->dev, window, shift, got.words);
	if (err)
		return report_failed(d, window, err);
	spoor_scratch_trim(&got);
	spoor_tracker_deliver(&d->t, range, &got, into);
	return 0;
}

/* The range that START was given and that holds @r. */
static const struct spoor_range *given_around(const struct device_tracker *d,
					      const struct spoor_range *r)
{
	size_t i;

	for (i = 0; i < d->given.nr; i++)
		if (spoor_range_inside(r, &d->given.ranges[i]))
			return &d->given.ranges[i];
	return NULL;
}

static unsigned int log2_of(uint64_t power_of_two)
{
	return (unsigned int)__builtin_ctzll(power_of_two);
}

static int device_collect(struct spoor_tracker *t,
			  const struct spoor_range *range,
			  struct spoor_bitmap *into)
{
	struct device_tracker *d = self(t);
	uint64_t granule = t->page_size < 4096 ? 4096 : t->page_size;
	const struct spoor_range *given = given_around(d, range);
	unsigned int shift = log2_of(granule);
	struct spoor_range wide, window;
	uint64_t left, step;

	if (d->corrupt)
		return spoor_fail(
			EIO, "%s: its DMA log failed before: start it again",
			d->dev->name);
	if (!given)
		return spoor_fail(EINVAL, "%s: 0x%llx+0x%llx is not logged",
				  d->dev->name, (unsigned long long)range->iova,
				  (unsigned long long)range->len);
	if (!spoor_range_widen(range, granule, &wide))
		wide = *given;
	(void)spoor_range_intersect(&wide, given, &wide);
	/* A driver that gave no aligned start gets no granules of its own. */
	if (!spoor_range_aligned(&wide, granule))
		shift = 12;
	step = shift + WINDOW_PAGES_SHIFT < 63
		       ? UINT64_C(1) << (shift + WINDOW_PAGES_SHIFT)
		       : UINT64_C(1) << 63;
	window.iova = wide.iova;
	for (left = wide.len; left; left -= window.len) {
		int err;

		window.len = left < step ? left : step;
		err = report_window(d, &window, shift, range, into);
		if (err)
			return err;
		window.iova += window.len;
	}
	return 0;
}

static int device_stop(struct spoor_tracker *t)
{
	spoor_range_list_clear(&self(t)->given);
	return spoor_log_stop(self(t)->dev);
}

static void device_free(struct spoor_tracker *t)
{
	spoor_range_list_clear(&self(t)->given);
	spoor_scratch_release(&self(t)->scratch);
	free(t);
}

/* The page size that comes of a wish for the largest; 0: it takes none. */
static uint64_t probe_largest(struct device_tracker *d,
			      const struct spoor_range *range)
{
	uint64_t page;

	for (page = PROBE_MAX_PAGE; page > 4096; page >>= 6) {
		struct spoor_range_list l = { 0 };
		struct spoor_range one = { .iova = range->iova & ~(page - 1),
					   .len = page };
		uint64_t real = page;
		int err = 0;

		/* The core takes no range that ends at 2^64. */
		if (one.iova + one.len < one.iova || one.iova + one.len == 0)
			continue;
		if (spoor_range_list_add(&l, &one) != 0)
			return 0;
		err = spoor_log_start(d->dev, &l, &real);
		spoor_range_list_clear(&l);
		if (err)
			continue;
		(void)spoor_log_stop(d->dev);
		return real;
	}
	return 0;
}

/* Every power of two from @low to @high, both included. */
static uint64_t sizes_between(uint64_t low, uint64_t high)
{
	uint64_t sizes = 0;

	for (; low && low <= high; low <<= 1)
		sizes |= low;
	return sizes;
}

static int device_probe(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			struct spoor_tracker_caps *ret)
{
	struct device_tracker *d = self(t);
	struct spoor_range some = ranges[0];
	struct spoor_bitmap got;
	uint64_t smallest, largest;
	int err, stopped;

	d->quiet_read = false;
	err = spoor_tracker_start(t, ranges, nr_ranges, 4096, &smallest);
	if (err)
		return err;
	if (some.len > smallest && smallest >= 4096)
		some.len = smallest;
	err = spoor_scratch_bitmap(&d->scratch, &got, &some, 12);
	if (!err)
		err = spoor_log_report(d->dev, &some, 12, got.words);
	if (err == -EBUSY) {
		d->quiet_read = true;
		err = 0;
	} else if (err && err != -ENOMEM) {
		err = report_failed(d, &some, err);
	}
	stopped = spoor_tracker_stop(t);
	if (!err)
		err = stopped;
	if (err)
		return err;
	largest = probe_largest(d, &ranges[0]);
	/* Bit n of the mask is a size of 2^n: the size itself. */
	d->page_sizes = sizes_between(smallest,
				      largest > smallest ? largest : smallest);
	device_caps(t, ret);
	return 0;
}

static const struct spoor_tracker_ops device_ops = {
	.kind = SPOOR_TRACKER_DEVICE,
	.caps = device_caps,
	.covers = device_covers,
	.start = device_start,
	.collect = device_collect,
	.stop = device_stop,
	.free = device_free,
	.probe = device_probe,
};

/* ENOTTY's own text speaks of terminals' ioctls. */
static const char *probe_refusal(int err)
{
	const char *text = strerrordesc_np(-err);

	if (err == -ENOTTY)
		return "no such feature";
	return text ? text : "unknown error";
}

int spoor_tracker_open_device(struct spoor_tracker **ret,
			      struct spoor_device *dev)
{
	struct device_tracker *d;
	int err;

	err = spoor_device_need_fd(dev, "DMA logging");
	if (err)
		return err;
	err = spoor_device_feature(
		dev,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
			VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		NULL, 0);
	if (err)
		return spoor_fail(
			EOPNOTSUPP,
			"%s: its driver logs no DMA (VFIO_DEVICE_FEATURE PROBE "
			"of DMA_LOGGING_START: %s)",
			dev->name, probe_refusal(err));
	d = calloc(1, sizeof(*d));
	if (!d)
		return spoor_fail(ENOMEM, "%s: tracker: out of memory",
				  dev->name);
	spoor_tracker_init(&d->t, &device_ops);
	d->dev = dev;
	*ret = &d->t;
	return 0;
}
