/* SPDX-License-Identifier: MIT */
/*
 * iommufd's uAPI, as much as spoor uses: Debian 12 has no <linux/iommufd.h>.
 * Every struct begins with its size; layouts are the kernel's ABI and are
 * checked at compile time.
 */
#ifndef SPOOR_BASE_UAPI_IOMMUFD_H
#define SPOOR_BASE_UAPI_IOMMUFD_H

#include <assert.h>
#include <stdint.h>

#include <linux/types.h>
#include <linux/ioctl.h>

#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H /* the kernel's own guard: whoever is first wins */

#define IOMMUFD_TYPE (';')

#define IOMMU_DESTROY		      _IO(IOMMUFD_TYPE, 0x80)
#define IOMMU_IOAS_ALLOC	      _IO(IOMMUFD_TYPE, 0x81)
#define IOMMU_IOAS_ALLOW_IOVAS	      _IO(IOMMUFD_TYPE, 0x82)
#define IOMMU_IOAS_COPY		      _IO(IOMMUFD_TYPE, 0x83)
#define IOMMU_IOAS_IOVA_RANGES	      _IO(IOMMUFD_TYPE, 0x84)
#define IOMMU_IOAS_MAP		      _IO(IOMMUFD_TYPE, 0x85)
#define IOMMU_IOAS_UNMAP	      _IO(IOMMUFD_TYPE, 0x86)
#define IOMMU_OPTION		      _IO(IOMMUFD_TYPE, 0x87)
#define IOMMU_VFIO_IOAS		      _IO(IOMMUFD_TYPE, 0x88)
#define IOMMU_HWPT_ALLOC	      _IO(IOMMUFD_TYPE, 0x89)
#define IOMMU_GET_HW_INFO	      _IO(IOMMUFD_TYPE, 0x8a)
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, 0x8b)
#define IOMMU_HWPT_GET_DIRTY_BITMAP   _IO(IOMMUFD_TYPE, 0x8c)
#define IOMMU_HWPT_INVALIDATE	      _IO(IOMMUFD_TYPE, 0x8d)
#define IOMMU_FAULT_QUEUE_ALLOC	      _IO(IOMMUFD_TYPE, 0x8e)
#define IOMMU_IOAS_MAP_FILE	      _IO(IOMMUFD_TYPE, 0x8f)

struct iommu_destroy {
	__u32 size;
	__u32 id;
};

struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last; /* inclusive */
};

struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};

struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};

#define IOMMU_IOAS_MAP_FIXED_IOVA (1 << 0)
#define IOMMU_IOAS_MAP_WRITEABLE  (1 << 1)
#define IOMMU_IOAS_MAP_READABLE	  (1 << 2)

struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};

struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};

struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

#define IOMMU_OPTION_RLIMIT_MODE 0
#define IOMMU_OPTION_HUGE_PAGES	 1
#define IOMMU_OPTION_OP_SET	 0
#define IOMMU_OPTION_OP_GET	 1

struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};

#define IOMMU_VFIO_IOAS_GET   0
#define IOMMU_VFIO_IOAS_SET   1
#define IOMMU_VFIO_IOAS_CLEAR 2

struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};

#define IOMMU_HWPT_ALLOC_NEST_PARENT	(1 << 0)
#define IOMMU_HWPT_ALLOC_DIRTY_TRACKING (1 << 1)
#define IOMMU_HWPT_FAULT_ID_VALID	(1 << 2)
#define IOMMU_HWPT_DATA_NONE		0

struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

#define IOMMU_HW_INFO_TYPE_NONE	    0
#define IOMMU_HW_CAP_DIRTY_TRACKING (1 << 0)

struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 out_data_type;
	__u8 out_max_pasid_log2; /* 6.16 */
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};

#define IOMMU_HWPT_DIRTY_TRACKING_ENABLE (1 << 0)

struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};

#define IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR (1 << 0)

struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};

struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};

struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};
#endif /* _UAPI_IOMMUFD_H */

static_assert(sizeof(struct iommu_ioas_map) == 40, "ABI");
static_assert(sizeof(struct iommu_ioas_copy) == 40, "ABI");
static_assert(sizeof(struct iommu_ioas_unmap) == 24, "ABI");
static_assert(sizeof(struct iommu_option) == 24, "ABI");
static_assert(sizeof(struct iommu_hwpt_alloc) == 48, "ABI");
static_assert(sizeof(struct iommu_hw_info) == 40, "ABI");
static_assert(sizeof(struct iommu_hwpt_invalidate) == 32, "ABI");
static_assert(sizeof(struct iommu_hwpt_get_dirty_bitmap) == 48, "ABI");

#endif /* SPOOR_BASE_UAPI_IOMMUFD_H */
