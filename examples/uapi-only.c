/* SPDX-License-Identifier: MIT */
/* Plain ioctls: an accelerator fills memory, its DMA log says which pages.
 * softvfio run examples/uapi-only.json -- uapi-only */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#define DO(call) ((call) < 0 ? err(1, "%s", #call) : (void)0)
#define SET	 (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START)
#define GET	 (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT)

int main(void)
{
	/* Fill 64 KiB at 0x10000; then a completion record at 0x80000. */
	const __u64 fill[8] = { 1, 0, 0x10000, 65536, 0x80000, 0, 1 };
	const __u64 len = 1 << 20, doorbell = 0, master = 6;
	__u64 *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const _Atomic(__u64) *done = (void *)(memory + 0x80000 / 8);
	__u64 dirty[(1 << 20) / 4096 / 64] = { 0 };
	struct vfio_iommu_type1_dma_map map = { sizeof(map),
						3 /* read and write */,
						(uintptr_t)memory, 0, len };
	struct vfio_device_feature_dma_logging_range range = { 0, len };
	struct {
		__u32 argsz, flags;
		struct vfio_device_feature_dma_logging_control c;
	} start = { sizeof(start), SET, { 4096, 1, 0, (uintptr_t)&range } };
	struct {
		__u32 argsz, flags;
		struct vfio_device_feature_dma_logging_report r;
	} report = { sizeof(report), GET, { 0, len, 4096, (uintptr_t)dirty } };
	struct vfio_region_info bar = { .argsz = sizeof(bar) };
	struct vfio_region_info config = {
		.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX
	};
	int container, group, dev;

	DO(container = open("/dev/vfio/vfio", O_RDWR));
	DO(group = open("/dev/vfio/0", O_RDWR));
	DO(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	DO(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	DO(ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	DO(dev = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"));
	DO(ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &bar));
	DO(ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &config));
	DO(ioctl(dev, VFIO_DEVICE_FEATURE, &start));
	memcpy(memory, fill, sizeof(fill)); /* the descriptor, at 0 */
	DO(pwrite(dev, &master, 2, (off_t)config.offset + 4));
	DO(pwrite(dev, &doorbell, 8, (off_t)bar.offset + 8));
	for (int ms = 0; ms < 5000 && !*done; ms++)
		usleep(1000);
	DO(ioctl(dev, VFIO_DEVICE_FEATURE, &report));
	for (unsigned int page = 0; page < len / 4096; page++)
		if (dirty[page / 64] >> page % 64 & 1)
			printf("dirty: 0x%x\n", page * 4096);
	return 0;
}
