/* SPDX-License-Identifier: MIT */
/* Finding, opening, binding, attaching and closing devices. */
#include "harness.h"

static int open_cdev(unsigned int index)
{
	struct sv_file *f;
	int fd;

	assert_int_equal(sv_device_open_cdev(sv_device_by_index(index), &f), 0);
	fd = sv_file_install(f, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

static void release_nothing(struct sv_file *f)
{
	(void)f;
}

/* A file of softvfio's that is no device: the IOMMU side's double takes it. */
static int iommufd(void)
{
	static const struct sv_file_ops ops = { .name = "iommufd",
						.release = release_nothing };
	static int fd = -1;

	if (fd < 0)
		fd = sv_file_install(sv_file_new(&ops, NULL), O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

static int bind_dev(int dev, uint32_t argsz, uint32_t flags, int fd)
{
	struct vfio_device_bind_iommufd b = { argsz, flags, fd, 0xee };
	int r = dev_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &b);

	assert_int_equal(b.out_devid, r ? 0xee : 1);
	return r;
}

static int attach(int dev, uint32_t argsz, uint32_t flags)
{
	uint32_t a[3] = { argsz, flags, 5 };
	int r = dev_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, a);

	assert_int_equal(a[2], r ? 5 : 6);
	return r;
}

static int detach(int dev, uint32_t argsz, uint32_t flags)
{
	uint32_t d[2] = { argsz, flags };

	return dev_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, d);
}

static int info(int dev)
{
	uint32_t i[6] = { 24 };

	return dev_ioctl(dev, VFIO_DEVICE_GET_INFO, i);
}

static void model_that_cannot_be_made_is_named(void **state)
{
	int dev = open_cdev(DEV_P2P);
	unsigned int unbinds = nr_unbinds;

	(void)state;
	fake_fail_create(-EADDRINUSE);
	assert_int_equal(bind_dev(dev, 16, 0, iommufd()), -EADDRINUSE);
	assert_string_equal(last_note, "dev2: cannot be made");
	assert_int_equal(nr_unbinds, unbinds + 1);
	fake_fail_create(0);
	assert_int_equal(bind_dev(dev, 16, 0, iommufd()), 0);
	assert_string_equal(last_note, "made");
	close(dev);
}

static void devices_are_found_by_each_of_their_names(void **state)
{
	struct sv_device *d = sv_device_by_index(2);

	(void)state;
	assert_non_null(d);
	assert_ptr_equal(sv_device_by_address("0000:03:00.0"), d);
	assert_ptr_equal(sv_device_by_name("dev2"), d);
	assert_null(sv_device_by_index(NR_DEVICES));
	assert_null(sv_device_by_address("0000:03:00.0 "));
	assert_null(sv_device_by_name(""));
}

static void before_bind_everything_else_is_refused(void **state)
{
	static const unsigned long calls[] = {
		VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET,
		VFIO_DEVICE_FEATURE,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_GROUP_GET_STATUS,
		0,
	};
	int dev = open_cdev(DEV_ALL), fd;
	struct sv_file *f = sv_file_get(dev);
	uint32_t buf[16] = { 64 };
	off_t off;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		assert_int_equal(dev_ioctl(dev, calls[i], buf), -EINVAL);
		assert_int_equal(dev_ioctl(dev, calls[i], NULL), -EINVAL);
	}
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, NULL),
			 -EFAULT);
	assert_int_equal(dev_pread(dev, buf, 4, 0), -EINVAL);
	assert_int_equal(dev_pread(dev, buf, 0, 0), -EINVAL);
	assert_int_equal(dev_read(dev, buf, 4), -EINVAL);
	assert_int_equal(dev_pwrite(dev, buf, 4, 0), -EINVAL);
	assert_int_equal(sv_device_mmap(f, 4096, 3, 1, 0, &fd, &off), -EINVAL);
	sv_file_put(f);
	close(dev);
}

static void bind_checks_in_order(void **state)
{
	struct vfio_device_bind_iommufd b = { 16, 0, iommufd(), 0 };
	int dev = open_cdev(DEV_ALL), second = open_cdev(DEV_ALL);
	unsigned int unbinds;

	(void)state;
	assert_int_equal(bind_dev(dev, 15, 0, iommufd()), -EINVAL);
	assert_int_equal(bind_dev(dev, 16, 1, iommufd()), -EINVAL);
	assert_int_equal(bind_dev(dev, 16, 0, -1), -EINVAL);
	assert_int_equal(bind_dev(dev, 16, 0, 900), -EBADF);
	fail_bind = -EBUSY;
	assert_int_equal(bind_dev(dev, 16, 0, iommufd()), -EBUSY);
	fail_bind = 0;
	assert_int_equal(info(dev), -EINVAL);
	unbinds = nr_unbinds;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD,
				   read_only(&b, sizeof(b))),
			 -EFAULT);
	assert_int_equal(nr_unbinds, unbinds + 1);
	assert_int_equal(info(dev), -EINVAL);
	assert_int_equal(bind_dev(dev, UINT32_MAX, 0, iommufd()), 0);
	assert_int_equal(info(dev), 0);
	assert_int_equal(bind_dev(dev, 16, 0, iommufd()), -EINVAL);
	assert_int_equal(bind_dev(dev, 12, 0, iommufd()), -EINVAL);
	assert_int_equal(bind_dev(second, 16, 0, 900), -EBADF);
	assert_int_equal(bind_dev(second, 16, 0, second), -EBADFD);
	assert_int_equal(bind_dev(second, 16, 0, iommufd()), -EINVAL);
	assert_int_equal(info(second), -EINVAL);
	close(dev);
	assert_int_equal(bind_dev(second, 16, 0, iommufd()), 0);
	assert_int_equal(info(second), 0);
	close(second);
}

static void attach_and_detach_check_their_frames(void **state)
{
	uint32_t a[3] = { 12, 0, 5 };
	int dev = open_cdev(DEV_ALL);
	struct sv_device *d = sv_device_by_index(DEV_ALL);

	(void)state;
	assert_int_equal(attach(dev, 12, 0), -EINVAL);
	assert_int_equal(bind_dev(dev, 16, 0, iommufd()), 0);
	assert_int_equal(attach(dev, 11, 0), -EINVAL);
	assert_int_equal(attach(dev, 12, 1), -EINVAL);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL),
			 -EFAULT);
	fail_attach = -ENOENT;
	assert_int_equal(attach(dev, 12, 0), -ENOENT);
	fail_attach = 0;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				   read_only(a, sizeof(a))),
			 -EFAULT);
	assert_null(d->attachment);
	assert_int_equal(attach(dev, 64, 0), 0);
	assert_ptr_equal(d->attachment, attachment());
	assert_int_equal(detach(dev, 7, 0), -EINVAL);
	assert_int_equal(detach(dev, 8, 1), -EINVAL);
	assert_ptr_equal(d->attachment, attachment());
	assert_int_equal(detach(dev, 64, 0), 0);
	assert_null(d->attachment);
	assert_int_equal(detach(dev, 8, 0), 0);
	close(dev);
}

static void group_and_cdev_exclude_each_other(void **state)
{
	struct sv_device *d = sv_device_by_index(DEV_ALL);
	int cdev = open_cdev(DEV_ALL), one, two;
	unsigned int unbinds = nr_unbinds;
	struct sv_file *f;

	(void)state;
	nr_group_closes = 0;
	one = open_device(DEV_ALL);
	two = open_device(DEV_ALL);
	assert_int_equal(bind_dev(one, 16, 0, iommufd()), -EINVAL);
	assert_int_equal(attach(one, 12, 0), -ENOTTY);
	assert_int_equal(detach(one, 8, 0), -ENOTTY);
	assert_int_equal(bind_dev(cdev, 16, 0, iommufd()), -EBUSY);
	assert_int_equal(set_state(one, VFIO_DEVICE_STATE_RUNNING_P2P, NULL),
			 0);
	assert_int_equal(get_state(two), VFIO_DEVICE_STATE_RUNNING_P2P);
	close(one);
	assert_int_equal(get_state(two), VFIO_DEVICE_STATE_RUNNING_P2P);
	assert_int_equal(bind_dev(cdev, 16, 0, iommufd()), -EBUSY);
	assert_int_equal(nr_group_closes, 1);
	close(two);
	assert_int_equal(nr_group_closes, 2);
	assert_int_equal(nr_unbinds, unbinds);
	assert_int_equal(bind_dev(cdev, 16, 0, iommufd()), 0);
	assert_int_equal(sv_device_open_group(d, NULL, &f), -EBUSY);
	close(cdev);
	assert_int_equal(nr_unbinds, unbinds + 1);
	assert_int_equal(nr_group_closes, 2);
}

static void closed_device_is_fresh_and_its_counters_stay(void **state)
{
	struct sv_device *d = sv_device_by_index(DEV_ALL);
	int dev = open_device(DEV_ALL);
	struct model_counters before, after;
	struct model *m = sv_model(d);
	unsigned int resets = fake_nr_resets(DEV_ALL);
	uint32_t v = 77;

	(void)state;
	assert_int_equal(dma_write(DEV_ALL, BASE, 8), 0);
	assert_int_equal(dev_pwrite(dev, &v, 4, 0), 4);
	assert_int_equal(set_state(dev, VFIO_DEVICE_STATE_STOP, NULL), 0);
	model_counters(m, &before);
	assert_true(before.dma_writes);
	close(dev);
	assert_int_equal(fake_nr_resets(DEV_ALL), resets + 1);
	assert_int_equal(model_level(m), MODEL_RUNNING);
	model_counters(m, &after);
	assert_int_equal(after.dma_writes, before.dma_writes);
	/* Mastering went with the open. */
	assert_int_equal(dma_write(DEV_ALL, BASE, 8), -EFAULT);
	dev = open_device(DEV_ALL);
	assert_ptr_equal(sv_model(d), m);
	assert_int_equal(get_state(dev), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(dev_pread(dev, &v, 4, 0), 4);
	assert_int_equal(v, 0);
	close(dev);
}

static void dma_needs_mastering_and_attachment(void **state)
{
	struct sv_device *d = sv_device_by_index(DEV_ALL);
	int dev = open_device(DEV_ALL);
	uint16_t off = 2, on = 6;
	uint8_t b = 0;

	(void)state;
	ram.dirty[1] = false;
	assert_int_equal(dma_write(DEV_ALL, BASE + PAGE, 8), 0);
	assert_int_equal(ram.mem[PAGE], 0xa5);
	assert_true(ram.dirty[1]);
	assert_int_equal(dma_write(DEV_ALL, BASE + (PAGES - 1) * PAGE, 8),
			 -EFAULT);
	assert_int_equal(dev_pwrite(dev, &off, 2, CONFIG + 4), 2);
	assert_int_equal(dma_write(DEV_ALL, BASE, 8), -EFAULT);
	assert_int_equal(fake_peek(DEV_ALL, BASE + PAGE, &b, 1), 0);
	assert_int_equal(b, 0xa5);
	assert_int_equal(dev_pwrite(dev, &on, 2, CONFIG + 4), 2);
	sv_device_set_attachment(d, NULL);
	assert_int_equal(dma_write(DEV_ALL, BASE, 8), -EFAULT);
	assert_int_equal(fake_peek(DEV_ALL, BASE, &b, 1), -EFAULT);
	assert_int_equal(fake_pin(DEV_ALL, true), -EFAULT);
	sv_device_set_attachment(d, attachment());
	assert_int_equal(fake_pin(DEV_ALL, true), 0);
	assert_int_equal(ram.pins, 3);
	assert_int_equal(fake_pin(DEV_ALL, false), 0);
	assert_int_equal(ram.pins, 0);
	close(dev);
}

static void dma_reaches_peers_and_a_stopped_one_notes_it(void **state)
{
	int dev = open_device(DEV_ALL), peer = open_device(DEV_PEER);
	struct model *m = sv_model(sv_device_by_index(DEV_PEER));
	struct model_counters before, after;
	uint8_t b;

	(void)state;
	assert_true(fake_is_peer(DEV_ALL, PEER));
	assert_false(fake_is_peer(DEV_ALL, BASE));
	assert_false(fake_is_peer(DEV_ALL, PEER - 1));
	assert_int_equal(dma_write(DEV_ALL, PEER + 8, 4), 0);
	assert_int_equal(dev_pread(peer, &b, 1, REGION(2) + 8), 1);
	assert_int_equal(b, 0xa5);
	assert_int_equal(set_state(peer, VFIO_DEVICE_STATE_STOP, NULL), 0);
	model_counters(m, &before);
	assert_int_equal(dma_write(DEV_ALL, PEER + PAGE, 4), 0);
	model_counters(m, &after);
	assert_int_equal(after.violations, before.violations + 1);
	assert_int_equal(fake_peek(DEV_ALL, PEER + PAGE, &b, 1), 0);
	assert_int_equal(b, 0xa5);
	close(peer);
	close(dev);
}

static void release_group(struct sv_file *f)
{
	(void)f;
}

static int group_fd(unsigned int index)
{
	static const struct sv_file_ops ops = { .name = "group",
						.release = release_group };
	int fd = sv_file_install(sv_file_new(&ops, sv_device_by_index(index)),
				 O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

static void hot_reset_is_of_the_one_device_on_its_bus(void **state)
{
	uint32_t z[5] = { 0 };
	int dev = open_device(DEV_PEER), mdev = open_device(DEV_MDEV);
	int32_t group;

	(void)state;
	z[0] = 11;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, z),
			 -EINVAL);
	z[0] = 19;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, z),
			 -ENOSPC);
	assert_int_equal(z[2], 1);
	assert_int_equal(z[3], 0);
	z[0] = 20;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, z),
			 0);
	assert_int_equal(z[3], DEV_PEER);
	assert_int_equal(z[4], 6 << 16);
	assert_int_equal(set_state(dev, VFIO_DEVICE_STATE_STOP, NULL), 0);
	z[0] = 12;
	z[2] = 0;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, z), -EINVAL);
	/* Its own group is the proof; nothing else is. */
	z[2] = 1;
	memcpy(&z[3], &dev, 4);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, z), -EINVAL);
	z[3] = 999;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, z), -EBADF);
	group = group_fd(DEV_ALL);
	memcpy(&z[3], &group, 4);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, z), -EINVAL);
	close(group);
	assert_int_equal(get_state(dev), VFIO_DEVICE_STATE_STOP);
	group = group_fd(DEV_PEER);
	memcpy(&z[3], &group, 4);
	z[2] = 2;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, z), -EINVAL);
	z[2] = 1;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, z), 0);
	close(group);
	assert_int_equal(get_state(dev), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(dev_ioctl(mdev, VFIO_DEVICE_PCI_HOT_RESET, z),
			 -ENOTTY);
	assert_int_equal(dev_ioctl(mdev, VFIO_DEVICE_RESET, NULL), 0);
	close(mdev);
	close(dev);
}

static void old_kernel_has_no_cdev(void **state)
{
	struct sv_file *f;
	int dev;

	(void)state;
	machine.kernel = SV_KERNEL_6_1;
	assert_int_equal(sv_device_open_cdev(sv_device_by_index(0), &f),
			 -ENOENT);
	dev = open_device(DEV_ALL);
	assert_int_equal(bind_dev(dev, 16, 0, iommufd()), -ENOTTY);
	close(dev);
	machine.kernel = SV_KERNEL_6_12;
	assert_int_equal(
		sv_device_open_cdev(sv_device_by_index(DEV_NOIOMMU), &f),
		-ENOENT);
}

static int no_file_is_left(void **state)
{
	(void)state;
	close(iommufd());
	return open_files();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_that_cannot_be_made_is_named),
		cmocka_unit_test(devices_are_found_by_each_of_their_names),
		cmocka_unit_test(before_bind_everything_else_is_refused),
		cmocka_unit_test(bind_checks_in_order),
		cmocka_unit_test(attach_and_detach_check_their_frames),
		cmocka_unit_test(group_and_cdev_exclude_each_other),
		cmocka_unit_test(closed_device_is_fresh_and_its_counters_stay),
		cmocka_unit_test(dma_needs_mastering_and_attachment),
		cmocka_unit_test(dma_reaches_peers_and_a_stopped_one_notes_it),
		cmocka_unit_test(hot_reset_is_of_the_one_device_on_its_bus),
		cmocka_unit_test(old_kernel_has_no_cdev),
	};

	return cmocka_run_group_tests(tests, NULL, no_file_is_left);
}
