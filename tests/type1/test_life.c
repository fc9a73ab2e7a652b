/* SPDX-License-Identifier: MIT */
/* Containers, groups and devices: joining, leaving, closing in any order. */
#include "tests/type1/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/uapi_vfio.h"
#include "softvfio/softvfio.h"

static void device_outlives_container_and_group_descriptors(void **state)
{
	int dev, g, c = typed(DSA, &g);

	(void)state;
	dev = device(g, DSA);
	close_all(2, c, g);
	/* The mappings live as long as the group is in use. */
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "stamp...y", 9), 0);
	assert_int_equal(guest[8], 'y');
	assert_int_equal(group_open(DSA), -EBUSY);
	close_all(1, dev);
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "y", 1), -EFAULT);
	g = group_open(DSA);
	assert_true(g >= 0);
	close_all(1, g);
}

static void mappings_go_with_the_last_group(void **state)
{
	int g2, g, c = typed(DSA, &g);

	(void)state;
	g2 = join(c, DSA2);
	close_all(1, g);
	assert_int_equal(map(c, guest, PAGE, IOVA), -EEXIST);
	close_all(1, g2);
	assert_int_equal(map(c, guest, PAGE, IOVA), -EINVAL);
	g = join(c, DSA);
	assert_int_equal(map(c, guest, PAGE, IOVA), -EINVAL);
	assert_int_equal(set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(map(c, guest, PAGE, IOVA), 0);
	close_all(2, g, c);
}

static void *cancelled_in_every_call(void *arg)
{
	int c = *(int *)arg, g, dev;
	uint32_t magic;

	/* Pending: it strikes at the next call that lets it. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	if (map(c, guest, LEN, IOVA + LEN))
		return NULL;
	g = open("/dev/vfio/5", O_RDWR | O_CLOEXEC);
	if (g < 0 || set_container(g, c))
		return NULL;
	dev = device(g, DSA);
	softvfio_dma_write("dsa", IOVA + LEN, "x", 1);
	if (pread(dev, &magic, 4, 0) != 4 || close(dev) || close(g) ||
	    unmap(c, IOVA + LEN, LEN))
		return NULL;
	pthread_testcancel();
	return NULL;
}

/* ioctl() is no cancellation point, and locks outlive no thread. */
static void a_cancelled_thread_leaves_no_lock_behind(void **state)
{
	int g, c = typed(MDEV, &g);
	pthread_t thread;
	void *ret;

	(void)state;
	pthread_create(&thread, NULL, cancelled_in_every_call, &c);
	pthread_join(thread, &ret);
	assert_ptr_equal(ret, PTHREAD_CANCELED);
	alarm(30);
	assert_int_equal(map(c, guest, LEN, IOVA + LEN), 0);
	/* Nothing of it is left open, either. */
	close_all(1, join(c, DSA));
	alarm(0);
	close_all(2, g, c);
}

static void a_group_in_use_does_not_leave(void **state)
{
	int dev, g, c = typed(DSA, &g);

	(void)state;
	dev = device(g, DSA);
	assert_int_equal(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), -1);
	assert_int_equal(errno, EBUSY);
	close_all(1, dev);
	assert_int_equal(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), 0);
	close_all(2, g, c);
}

static void a_group_left_reaches_memory_no_more(void **state)
{
	int g2, dev, g, c = typed(DSA, &g);

	(void)state;
	dev = device(g, DSA);
	g2 = join(c, DSA2);
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "y", 1), 0);
	close_all(2, dev, g);
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "y", 1), -EFAULT);
	close_all(2, g2, c);
}

/* What an mdev was mapped for need not suit an IOMMU. */
static void a_bad_mapping_keeps_an_iommu_backed_group_out(void **state)
{
	int g2, g, c = typed(MDEV, &g);

	(void)state;
	assert_int_equal(map(c, guest, PAGE, 0xfee00000), 0);
	g2 = group_open(DSA);
	assert_int_equal(set_container(g2, c), -EINVAL);
	assert_int_equal(unmap(c, 0xfee00000, PAGE), 0);
	assert_int_equal(map(c, NULL, PAGE, 0), 0); /* nothing is there */
	assert_int_equal(set_container(g2, c), -EFAULT);
	assert_int_equal(unmap(c, 0, PAGE), 0);
	/* The IOMMU's end is met only when it maps. */
	assert_int_equal(map(c, guest, PAGE, UINT64_C(1) << 48), 0);
	assert_int_equal(set_container(g2, c), -EFAULT);
	assert_int_equal(unmap(c, UINT64_C(1) << 48, PAGE), 0);
	/* And not by what ends at 2^64. */
	assert_int_equal(map(c, guest, PAGE, 0 - PAGE), 0);
	assert_int_equal(set_container(g2, c), 0);
	close_all(3, g2, g, c);
}

/* Nothing without an address can be pinned for a newcomer. */
static void addresses_go_all_or_none_and_keep_groups_out(void **state)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u),
		.flags = VFIO_DMA_UNMAP_FLAG_VADDR,
		.iova = 64 * PAGE,
		.size = PAGE,
	};
	struct vfio_iommu_type1_dma_map back = {
		.argsz = sizeof(back),
		.flags = VFIO_DMA_MAP_FLAG_VADDR,
		.vaddr = (uintptr_t)guest,
		.iova = 64 * PAGE,
		.size = PAGE,
	};
	int g2, g3, g, c = typed(DSA, &g);

	(void)state;
	assert_int_equal(map(c, guest, PAGE, 63 * PAGE), 0);
	assert_int_equal(map(c, guest, PAGE, 64 * PAGE), 0);
	assert_int_equal(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u), 0);
	g2 = group_open(DSA2);
	assert_int_equal(set_container(g2, c), -EBUSY);
	g3 = group_open(MDEV);
	assert_int_equal(set_container(g3, c), -EBUSY);
	u.iova = 63 * PAGE;
	u.size = 2 * PAGE;
	assert_int_equal(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u), -1);
	assert_int_equal(errno, EINVAL);
	/* The first one has its address, so there is none to give. */
	back.iova = 63 * PAGE;
	assert_int_equal(ioctl(c, VFIO_IOMMU_MAP_DMA, &back), -1);
	assert_int_equal(errno, EINVAL);
	back.iova = 64 * PAGE;
	assert_int_equal(ioctl(c, VFIO_IOMMU_MAP_DMA, &back), 0);
	assert_int_equal(set_container(g2, c), 0);
	assert_int_equal(set_container(g3, c), 0);
	close_all(4, g3, g2, g, c);
}

/* The ranges that an IOMMU brought stay told, as everything, without it. */
static void ranges_are_told_once_there_was_an_iommu(void **state)
{
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[512];
	} u;
	const struct vfio_iommu_type1_info_cap_iova_range *cap;
	int g2, g, c = typed(MDEV, &g);

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		memset(&u, 0, sizeof(u));
		u.info.argsz = sizeof(u);
		assert_int_equal(ioctl(c, VFIO_IOMMU_GET_INFO, &u.info), 0);
		assert_int_equal(u.info.cap_offset, 24);
		cap = (const void *)(u.bytes + 24 + 32 + 16);
		if (turn)
			break;
		assert_int_equal(cap->header.id, 0);
		g2 = join(c, DSA);
		close_all(1, g2);
	}
	assert_int_equal(cap->header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	assert_int_equal(cap->nr_iovas, 1);
	assert_int_equal(cap->iova_ranges[0].start, 0);
	assert_int_equal(cap->iova_ranges[0].end, UINT64_MAX);
	close_all(2, g, c);
}

static void set_container_tells_bad_descriptors_apart(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int g = group_open(DSA);

	(void)state;
	assert_int_equal(set_container(g, -1), -EBADF);
	assert_int_equal(set_container(g, 9999), -EBADF);
	assert_int_equal(set_container(g, null), -EBADFD);
	assert_int_equal(set_container(g, g), -EBADFD);
	close_all(2, null, g);
}

static int bind_cdev(int dev, int iommufd)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t out_devid;
	} bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	int r = ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	return r < 0 ? -errno : r;
}

static void cdev_and_group_keep_each_other_out(void **state)
{
	int dev = open("/dev/vfio/devices/vfio5", O_RDWR | O_CLOEXEC);
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int g = group_open(DSA);

	(void)state;
	assert_true(dev >= 0 && iommufd >= 0 && g >= 0);
	assert_int_equal(bind_cdev(dev, iommufd), -EBUSY);
	close_all(1, g);
	/* One that failed leaves no trace. */
	assert_int_equal(bind_cdev(dev, dev), -EBADFD);
	g = group_open(DSA);
	assert_true(g >= 0);
	close_all(1, g);
	assert_int_equal(bind_cdev(dev, iommufd), 0);
	assert_int_equal(bind_cdev(dev, iommufd), -EINVAL);
	assert_int_equal(group_open(DSA), -EBUSY);
	close_all(1, dev);
	g = group_open(DSA);
	assert_true(g >= 0);
	close_all(2, g, iommufd);
}

/* Instead of a container: VFIO's calls on it mean an IOAS of its own. */
static void a_group_may_be_put_into_an_iommufd(void **state)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int g = group_open(DSA), dev;

	(void)state;
	assert_int_equal(set_container(g, iommufd), 0);
	assert_int_equal(set_container(g, iommufd), -EINVAL);
	assert_int_equal(map(iommufd, guest, PAGE, IOVA), 0);
	dev = device(g, DSA);
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "y", 1), 0);
	/* The device keeps what it needs of it, to its own end. */
	assert_int_equal(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), 0);
	assert_int_equal(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), -1);
	assert_int_equal(errno, EINVAL);
	close_all(1, iommufd);
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "z", 1), 0);
	close_all(1, dev);
	assert_int_equal(softvfio_dma_write("dsa", IOVA, "y", 1), -EFAULT);
	close_all(1, g);
}

static int device_named(int g, const char *name)
{
	int fd = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, name);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void device_names_are_matched_as_linux_does(void **state)
{
	char name[4200];
	int g2, g, c = typed(DSA, &g);

	(void)state;
	assert_int_equal(device_named(g, "0000:06:00.0"), 0);
	assert_int_equal(device_named(g, "0000:06:00.0 "), 0);
	assert_int_equal(device_named(g, "0000:06:00.0 a=1"), -EINVAL);
	assert_int_equal(device_named(g, "0000:06:00.01"), -ENODEV);
	assert_int_equal(device_named(g, ""), -ENODEV);
	memset(name, 'a', sizeof(name));
	name[4095] = 0;
	assert_int_equal(device_named(g, name), -ENODEV);
	name[4095] = 'a';
	name[4096] = 0;
	assert_int_equal(device_named(g, name), -EINVAL);
	/* Only PCI's parse what follows. */
	g2 = join(c, MDEV);
	assert_int_equal(device_named(g2, "0000:01:00.0 "), -ENODEV);
	close_all(3, g2, g, c);
}

static void without_iommu_there_is_nothing_to_map_or_track(void **state)
{
	int g2, dev, c = container(), g = join(c, NOIOMMU);

	(void)state;
	assert_int_equal(ioctl(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU), 1);
	assert_int_equal(ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(set_iommu(c, VFIO_TYPE1v2_IOMMU), -ENODEV);
	assert_int_equal(set_iommu(c, VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(map(c, guest, PAGE, IOVA), -ENOTTY);
	assert_int_equal(track(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START), -ENOTTY);
	g2 = group_open(DSA);
	assert_int_equal(set_container(g2, c), -EPERM);
	dev = device(g, NOIOMMU);
	assert_int_equal(softvfio_dma_write("noiommu", IOVA, "y", 1), -EFAULT);
	close_all(4, dev, g2, g, c);
	c = container();
	g = join(c, DSA);
	assert_int_equal(set_iommu(c, VFIO_NOIOMMU_IOMMU), -ENODEV);
	close_all(2, g, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			device_outlives_container_and_group_descriptors),
		cmocka_unit_test(mappings_go_with_the_last_group),
		cmocka_unit_test(a_cancelled_thread_leaves_no_lock_behind),
		cmocka_unit_test(a_group_in_use_does_not_leave),
		cmocka_unit_test(a_group_left_reaches_memory_no_more),
		cmocka_unit_test(a_bad_mapping_keeps_an_iommu_backed_group_out),
		cmocka_unit_test(addresses_go_all_or_none_and_keep_groups_out),
		cmocka_unit_test(ranges_are_told_once_there_was_an_iommu),
		cmocka_unit_test(set_container_tells_bad_descriptors_apart),
		cmocka_unit_test(cdev_and_group_keep_each_other_out),
		cmocka_unit_test(a_group_may_be_put_into_an_iommufd),
		cmocka_unit_test(device_names_are_matched_as_linux_does),
		cmocka_unit_test(
			without_iommu_there_is_nothing_to_map_or_track),
	};

	return cmocka_run_group_tests(tests, make_guest, free_guest);
}
