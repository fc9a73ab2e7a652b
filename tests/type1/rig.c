/* SPDX-License-Identifier: MIT */
/* See rig.h.  Threads: none of its own. */
#include "tests/type1/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/uapi_vfio.h"
#include "models/mdev_regs.h"

const char *const device_names[NR_DEVICES] = {
	"mdev", "late", "once", "once2",   "clean",
	"dsa",	"dsa2", "nic",	"noiommu",
};
uint8_t *guest;

int make_guest(void **state)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	(void)state;
	if (fd < 0 || ftruncate(fd, (off_t)LEN))
		return -1;
	guest = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return guest == MAP_FAILED ? -1 : 0;
}

int free_guest(void **state)
{
	(void)state;
	return munmap(guest, LEN);
}

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

int container(void)
{
	int c = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	assert_true(c >= 0);
	return c;
}

int group_open(unsigned int n)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%u",
		 n == NOIOMMU ? "noiommu-" : "", n);
	return result(open(path, O_RDWR | O_CLOEXEC));
}

int set_container(int g, int c)
{
	return result(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
}

int join(int c, unsigned int n)
{
	int g = group_open(n);

	assert_true(g >= 0);
	assert_int_equal(set_container(g, c), 0);
	return g;
}

int set_iommu(int c, unsigned long type)
{
	return result(ioctl(c, VFIO_SET_IOMMU, type));
}

int device(int g, unsigned int n)
{
	const uint16_t command = 6; /* memory, bus master */
	char address[32];
	int dev;

	snprintf(address, sizeof(address), "0000:%02x:00.0", n + 1);
	dev = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, address);
	assert_true(dev >= 0);
	assert_int_equal(
		pwrite(dev, &command, sizeof(command),
		       ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + 4),
		sizeof(command));
	return dev;
}

int typed(unsigned int n, int *ret_group)
{
	int c = container();

	*ret_group = join(c, n);
	assert_int_equal(set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(map(c, guest, LEN, IOVA), 0);
	return c;
}

void close_all(int n, ...)
{
	va_list fds;

	va_start(fds, n);
	while (n--)
		assert_int_equal(close(va_arg(fds, int)), 0);
	va_end(fds);
}

int map(int c, const void *va, uint64_t len, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = len,
	};

	return result(ioctl(c, VFIO_IOMMU_MAP_DMA, &m));
}

int unmap(int c, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u),
						.iova = iova,
						.size = len };

	return result(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u));
}

int unmap_bitmap(int c, uint64_t iova, uint64_t len, void *bitmap)
{
	struct {
		struct vfio_iommu_type1_dma_unmap u;
		struct vfio_bitmap b;
	} a = {
		.u = { .argsz = sizeof(a),
		       .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		       .iova = iova,
		       .size = len },
		.b = { .pgsize = PAGE,
		       .size = (len / PAGE + 63) / 64 * 8,
		       .data = bitmap },
	};

	return result(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &a));
}

int track(int c, uint32_t flag)
{
	struct vfio_iommu_type1_dirty_bitmap d = { .argsz = sizeof(d),
						   .flags = flag };

	return result(ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &d));
}

int get_bitmap(int c, uint64_t iova, uint64_t len, void *bitmap)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap d;
		struct vfio_iommu_type1_dirty_bitmap_get g;
	} a = {
		.d = { .argsz = sizeof(a),
		       .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP },
		.g = { .iova = iova,
		       .size = len,
		       .bitmap = { .pgsize = PAGE,
				   .size = (len / PAGE + 63) / 64 * 8,
				   .data = bitmap } },
	};

	return result(ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &a));
}

uint64_t dirty(int c)
{
	uint64_t bits = 0x5555555555555555ull; /* overwritten, whatever it is */

	assert_int_equal(get_bitmap(c, IOVA, LEN, &bits), 0);
	return bits;
}

void reg32(int dev, uint64_t offset, uint32_t value)
{
	assert_int_equal(pwrite(dev, &value, sizeof(value), (off_t)offset),
			 sizeof(value));
}

void reg64(int dev, uint64_t offset, uint64_t value)
{
	assert_int_equal(pwrite(dev, &value, sizeof(value), (off_t)offset),
			 sizeof(value));
}

void set_state(int dev, uint32_t state)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_mig_state s;
	} a = {
		.f = { .argsz = sizeof(a),
		       .flags = VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
		.s = { .device_state = state, .data_fd = -1 },
	};

	assert_int_equal(ioctl(dev, VFIO_DEVICE_FEATURE, &a), 0);
}

void mdev_enable(int dev)
{
	reg64(dev, MDEV_REG_READ_BASE, IOVA + 1 * PAGE);
	reg64(dev, MDEV_REG_READ_LEN, PAGE);
	reg64(dev, MDEV_REG_WRITE_BASE, IOVA + 2 * PAGE);
	reg64(dev, MDEV_REG_WRITE_LEN, 2 * PAGE);
	reg64(dev, MDEV_REG_COMPLETION, IOVA + 5 * PAGE);
	reg32(dev, MDEV_REG_ENABLE, 1);
}

void mdev_operate(int dev, uint64_t id)
{
	/* Through memory's own lock: a mark follows its data. */
	const struct timespec tick = { .tv_nsec = 200000 };
	const uint8_t *done =
		guest + 5 * PAGE + offsetof(struct mdev_completion, id);

	reg64(dev, MDEV_REG_DOORBELL, id);
	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n((const uint64_t *)(const void *)done,
				    __ATOMIC_ACQUIRE) == id)
			return;
		nanosleep(&tick, NULL);
	}
	fail_msg("operation %llu is not done", (unsigned long long)id);
}
