/* SPDX-License-Identifier: MIT */
/* The fake device's DMA log.  Threads: under fake_lock. */
#include "fake_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi_vfio.h"

static uint32_t last_nr;
static uint64_t last_page;

uint32_t fake_log_nr_ranges(void)
{
	return last_nr;
}

uint64_t fake_log_page(void)
{
	return last_page;
}

void fake_log_stop(struct fake_device *d)
{
	free(d->log_ranges);
	free(d->log_dirty);
	d->log_ranges = NULL;
	d->log_dirty = NULL;
	d->nr_log_ranges = 0;
	d->nr_log_dirty = d->room_log_dirty = 0;
	d->logging = false;
}

static void set_bit(uint8_t *bitmap, uint64_t bit)
{
	bitmap[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

static void mark_granule(struct fake_device *d, uint64_t at)
{
	size_t i;

	for (i = d->nr_log_dirty; i-- > 0;)
		if (d->log_dirty[i] == at)
			return;
	if (d->nr_log_dirty == d->room_log_dirty) {
		d->room_log_dirty = 2 * d->room_log_dirty + 64;
		d->log_dirty = realloc(d->log_dirty,
				       d->room_log_dirty * sizeof(uint64_t));
		if (!d->log_dirty)
			abort();
	}
	d->log_dirty[d->nr_log_dirty++] = at;
}

static void log_mark(struct fake_device *d, uint64_t iova, uint64_t len)
{
	uint64_t page = d->log_page, at = iova & ~(page - 1);
	uint64_t n = ((iova + (len - 1)) & ~(page - 1)) - at;

	for (n = n / page + 1; n; n--, at += page) {
		uint32_t i;

		for (i = 0; i < d->nr_log_ranges; i++)
			if (at + (page - 1) >= d->log_ranges[2 * i] &&
			    at <= d->log_ranges[2 * i] +
					    (d->log_ranges[2 * i + 1] - 1))
				break;
		if (i < d->nr_log_ranges)
			mark_granule(d, at);
	}
}

void fake_mark(struct fake_device *d, struct fake_map *m, uint64_t iova,
	       uint64_t len)
{
	uint64_t entry = d->space->huge && d->space->ioas ? fake.entry : 4096;
	uint64_t first = iova & ~(entry - 1);
	uint64_t last = (iova + (len - 1)) | (entry - 1), p;
	size_t i;

	if (d->logging)
		log_mark(d, iova, len);
	/* An entry never reaches past its mapping. */
	if (first < m->iova)
		first = m->iova;
	if (last > m->iova + (m->len - 1))
		last = m->iova + (m->len - 1);
	for (i = 0; i < FAKE_MAX_HWPTS; i++) {
		bool on = d->space->ioas ? d->hwpt == &d->space->hwpts[i] &&
						   d->hwpt->tracking
					 : i == 0 && d->space->tracking;

		for (p = first; on; p += 4096) {
			m->dirty[i][(p - m->iova) / 4096] = 1;
			if (last - p < 4096)
				break;
		}
	}
}

static long log_start(struct fake_device *d, void *data)
{
	struct vfio_device_feature_dma_logging_control *c = data;
	const uint64_t *r = (const uint64_t *)(uintptr_t)c->ranges;
	uint64_t page = c->page_size;
	uint32_t i;

	last_nr = c->num_ranges;
	last_page = c->page_size;
	if (!c->num_ranges)
		return -EINVAL;
	if (c->num_ranges > 256)
		return -E2BIG;
	for (i = 0; i < c->num_ranges; i++) {
		if (!page || (r[2 * i] | r[2 * i + 1]) & (page - 1))
			return -EINVAL;
		if (r[2 * i] + r[2 * i + 1] < r[2 * i])
			return -EOVERFLOW;
		if (i && r[2 * i] < r[2 * i - 2] + r[2 * i - 1])
			return -EINVAL;
	}
	if (d->logging)
		return -EINVAL;
	if (c->num_ranges > fake.log_max_ranges)
		return -E2BIG;
	i = c->num_ranges - 1;
	if (r[2 * i] + (r[2 * i + 1] - 1) > fake.log_last)
		return -EOPNOTSUPP;
	if (page < fake.log_min_page)
		page = fake.log_min_page;
	if (page > fake.log_max_page)
		page = fake.log_max_page;
	d->logging = true;
	d->log_page = page;
	d->nr_log_ranges = c->num_ranges;
	d->log_ranges = malloc(c->num_ranges * 16u);
	if (!d->log_ranges)
		abort();
	memcpy(d->log_ranges, r, c->num_ranges * 16u);
	c->page_size = page;
	return 0;
}

static long log_report(struct fake_device *d, const void *data)
{
	const struct vfio_device_feature_dma_logging_report *r = data;
	uint8_t *bitmap = (uint8_t *)(uintptr_t)r->bitmap;
	uint64_t last = r->iova + (r->length - 1);
	size_t i = 0;

	if (r->page_size < 4096 || r->page_size & (r->page_size - 1))
		return -EINVAL;
	if (r->iova + r->length < r->iova)
		return -EOVERFLOW;
	if (fake.log_no_report)
		return -EOPNOTSUPP;
	if (!d->logging)
		return -EINVAL;
	if (fake.log_quiet_only)
		return -EBUSY;
	while (i < d->nr_log_dirty) {
		uint64_t first = d->log_dirty[i];
		uint64_t end = first + (d->log_page - 1), p;

		if (end < r->iova || first > last) {
			i++;
			continue;
		}
		if (first < r->iova)
			first = r->iova;
		if (end > last)
			end = last;
		for (p = first;; p += 4096) {
			set_bit(bitmap, (p - r->iova) / r->page_size);
			if (end - p < 4096)
				break;
		}
		d->log_dirty[i] = d->log_dirty[--d->nr_log_dirty];
	}
	return 0;
}

long fake_log_feature(struct fake_device *d, uint32_t flags, void *data)
{
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return flags & VFIO_DEVICE_FEATURE_PROBE ? 0
							 : log_start(d, data);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		return log_report(d, data);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		fake_log_stop(d);
		return 0;
	}
	return -ENOTTY;
}
