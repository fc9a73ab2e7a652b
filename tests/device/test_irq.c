/* SPDX-License-Identifier: MIT */
/* Interrupts: SET_IRQS' checks in Linux's order, and who hears of what. */
#include "harness.h"

#include <poll.h>
#include <sys/eventfd.h>

#define DN VFIO_IRQ_SET_DATA_NONE
#define DB VFIO_IRQ_SET_DATA_BOOL
#define DE VFIO_IRQ_SET_DATA_EVENTFD
#define AM VFIO_IRQ_SET_ACTION_MASK
#define AU VFIO_IRQ_SET_ACTION_UNMASK
#define AT VFIO_IRQ_SET_ACTION_TRIGGER

enum { INTX, MSI, MSIX, ERR, REQ };

static int dev, ev;

static int irqs(uint32_t argsz, uint32_t flags, uint32_t index, uint32_t start,
		uint32_t count, const void *data, size_t len)
{
	struct {
		uint32_t set[5];
		uint8_t data[64];
	} s = { .set = { argsz, flags, index, start, count } };

	if (len)
		memcpy(s.data, data, len);
	return dev_ioctl(dev, VFIO_DEVICE_SET_IRQS, &s);
}

/* Without data, with one byte, with one fd. */
static int none(uint32_t action, uint32_t index, uint32_t start, uint32_t count)
{
	return irqs(20, DN | action, index, start, count, NULL, 0);
}

static int one_bool(uint32_t action, uint32_t index, uint8_t v)
{
	return irqs(21, DB | action, index, 0, 1, &v, 1);
}

static int one_fd(uint32_t action, uint32_t index, int32_t fd)
{
	return irqs(24, DE | action, index, 0, 1, &fd, 4);
}

static uint64_t heard(void)
{
	uint64_t n = 0;

	return read(ev, &n, 8) == 8 ? n : 0;
}

static int setup(void **state)
{
	(void)state;
	dev = open_device(DEV_ALL);
	ev = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return ev < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ev);
	close(dev);
	return 0;
}

static void info_counts_the_vectors(void **state)
{
	static const struct {
		uint32_t flags, count;
	} want[5] = { { 7, 1 }, { 9, 0 }, { 1, 4 }, { 0, 0 }, { 9, 1 } };
	struct vfio_irq_info info;
	uint32_t i;

	(void)state;
	for (i = 0; i < 8; i++) {
		bool there = i < 5 && i != ERR;

		info = (struct vfio_irq_info){ 16, 0xee, i, 0xee };
		assert_int_equal(
			dev_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info),
			there ? 0 : -EINVAL);
		assert_int_equal(info.flags, there ? want[i].flags : 0xee);
		assert_int_equal(info.count, there ? want[i].count : 0xee);
	}
	info.index = 0;
	info.argsz = 15;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info),
			 -EINVAL);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, NULL),
			 -EFAULT);
	machine.kernel = SV_KERNEL_6_1;
	info = (struct vfio_irq_info){ .argsz = 16, .index = MSIX };
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
	assert_int_equal(info.flags, 9);
	machine.kernel = SV_KERNEL_6_12;
}

static void malformed_requests_are_refused(void **state)
{
	uint32_t i;

	(void)state;
	assert_int_equal(irqs(0, DN | AT, INTX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(irqs(19, DN | AT, INTX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(irqs(20, 0, INTX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(irqs(20, AT, INTX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(irqs(20, DN, INTX, 0, 1, NULL, 0), -ENOTTY);
	assert_int_equal(irqs(20, DN | DB | AT, INTX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(irqs(20, DN | AM | AU, INTX, 0, 1, NULL, 0), -ENOTTY);
	assert_int_equal(irqs(20, DN | AT | 64, INTX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(none(AT, 5, 0, 0), -EINVAL);
	assert_int_equal(none(AT, UINT32_MAX, 0, 0), -EINVAL);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_SET_IRQS, NULL), -EFAULT);
	/* What is not there, and what is not set up. */
	for (i = 0; i < 5; i++) {
		assert_int_equal(none(AT, i, 0, 0), -EINVAL);
		assert_int_equal(none(AT, i, 0, 1), -EINVAL);
		assert_int_equal(none(AT, i, 0, 5), -EINVAL);
		assert_int_equal(none(AM, i, 0, 1),
				 i == MSIX || i == REQ ? -ENOTTY : -EINVAL);
	}
	assert_int_equal(one_fd(AT, MSI, -1), -EINVAL);
	assert_int_equal(one_fd(AT, ERR, ev), -EINVAL);
	assert_int_equal(irqs(23, DE | AT, INTX, 0, 1, &ev, 4), -EINVAL);
	assert_int_equal(irqs(24, DE | AT, MSIX, 0, 2, &ev, 4), -EINVAL);
	assert_int_equal(irqs(24, DE | AT, INTX, 0, 0, &ev, 4), -EINVAL);
	assert_int_equal(irqs(24, DE | AT, INTX, 0, UINT32_MAX, &ev, 4),
			 -EINVAL);
	assert_int_equal(irqs(24, DE | AT, INTX, 1, 0xfffffffe, &ev, 4),
			 -EINVAL);
}

static void only_eventfds_are_taken(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(one_fd(AT, INTX, 999), -EBADF);
	assert_int_equal(one_fd(AT, INTX, null), -EINVAL);
	assert_int_equal(one_fd(AT, INTX, dev), -EINVAL);
	assert_int_equal(one_fd(AT, MSIX, 999), -EBADF);
	/* Nothing was set up by any of them. */
	assert_int_equal(none(AT, INTX, 0, 1), -EINVAL);
	assert_int_equal(none(AT, MSIX, 0, 1), -EINVAL);
	close(null);
}

static void intx_masks_itself_and_tells_later(void **state)
{
	uint16_t off = 0x406, on = 6;

	(void)state;
	assert_int_equal(one_fd(AT, INTX, ev), 0);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(heard(), 1);
	fake_irq(DEV_ALL, 0);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(heard(), 0);
	assert_int_equal(none(AU, INTX, 0, 1), 0);
	assert_int_equal(heard(), 1);
	assert_int_equal(none(AU, INTX, 0, 1), 0);
	assert_int_equal(heard(), 0);
	assert_int_equal(one_bool(AM, INTX, 0), 0);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(heard(), 1);
	assert_int_equal(none(AU, INTX, 0, 1), 0);
	/* COMMAND's INTx disable holds it back, too. */
	assert_int_equal(dev_pwrite(dev, &off, 2, CONFIG + 4), 2);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(heard(), 0);
	assert_int_equal(dev_pwrite(dev, &on, 2, CONFIG + 4), 2);
	assert_int_equal(heard(), 1);
}

/* Another thread signals it; ten seconds are for ever. */
static bool hears(void)
{
	struct pollfd p = { ev, POLLIN, 0 };

	return poll(&p, 1, 10000) == 1 && heard() == 1;
}

static void signals_unmask_intx(void **state)
{
	int unmask = eventfd(0, EFD_CLOEXEC), i;

	(void)state;
	assert_int_equal(one_fd(AU, INTX, unmask), -EINVAL);
	assert_int_equal(one_fd(AT, INTX, ev), 0);
	assert_int_equal(one_fd(AU, INTX, -1), 0);
	assert_int_equal(one_fd(AU, INTX, 999), -EBADF);
	assert_int_equal(one_fd(AU, INTX, unmask), 0);
	assert_int_equal(one_fd(AU, INTX, ev), -EBUSY);
	for (i = 0; i < 2; i++) {
		fake_irq(DEV_ALL, 0);
		assert_true(hears());
		fake_irq(DEV_ALL, 0);
		assert_int_equal(heard(), 0);
		assert_int_equal(eventfd_write(unmask, 1), 0);
		assert_true(hears());
		/* That one masked it, too. */
		assert_int_equal(none(AU, INTX, 0, 1), 0);
	}
	/* Taken away by name, and with the interrupt. */
	assert_int_equal(one_fd(AU, INTX, -1), 0);
	assert_int_equal(one_fd(AU, INTX, unmask), 0);
	assert_int_equal(none(AT, INTX, 0, 0), 0);
	assert_int_equal(one_fd(AT, INTX, ev), 0);
	assert_int_equal(one_fd(AU, INTX, unmask), 0);
	close(unmask);
}

static uint64_t counted(void)
{
	static struct sv_figures f;

	sv_device_figures(sv_device_by_index(DEV_ALL), &f);
	return f.irqs;
}

static void only_what_the_device_signalled_is_counted(void **state)
{
	uint64_t before = counted();

	(void)state;
	fake_irq(DEV_ALL, 0);
	assert_int_equal(counted(), before);
	assert_int_equal(one_fd(AT, INTX, ev), 0);
	assert_int_equal(none(AT, INTX, 0, 1), 0);
	assert_int_equal(heard(), 1);
	assert_int_equal(counted(), before);
	fake_irq(DEV_ALL, 0);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(counted(), before + 1);
	assert_int_equal(none(AU, INTX, 0, 1), 0);
	assert_int_equal(counted(), before + 2);
	assert_int_equal(none(AT, INTX, 0, 0), 0);
	assert_int_equal(one_fd(AT, MSIX, ev), 0);
	fake_irq(DEV_ALL, 0);
	fake_irq(DEV_ALL, 1);
	assert_int_equal(counted(), before + 3);
	assert_int_equal(none(AT, MSIX, 0, 0), 0);
}

static void intx_is_looped_back_whatever_the_mask(void **state)
{
	(void)state;
	assert_int_equal(one_fd(AT, INTX, ev), 0);
	assert_int_equal(none(AT, INTX, 0, 1), 0);
	assert_int_equal(heard(), 1);
	assert_int_equal(one_bool(AT, INTX, 0), 0);
	assert_int_equal(heard(), 0);
	assert_int_equal(none(AM, INTX, 0, 1), 0);
	assert_int_equal(one_bool(AT, INTX, 1), 0);
	assert_int_equal(heard(), 1);
	assert_int_equal(one_fd(AM, INTX, ev), -ENOTTY);
	assert_int_equal(none(AM, INTX, 0, 0), -EINVAL);
	/* One kind at a time. */
	assert_int_equal(one_fd(AT, MSIX, ev), -EINVAL);
	assert_int_equal(one_fd(AT, INTX, -1), 0);
	assert_int_equal(none(AT, INTX, 0, 1), 0);
	assert_int_equal(heard(), 0);
	assert_int_equal(none(AT, INTX, 0, 0), 0);
	assert_int_equal(none(AT, INTX, 0, 0), -EINVAL);
	assert_int_equal(one_fd(AT, MSIX, ev), 0);
}

static void vectors_go_to_their_eventfds(void **state)
{
	int32_t fds[4] = { -1, ev, -1, ev }, bad[2] = { ev, 999 };
	uint8_t which[4] = { 1, 0, 1, 1 };
	uint16_t flags;

	(void)state;
	assert_int_equal(irqs(36, DE | AT, MSIX, 0, 4, fds, 16), 0);
	assert_int_equal(dev_pread(dev, &flags, 2, CONFIG + 0x52), 2);
	assert_int_equal(flags, 0x8003);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(heard(), 0);
	fake_irq(DEV_ALL, 1);
	fake_irq(DEV_ALL, 1);
	fake_irq(DEV_ALL, 3);
	fake_irq(DEV_ALL, 4);
	assert_int_equal(heard(), 3);
	assert_int_equal(none(AT, MSIX, 0, 4), 0);
	assert_int_equal(heard(), 2);
	assert_int_equal(irqs(24, DB | AT, MSIX, 0, 4, which, 4), 0);
	assert_int_equal(heard(), 1);
	assert_int_equal(irqs(32, DE | AT, MSIX, 3, 2, fds, 8), -EINVAL);
	/* A block that fails is gone as far as it came. */
	assert_int_equal(irqs(28, DE | AT, MSIX, 0, 2, bad, 8), -EBADF);
	fake_irq(DEV_ALL, 0);
	fake_irq(DEV_ALL, 1);
	assert_int_equal(heard(), 0);
	fake_irq(DEV_ALL, 3);
	assert_int_equal(heard(), 1);
	assert_int_equal(one_fd(AT, INTX, ev), -EINVAL);
	assert_int_equal(none(AT, MSIX, 0, 0), 0);
	assert_int_equal(none(AT, MSIX, 0, 0), -EINVAL);
	fake_irq(DEV_ALL, 3);
	assert_int_equal(heard(), 0);
}

static void old_kernel_keeps_to_the_vectors_it_began_with(void **state)
{
	int32_t fds[2] = { ev, ev };

	(void)state;
	assert_int_equal(one_fd(AT, MSIX, ev), 0);
	machine.kernel = SV_KERNEL_6_1;
	assert_int_equal(irqs(28, DE | AT, MSIX, 0, 2, fds, 8), -EINVAL);
	machine.kernel = SV_KERNEL_6_12;
	assert_int_equal(irqs(28, DE | AT, MSIX, 0, 2, fds, 8), 0);
}

static void release_request_is_told_and_taken_away(void **state)
{
	(void)state;
	assert_int_equal(one_fd(AT, REQ, -1), 0);
	assert_int_equal(none(AT, REQ, 0, 1), -EINVAL);
	assert_int_equal(one_fd(AT, REQ, ev), 0);
	assert_int_equal(none(AT, REQ, 0, 1), 0);
	assert_int_equal(one_bool(AT, REQ, 1), 0);
	assert_int_equal(heard(), 2);
	assert_int_equal(irqs(20, DB | AT, REQ, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(none(AT, REQ, 0, 0), 0);
	assert_int_equal(none(AT, REQ, 0, 0), -EINVAL);
}

static void close_drops_all_eventfds(void **state)
{
	(void)state;
	assert_int_equal(one_fd(AT, MSIX, ev), 0);
	assert_int_equal(one_fd(AT, REQ, ev), 0);
	close(dev);
	fake_irq(DEV_ALL, 0);
	assert_int_equal(heard(), 0);
	dev = open_device(DEV_ALL);
	assert_int_equal(none(AT, MSIX, 0, 1), -EINVAL);
	assert_int_equal(none(AT, REQ, 0, 1), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(info_counts_the_vectors),
		TEST(malformed_requests_are_refused),
		TEST(only_eventfds_are_taken),
		TEST(intx_masks_itself_and_tells_later),
		TEST(signals_unmask_intx),
		TEST(only_what_the_device_signalled_is_counted),
		TEST(intx_is_looped_back_whatever_the_mask),
		TEST(vectors_go_to_their_eventfds),
		TEST(old_kernel_keeps_to_the_vectors_it_began_with),
		TEST(release_request_is_told_and_taken_away),
		TEST(close_drops_all_eventfds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
