/* SPDX-License-Identifier: MIT */
/* The frame of VFIO_DEVICE_FEATURE: what is checked, and in which order. */
#include "harness.h"

#include <sys/eventfd.h>

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

/* What a device with everything offers: operations and payload. */
static const struct {
	uint32_t ops, len;
} offers[16] = {
	[1] = { GET, 8 }, [2] = { GET | SET, 8 }, [3] = { SET, 0 },
	[4] = { SET, 8 }, [5] = { SET, 0 },	  [6] = { SET, 24 },
	[7] = { SET, 0 }, [8] = { GET, 32 },	  [9] = { GET, 8 },
};

static void probing_says_what_is_offered(void **state)
{
	static const uint32_t ops[] = { 0, GET, SET, GET | SET };
	int dev = open_device(DEV_ALL);
	uint32_t f, i, argsz;

	(void)state;
	for (f = 0; f < 16; f++) {
		for (i = 0; i < 4; i++) {
			int want = !offers[f].ops	     ? -ENOTTY
				   : ops[i] & ~offers[f].ops ? -EINVAL
							     : 0;

			for (argsz = 8; argsz <= 40; argsz += 16)
				assert_int_equal(feature(dev, argsz,
							 PROBE | ops[i] | f,
							 NULL, 0),
						 want);
		}
	}
	close(dev);
}

static void operations_need_exactly_one_that_is_offered(void **state)
{
	int dev = open_device(DEV_ALL);
	uint32_t f;

	(void)state;
	for (f = 0; f < 16; f++) {
		int none = offers[f].ops ? -EINVAL : -ENOTTY;

		assert_int_equal(feature(dev, 64, f, NULL, 0), none);
		assert_int_equal(feature(dev, 64, GET | SET | f, NULL, 0),
				 -EINVAL);
		if (!(offers[f].ops & GET))
			assert_int_equal(feature(dev, 64, GET | f, NULL, 0),
					 none);
		if (!(offers[f].ops & SET))
			assert_int_equal(feature(dev, 64, SET | f, NULL, 0),
					 none);
	}
	close(dev);
}

static void payload_shorter_than_needed_is_refused(void **state)
{
	int dev = open_device(DEV_ALL);
	uint32_t f, argsz;

	(void)state;
	for (f = 1; f < 10; f++) {
		uint32_t op = offers[f].ops & GET ? GET : SET;

		for (argsz = 0; argsz < 8 + offers[f].len; argsz++)
			assert_int_equal(feature(dev, argsz, op | f, NULL, 0),
					 -EINVAL);
	}
	close(dev);
}

static void what_is_behind_the_payload_is_left_alone(void **state)
{
	int dev = open_device(DEV_ALL);
	uint64_t data[3] = { 0, 0xee, 0xee };

	(void)state;
	assert_int_equal(feature(dev, 32, GET | 1, data, sizeof(data)), 0);
	assert_int_equal(data[0], 7);
	assert_int_equal(data[1], 0xee);
	assert_int_equal(feature(dev, UINT32_MAX, GET | 1, data, 8), 0);
	assert_int_equal(feature(dev, 17, GET | 9, data, 8), 0);
	assert_int_equal(data[0], 72);
	close(dev);
}

static void unknown_bits_come_before_the_feature(void **state)
{
	int dev = open_device(DEV_ALL);
	unsigned int bit;

	(void)state;
	for (bit = 19; bit < 32; bit++) {
		assert_int_equal(feature(dev, 16, GET | 1 | 1u << bit, NULL, 0),
				 -EINVAL);
		assert_int_equal(feature(dev, 16, 0xffff | 1u << bit, NULL, 0),
				 -EINVAL);
	}
	assert_int_equal(feature(dev, 8, PROBE | 0xffff, NULL, 0), -ENOTTY);
	assert_int_equal(feature(dev, 8, GET | SET | 0xffff, NULL, 0), -EINVAL);
	assert_int_equal(feature(dev, 4, 0xffff, NULL, 0), -EINVAL);
	close(dev);
}

static void bad_pointers_are_faults(void **state)
{
	struct vfio_device_feature head = { 16, GET | 1 };
	int dev = open_device(DEV_ALL);
	uint8_t *g = guard_page();

	(void)state;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_FEATURE, NULL), -EFAULT);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_FEATURE, g + PAGE - 4),
			 -EFAULT);
	memcpy(g + PAGE - 8, &head, 8);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_FEATURE, g + PAGE - 8),
			 -EFAULT);
	head.flags |= PROBE;
	memcpy(g + PAGE - 8, &head, 8);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_FEATURE, g + PAGE - 8), 0);
	/* A state whose frame cannot be read is not entered. */
	head.flags = SET | 2;
	memcpy(g + PAGE - 8, &head, 8);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_FEATURE, g + PAGE - 8),
			 -EFAULT);
	assert_int_equal(get_state(dev), VFIO_DEVICE_STATE_RUNNING);
	close(dev);
}

static void device_without_ops_has_no_such_feature(void **state)
{
	static const uint32_t mig[] = { 1, 2, 9 }, log[] = { 6, 7, 8 };
	int plain = open_device(DEV_PLAIN), noiommu = open_device(DEV_NOIOMMU);
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(feature(plain, 8, PROBE | mig[i], NULL, 0),
				 -ENOTTY);
		assert_int_equal(feature(plain, 8, PROBE | log[i], NULL, 0),
				 -ENOTTY);
		assert_int_equal(feature(noiommu, 8, PROBE | mig[i], NULL, 0),
				 -ENOTTY);
		assert_int_equal(feature(noiommu, 8, PROBE | log[i], NULL, 0),
				 -ENOTTY);
	}
	close(plain);
	close(noiommu);
}

static void old_kernel_lacks_what_came_later(void **state)
{
	uint64_t flags;
	int dev;

	(void)state;
	machine.kernel = SV_KERNEL_6_1;
	dev = open_device(DEV_ALL);
	assert_int_equal(feature(dev, 8, PROBE | 9, NULL, 0), -ENOTTY);
	assert_int_equal(feature(dev, 16, GET | 1, &flags, 8), 0);
	assert_int_equal(flags, 3);
	close(dev);
	machine.kernel = SV_KERNEL_6_12;
}

static void low_power_is_entered_once_and_left_always(void **state)
{
	struct vfio_device_low_power_entry_with_wakeup w = { -1, 0 };
	int dev = open_device(DEV_ALL), mdev = open_device(DEV_MDEV);
	uint32_t v;

	(void)state;
	assert_int_equal(feature(dev, 8, SET | 5, NULL, 0), 0);
	assert_int_equal(feature(dev, 8, SET | 3, NULL, 0), 0);
	assert_int_equal(feature(dev, 8, SET | 3, NULL, 0), -EINVAL);
	assert_int_equal(dev_pread(dev, &v, 4, 0), 4);
	assert_int_equal(feature(dev, 8, SET | 5, NULL, 0), 0);
	assert_int_equal(feature(dev, 16, SET | 4, &w, 8), -EINVAL);
	w.wakeup_eventfd = dev;
	assert_int_equal(feature(dev, 16, SET | 4, &w, 8), -EINVAL);
	w.wakeup_eventfd = 999;
	assert_int_equal(feature(dev, 16, SET | 4, &w, 8), -EBADF);
	w.wakeup_eventfd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(feature(dev, 16, SET | 4, &w, 8), 0);
	assert_int_equal(feature(dev, 16, SET | 4, &w, 8), -EINVAL);
	assert_int_equal(feature(mdev, 8, PROBE | 3, NULL, 0), -ENOTTY);
	close(w.wakeup_eventfd);
	close(mdev);
	close(dev);
	dev = open_device(DEV_ALL);
	assert_int_equal(feature(dev, 8, SET | 3, NULL, 0), 0);
	close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probing_says_what_is_offered),
		cmocka_unit_test(operations_need_exactly_one_that_is_offered),
		cmocka_unit_test(payload_shorter_than_needed_is_refused),
		cmocka_unit_test(what_is_behind_the_payload_is_left_alone),
		cmocka_unit_test(unknown_bits_come_before_the_feature),
		cmocka_unit_test(bad_pointers_are_faults),
		cmocka_unit_test(device_without_ops_has_no_such_feature),
		cmocka_unit_test(old_kernel_lacks_what_came_later),
		cmocka_unit_test(low_power_is_entered_once_and_left_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
