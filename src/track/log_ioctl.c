/* SPDX-License-Identifier: MIT */
/* The three features of a device's DMA log; see log_ioctl.h. */
#include "track/log_ioctl.h"

#include <errno.h>

#include "base/error.h"
#include "base/uapi_vfio.h"
#include "device/device_priv.h"

int spoor_log_start(struct spoor_device *dev, const struct spoor_range_list *l,
		    uint64_t *page)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = *page,
		.num_ranges = (uint32_t)l->nr,
		.ranges = (uintptr_t)l->ranges,
	};
	int err;

	/* The uAPI's ranges are ours: an address and a length, 64 bits each. */
	static_assert(sizeof(struct vfio_device_feature_dma_logging_range) ==
			      sizeof(struct spoor_range),
		      "ABI");
	static_assert(offsetof(struct vfio_device_feature_dma_logging_range,
			       length) == offsetof(struct spoor_range, len),
		      "ABI");
	err = spoor_device_feature(
		dev,
		VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		&control, sizeof(control));
	if (!err)
		*page = control.page_size;
	return err;
}

int spoor_log_stop(struct spoor_device *dev)
{
	int err = spoor_device_feature(
		dev,
		VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		NULL, 0);

	if (!err)
		return 0;
	errno = -err;
	return spoor_fail_errno("%s: VFIO_DEVICE_FEATURE(DMA_LOGGING_STOP)",
				dev->name);
}

int spoor_log_report(struct spoor_device *dev, const struct spoor_range *r,
		     unsigned int shift, uint64_t *words)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = r->iova,
		.length = r->len,
		.page_size = UINT64_C(1) << shift,
		.bitmap = (uintptr_t)words,
	};

	return spoor_device_feature(
		dev,
		VFIO_DEVICE_FEATURE_GET |
			VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		&report, sizeof(report));
}
