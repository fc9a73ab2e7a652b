/* SPDX-License-Identifier: MIT */
/*
 * VFIO's uAPI, completed.  Debian 12 ships Linux 6.1's <linux/vfio.h>; what
 * came later and is used here is declared below, each piece behind the macro
 * that the kernel's own header would have brought with it.  Layouts are the
 * kernel's ABI and are checked at compile time.
 */
#ifndef SPOOR_BASE_UAPI_VFIO_H
#define SPOOR_BASE_UAPI_VFIO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/vfio.h>

/* 6.2: PRE_COPY */
#ifndef VFIO_MIG_GET_PRECOPY_INFO
#define VFIO_MIGRATION_PRE_COPY	       (1 << 2)
#define VFIO_DEVICE_STATE_PRE_COPY     6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P 7
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
#endif
static_assert(sizeof(struct vfio_precopy_info) == 24, "ABI");

/* 6.2: estimated size of the STOP_COPY stream */
#ifndef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};
#endif
static_assert(sizeof(struct vfio_device_feature_mig_data_size) == 8, "ABI");

/* 6.6: cdev */
#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#endif
static_assert(sizeof(struct vfio_device_bind_iommufd) == 16, "ABI");
/* Newer headers append a pasid to ATTACH and DETACH; argsz says which. */
#define SPOOR_ATTACH_ARGSZ 12u
#define SPOOR_DETACH_ARGSZ 8u
static_assert(offsetof(struct vfio_device_attach_iommufd_pt, pt_id) == 8,
	      "ABI");

/* 6.6: GET_INFO's bit for "has a cdev-capable reset info path" and caps */
#ifndef VFIO_DEVICE_FLAGS_CAPS
#define VFIO_DEVICE_FLAGS_CAPS (1 << 7)
#endif
/* 6.10 */
#ifndef VFIO_DEVICE_FEATURE_BUS_MASTER
#define VFIO_DEVICE_FEATURE_BUS_MASTER 10
#endif
#ifndef VFIO_UPDATE_VADDR
#define VFIO_UPDATE_VADDR 10
#endif

/* Most ranges that DMA_LOGGING_START takes (LOG_MAX_RANGES in the core). */
#define SPOOR_LOG_MAX_RANGES   256u
/* Largest bitmap type1's DIRTY_PAGES copies out, in bytes. */
#define SPOOR_TYPE1_BITMAP_MAX (256u << 20)

static_assert(sizeof(struct vfio_device_feature_dma_logging_control) == 24,
	      "ABI");
static_assert(sizeof(struct vfio_device_feature_dma_logging_report) == 32,
	      "ABI");
static_assert(sizeof(struct vfio_device_feature_mig_state) == 8, "ABI");

#endif /* SPOOR_BASE_UAPI_VFIO_H */
