/* SPDX-License-Identifier: MIT */
/*
 * Marks without data, for measurements of bitmaps whose pages would not fit in
 * this machine's memory.  Tests use real DMA.
 */
#include <errno.h>

#include "bench/kernel/designs.h"
#include "bench/kernel/log_words.h"
#include "softvfio/container.h"
#include "softvfio/device_priv.h"

/* As a driver that wrote there on its device's behalf. */
static void mark_run(struct sv_attachment *a, uint64_t iova, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++, iova += SV_PAGE_SIZE) {
		struct sv_area *area = sv_area_find(a->list, iova);

		if (area)
			a->ops->mark(a, area, iova, SV_PAGE_SIZE);
	}
}

int design_mark(const char *device, uint64_t iova, uint64_t nr, uint64_t run,
		uint64_t step)
{
	struct sv_device *dev = sv_device_by_name(device);
	struct model *m = dev ? sv_model(dev) : NULL;
	struct sv_attachment *a = dev ? dev->attachment : NULL;

	if (!m || !a)
		return -ENODEV;
	if (dev->config->model.log.present)
		return log_words_mark(m, iova, nr, run, step);
	pthread_rwlock_rdlock(&a->list->lock);
	for (uint64_t i = 0; i < nr; i++)
		mark_run(a, iova + i * step * SV_PAGE_SIZE, run);
	pthread_rwlock_unlock(&a->list->lock);
	return 0;
}
