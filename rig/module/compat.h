/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels: all of it, and only here. Built and run on
 * 6.1 (Debian's) and 6.12; what concerns later ones is from reading.
 */
#ifndef VFIO_EDU_COMPAT_H
#define VFIO_EDU_COMPAT_H

#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/version.h>
#include <linux/vfio_pci_core.h>

/* 6.3: iommu_map() takes allocation flags. */
static inline int edu_iommu_map(struct iommu_domain *domain, u64 iova,
				phys_addr_t phys, size_t size, int prot)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return iommu_map(domain, iova, phys, size, prot, GFP_KERNEL);
#else
	return iommu_map(domain, iova, phys, size, prot);
#endif
}

/* 6.2: the PRE_COPY states, PRECOPY_INFO, and the data size. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define EDU_MIGRATION_FLAGS	(VFIO_MIGRATION_STOP_COPY | \
				 VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)
#define EDU_DATA_SIZE_OP(op)	.migration_get_data_size = (op),
#else
#define EDU_MIGRATION_FLAGS	(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P)
#define EDU_DATA_SIZE_OP(op)

/*
 * States that the core of 6.1 cannot ask for: its arc table ends below them,
 * so the code that handles them is not reached there.
 */
#define VFIO_DEVICE_STATE_PRE_COPY	((enum vfio_device_mig_state)6)
#define VFIO_DEVICE_STATE_PRE_COPY_P2P	((enum vfio_device_mig_state)7)

struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)
#endif

/* 6.2: iommufd. Detaching came with the device files, in 6.6. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define EDU_IOMMUFD_OPS(attach, detach)					\
	.bind_iommufd = vfio_iommufd_physical_bind,			\
	.unbind_iommufd = vfio_iommufd_physical_unbind,			\
	.attach_ioas = IS_ENABLED(CONFIG_IOMMUFD) ? (attach) : NULL,	\
	EDU_DETACH_OP(detach)
#else
#define EDU_IOMMUFD_OPS(attach, detach)
#define vfio_iommufd_physical_attach_ioas(vdev, pt_id)	(-EOPNOTSUPP)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define EDU_DETACH_OP(detach)						\
	.detach_ioas = IS_ENABLED(CONFIG_IOMMUFD) ? (detach) : NULL,
#else
#define EDU_DETACH_OP(detach)
#define vfio_iommufd_physical_detach_ioas(vdev)		do { } while (0)
#endif

/* 6.17: the token check moved into an operation of its own. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define EDU_TOKEN_OP	.match_token_uuid = vfio_pci_core_match_token_uuid,
#else
#define EDU_TOKEN_OP
#endif

/* 6.19: so did VFIO_DEVICE_GET_REGION_INFO. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define EDU_REGION_OP	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
#else
#define EDU_REGION_OP
#endif

/* 6.13: namespaces are strings. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define EDU_IMPORT_IOMMUFD	MODULE_IMPORT_NS("IOMMUFD")
#else
#define EDU_IMPORT_IOMMUFD	MODULE_IMPORT_NS(IOMMUFD)
#endif

#endif
