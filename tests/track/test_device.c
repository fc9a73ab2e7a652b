/* SPDX-License-Identifier: MIT */
/*
 * A device's states and data session, its regions and interrupts, against a
 * driver of a few lines behind ioctl: a memfd is the device's file, pipes are
 * its sessions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <spoor/device.h>
#include <spoor/error.h>

#include "base/uapi_vfio.h"

static struct {
	int fd; /* the device's file */
	uint32_t state, migration;
	int give_session; /* the next SET returns a new pipe */
	int peer; /* its other end */
	int fail_set; /* errno of the next SET */
	uint32_t state_after_failure;
	uint32_t irq_start, irq_count, irq_flags;
	int32_t irq_fds[8];
} drv;

static struct spoor_device *dev;

static int feature(struct vfio_device_feature *f)
{
	struct vfio_device_feature_mig_state *m = (void *)f->data;
	uint64_t value = drv.migration;
	int fds[2];

	switch (f->flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
		memcpy(f->data, &value, 8);
		return value ? 0 : -ENOTTY;
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		value = 4136;
		memcpy(f->data, &value, 8);
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		break;
	default:
		return -ENOTTY;
	}
	if (f->flags & VFIO_DEVICE_FEATURE_GET) {
		m->device_state = drv.state;
		m->data_fd = -1;
		return 0;
	}
	if (drv.fail_set) {
		drv.state = drv.state_after_failure;
		return -drv.fail_set;
	}
	drv.state = m->device_state;
	m->data_fd = -1;
	if (drv.give_session) {
		if (drv.peer >= 0)
			close(drv.peer);
		if (pipe2(fds, 0) != 0)
			abort();
		/* Resuming writes, saving reads. */
		m->data_fd = fds[drv.state == VFIO_DEVICE_STATE_RESUMING];
		drv.peer = fds[drv.state != VFIO_DEVICE_STATE_RESUMING];
	}
	return 0;
}

static int region_info(struct vfio_region_info *info)
{
	info->size = info->index < 2 ? 8192 : 0;
	info->offset = info->index * 8192;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		      (info->index == 0 ? VFIO_REGION_INFO_FLAG_MMAP : 0);
	return 0;
}

static int set_irqs(const struct vfio_irq_set *set)
{
	drv.irq_start = set->start;
	drv.irq_count = set->count;
	drv.irq_flags = set->flags;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		memcpy(drv.irq_fds, set->data, set->count * 4u);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
	struct vfio_device_info *info;
	struct vfio_irq_info *irq;
	int ret = -ENOTTY;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd != drv.fd)
		return real(fd, request, arg);
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info = arg;
		info->num_regions = 3;
		info->num_irqs = 2;
		info->flags = VFIO_DEVICE_FLAGS_RESET;
		ret = 0;
		break;
	case VFIO_DEVICE_FEATURE:
		ret = feature(arg);
		break;
	case VFIO_DEVICE_GET_REGION_INFO:
		ret = region_info(arg);
		break;
	case VFIO_DEVICE_GET_IRQ_INFO:
		irq = arg;
		irq->count = irq->index == 1 ? 4 : 0;
		irq->flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
		ret = 0;
		break;
	case VFIO_DEVICE_SET_IRQS:
		ret = set_irqs(arg);
		break;
	case VFIO_DEVICE_RESET:
		drv.state = VFIO_DEVICE_STATE_RUNNING;
		ret = 0;
		break;
	}
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

static unsigned int open_fds(void)
{
	unsigned int fd, n = 0;

	for (fd = 0; fd < 100; fd++)
		n += lseek((int)fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
	return n;
}

static int up(void **state)
{
	struct spoor_device_opts opts = { .size = sizeof(opts),
					  .name = "nic0" };

	(void)state;
	memset(&drv, 0, sizeof(drv));
	drv.peer = -1;
	drv.state = VFIO_DEVICE_STATE_RUNNING;
	drv.migration = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | 0x100;
	drv.fd = memfd_create("device", MFD_CLOEXEC);
	assert_true(drv.fd >= 0);
	assert_int_equal(ftruncate(drv.fd, 3 * 8192), 0);
	assert_int_equal(spoor_device_adopt(&dev, drv.fd, &opts), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	dev = spoor_device_free(dev);
	/* Adopted: still the caller's. */
	assert_int_equal(close(drv.fd), 0);
	if (drv.peer >= 0)
		close(drv.peer);
	drv.fd = -1;
	return 0;
}

static void descriptor_is_lent(void **state)
{
	(void)state;
	assert_int_equal(spoor_device_fd(dev), drv.fd);
}

static void adopting_needs_a_name_and_a_device(void **state)
{
	struct spoor_device_opts opts = { .size = sizeof(opts) };
	struct spoor_device *d = (void *)1;
	struct spoor_device_info info;

	(void)state;
	assert_int_equal(spoor_device_adopt(&d, drv.fd, &opts), -EINVAL);
	opts.name = "x";
	assert_int_equal(spoor_device_adopt(&d, 0, &opts), -EINVAL);
	assert_ptr_equal(d, (void *)1);
	spoor_device_get_info(dev, &info);
	assert_string_equal(info.name, "nic0");
	assert_true(info.attached && info.can_reset);
	assert_int_equal(info.migration,
			 SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P);
}

static void the_session_follows_the_state(void **state)
{
	unsigned int before = open_fds();
	char buf[8];

	(void)state;
	assert_int_equal(spoor_device_read_state(dev, buf, 8), -EBADF);
	drv.give_session = 1;
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_PRE_COPY), 0);
	assert_int_equal(write(drv.peer, "abcdef", 6), 6);
	assert_int_equal(spoor_device_read_state(dev, buf, 3), 3);
	/* PRE_COPY to STOP_COPY goes on with the same one. */
	drv.give_session = 0;
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_STOP_COPY), 0);
	assert_int_equal(spoor_device_read_state(dev, buf, 8), 3);
	assert_memory_equal(buf, "def", 3);
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_STOP), 0);
	assert_int_equal(spoor_device_read_state(dev, buf, 8), -EBADF);
	drv.give_session = 1;
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_RESUMING), 0);
	assert_int_equal(spoor_device_write_state(dev, "hello", 5), 0);
	assert_int_equal(read(drv.peer, buf, 8), 5);
	assert_int_equal(spoor_device_reset(dev), 0);
	assert_int_equal(spoor_device_write_state(dev, "x", 1), -EBADF);
	/* The test's end of the last pipe is all that is left. */
	assert_int_equal(open_fds(), before + 1);
}

static void
a_failed_change_keeps_or_ends_the_session_as_the_kernel_did(void **state)
{
	enum spoor_device_state now = SPOOR_STATE_ERROR;
	char buf[4];

	(void)state;
	drv.give_session = 1;
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_STOP_COPY), 0);
	assert_int_equal(write(drv.peer, "abcd", 4), 4);
	drv.fail_set = EIO;
	drv.state_after_failure = VFIO_DEVICE_STATE_STOP_COPY;
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_RUNNING),
			 -EIO);
	assert_non_null(strstr(spoor_errmsg(), "nic0"));
	assert_non_null(strstr(spoor_errmsg(), "RUNNING"));
	assert_int_equal(spoor_device_read_state(dev, buf, 2), 2);
	drv.state_after_failure = VFIO_DEVICE_STATE_STOP;
	assert_int_equal(spoor_device_set_state(dev, SPOOR_STATE_RUNNING),
			 -EIO);
	assert_int_equal(spoor_device_read_state(dev, buf, 2), -EBADF);
	assert_int_equal(spoor_device_get_state(dev, &now), 0);
	assert_int_equal(now, SPOOR_STATE_STOP);
	drv.state = 99;
	assert_int_equal(spoor_device_get_state(dev, &now), -EPROTO);
	assert_int_equal(spoor_device_set_state(dev, 8), -EINVAL);
	assert_string_equal(spoor_device_state_name(8), "?");
}

static void a_device_that_does_not_migrate_says_so(void **state)
{
	struct spoor_device_opts opts = { .size = sizeof(opts), .name = "m" };
	struct spoor_device *d = NULL;
	enum spoor_device_state now;

	(void)state;
	drv.migration = 0;
	assert_int_equal(spoor_device_adopt(&d, drv.fd, &opts), 0);
	assert_int_equal(spoor_device_get_state(d, &now), -EOPNOTSUPP);
	assert_int_equal(spoor_device_set_state(d, SPOOR_STATE_STOP),
			 -EOPNOTSUPP);
	assert_null(spoor_device_free(d));
}

static void regions_are_read_written_and_mapped_once(void **state)
{
	struct spoor_device_region r;
	void *a = NULL, *b = NULL;
	char buf[8] = "";

	(void)state;
	assert_int_equal(spoor_device_region(dev, 0, &r), 0);
	assert_true(r.size == 8192 && r.mmap && r.read && r.write);
	assert_int_equal(spoor_device_region(dev, 3, &r), -EINVAL);
	assert_int_equal(spoor_device_region_write(dev, 1, 8188, "abcd", 4), 0);
	assert_int_equal(spoor_device_region_read(dev, 1, 8188, buf, 4), 0);
	assert_string_equal(buf, "abcd");
	assert_int_equal(spoor_device_region_read(dev, 1, 8189, buf, 4),
			 -EINVAL);
	assert_int_equal(spoor_device_region_read(dev, 2, 0, buf, 1), -EINVAL);
	assert_int_equal(spoor_device_region_map(dev, 1, &a), -EOPNOTSUPP);
	assert_null(a);
	assert_int_equal(spoor_device_region_map(dev, 0, &a), 0);
	assert_int_equal(spoor_device_region_map(dev, 0, &b), 0);
	assert_ptr_equal(a, b);
	memcpy(a, "bar", 4);
	assert_int_equal(spoor_device_region_read(dev, 0, 0, buf, 4), 0);
	assert_string_equal(buf, "bar");
	/* Shrunk under us: short is an error. */
	assert_int_equal(ftruncate(drv.fd, 8192 + 2), 0);
	assert_int_equal(spoor_device_region_read(dev, 1, 0, buf, 4), -EIO);
}

static void the_first_vector_enables_all_the_last_disables(void **state)
{
	(void)state;
	assert_int_equal(spoor_device_set_irq(dev, 1, 4, 7), -EINVAL);
	assert_int_equal(spoor_device_set_irq(dev, 0, 0, 7), -EINVAL);
	assert_int_equal(spoor_device_set_irq(dev, 2, 0, 7), -EINVAL);
	assert_int_equal(spoor_device_set_irq(dev, 1, 2, 7), 0);
	assert_int_equal(drv.irq_start, 0);
	assert_int_equal(drv.irq_count, 4);
	assert_int_equal(drv.irq_fds[2], 7);
	assert_int_equal(drv.irq_fds[0], -1);
	assert_int_equal(spoor_device_set_irq(dev, 1, 0, 8), 0);
	assert_int_equal(drv.irq_start, 0);
	assert_int_equal(drv.irq_count, 1);
	assert_int_equal(drv.irq_fds[0], 8);
	assert_int_equal(spoor_device_set_irq(dev, 1, 0, -1), 0);
	assert_int_equal(drv.irq_fds[0], -1);
	assert_int_equal(spoor_device_set_irq(dev, 1, 2, -1), 0);
	assert_int_equal(drv.irq_count, 0);
	assert_true(drv.irq_flags & VFIO_IRQ_SET_DATA_NONE);
}

#define ON(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		ON(descriptor_is_lent),
		ON(adopting_needs_a_name_and_a_device),
		ON(the_session_follows_the_state),
		ON(a_failed_change_keeps_or_ends_the_session_as_the_kernel_did),
		ON(a_device_that_does_not_migrate_says_so),
		ON(regions_are_read_written_and_mapped_once),
		ON(the_first_vector_enables_all_the_last_disables),
	};

	return cmocka_run_group_tests_name("device", cases, NULL, NULL);
}
