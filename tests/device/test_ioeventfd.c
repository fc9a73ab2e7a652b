/* SPDX-License-Identifier: MIT */
/* Eventfds that do something: writes to BARs. */
#include "harness.h"

#include <poll.h>
#include <sys/eventfd.h>

#define W8  VFIO_DEVICE_IOEVENTFD_8
#define W16 VFIO_DEVICE_IOEVENTFD_16
#define W32 VFIO_DEVICE_IOEVENTFD_32
#define W64 VFIO_DEVICE_IOEVENTFD_64

static int dev, ev, other;

static int ioeventfd(uint32_t argsz, uint32_t flags, uint64_t offset,
		     uint64_t data, int fd)
{
	struct vfio_device_ioeventfd arg = { argsz, flags, offset, data, fd };

	return dev_ioctl(dev, VFIO_DEVICE_IOEVENTFD, &arg);
}

static int add(uint32_t flags, uint64_t offset, uint64_t data, int fd)
{
	return ioeventfd(28, flags, offset, data, fd);
}

static void ring(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, 8), 8);
}

static uint64_t peek(uint64_t offset)
{
	uint64_t v = 0;

	assert_int_equal(dev_pread(dev, &v, 8, offset), 8);
	return v;
}

static void poke(uint64_t offset, uint64_t v)
{
	assert_int_equal(dev_pwrite(dev, &v, 8, offset), 8);
}

/* Another thread writes it; ten seconds are for ever. */
static bool becomes(uint64_t offset, uint64_t want)
{
	int i;

	for (i = 0; i < 10000; i++) {
		if (peek(offset) == want)
			return true;
		usleep(1000);
	}
	return false;
}

static int setup(void **state)
{
	(void)state;
	dev = open_device(DEV_ALL);
	ev = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	other = eventfd(0, EFD_CLOEXEC);
	return ev < 0 || other < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ev);
	close(other);
	close(dev);
	return 0;
}

static void bad_requests_are_refused(void **state)
{
	static const uint32_t widths[] = { 0, 3, 5, 15, 16, W32 | 16 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		assert_int_equal(add(widths[i], 8, 1, ev), -EINVAL);
	assert_int_equal(ioeventfd(27, W32, 8, 1, ev), -EINVAL);
	assert_int_equal(add(W32, 8, 1, -2), -EINVAL);
	assert_int_equal(add(W32, 8, 1, 999), -EBADF);
	assert_int_equal(add(W32, 8, 1, null), -EINVAL);
	assert_int_equal(add(W32, 8, 1, dev), -EINVAL);
	/* None of them was kept. */
	assert_int_equal(add(W32, 8, 1, -1), -ENODEV);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_IOEVENTFD, NULL), -EFAULT);
	close(null);
}

static void only_bars_can_be_written(void **state)
{
	(void)state;
	assert_int_equal(add(W32, 0x1ffc, 1, ev), 0);
	assert_int_equal(add(W32, 0x1ffd, 1, ev), -EINVAL);
	assert_int_equal(add(W8, 0x2000, 1, ev), -EINVAL);
	assert_int_equal(add(W8, REGION(1), 1, ev), -EINVAL);
	assert_int_equal(add(W32, CONFIG, 1, ev), -EINVAL);
	assert_int_equal(add(W32, REGION(6), 1, ev), -EINVAL);
	assert_int_equal(add(W32, REGION(20), 1, ev), -EINVAL);
	assert_int_equal(add(W8, UINT64_MAX, 1, ev), -EINVAL);
	/* Not the MSI-X table (4 vectors), but what is behind it. */
	assert_int_equal(add(W32, REGION(5), 1, ev), -EINVAL);
	assert_int_equal(add(W32, REGION(5) + 0x3f, 1, ev), -EINVAL);
	assert_int_equal(add(W32, REGION(5) + 0x40, 1, ev), 0);
}

static void twins_are_refused_and_removed_once(void **state)
{
	(void)state;
	assert_int_equal(add(W32, 8, 1, ev), 0);
	assert_int_equal(add(W32, 8, 1, ev), -EEXIST);
	/* Before the descriptor is looked at. */
	assert_int_equal(add(W32, 8, 1, 999), -EEXIST);
	assert_int_equal(add(W16, 8, 1, ev), 0);
	assert_int_equal(add(W32, 9, 1, ev), 0);
	assert_int_equal(add(W32, 8, 2, ev), 0);
	assert_int_equal(add(W32, REGION(2) + 8, 1, ev), 0);
	assert_int_equal(add(W32, 8, 1, -1), 0);
	assert_int_equal(add(W32, 8, 1, -1), -ENODEV);
	assert_int_equal(add(W32, 8, 2, -1), 0);
}

static void a_signal_writes_as_wide_as_asked(void **state)
{
	const uint64_t data = 0x1122334455667788;
	uint64_t count;

	(void)state;
	poke(0x10, 0);
	poke(0x18, 0);
	poke(0x20, 0);
	poke(REGION(2), 0);
	assert_int_equal(add(W8, 0x10, data, ev), 0);
	assert_int_equal(add(W16, 0x18, data, ev), 0);
	assert_int_equal(add(W32, 0x21, data, ev), 0);
	assert_int_equal(add(W64, REGION(2), data, ev), 0);
	ring(ev);
	assert_true(becomes(0x10, 0x88));
	assert_true(becomes(0x18, 0x7788));
	assert_true(becomes(0x20, 0x5566778800));
	assert_true(becomes(REGION(2), data));
	/* Consumed, and heard again. */
	assert_int_equal(read(ev, &count, 8), -1);
	assert_int_equal(errno, EAGAIN);
	poke(0x10, 0);
	ring(ev);
	assert_true(becomes(0x10, 0x88));
}

static void every_watch_of_an_eventfd_hears_it(void **state)
{
	const unsigned int nr = 40; /* more than are told at once */
	unsigned int i;

	(void)state;
	for (i = 0; i < nr; i++) {
		poke(REGION(2) + 8 * i, 0);
		assert_int_equal(add(W8, REGION(2) + 8 * i, i + 1, ev), 0);
	}
	ring(ev);
	for (i = 0; i < nr; i++)
		assert_true(becomes(REGION(2) + 8 * i, i + 1));
}

static void what_was_signalled_before_is_heard(void **state)
{
	(void)state;
	poke(0x10, 0);
	ring(other);
	assert_int_equal(add(W8, 0x10, 7, other), 0);
	assert_true(becomes(0x10, 7));
}

static void the_programs_descriptor_may_go(void **state)
{
	int copy = dup(ev);

	(void)state;
	poke(0x10, 0);
	assert_int_equal(add(W8, 0x10, 7, ev), 0);
	close(ev);
	ring(copy);
	assert_true(becomes(0x10, 7));
	ev = copy;
}

static void removed_ones_write_no_more(void **state)
{
	(void)state;
	poke(0x10, 0);
	poke(0x18, 0);
	assert_int_equal(add(W8, 0x10, 7, ev), 0);
	assert_int_equal(add(W8, 0x18, 7, other), 0);
	assert_int_equal(add(W8, 0x10, 7, -1), 0);
	ring(ev);
	ring(other);
	assert_true(becomes(0x18, 7));
	assert_int_equal(peek(0x10), 0);
}

static void disabled_memory_is_not_written(void **state)
{
	uint16_t command = 0;

	(void)state;
	poke(0x10, 0);
	poke(0x18, 0);
	assert_int_equal(add(W8, 0x10, 7, ev), 0);
	assert_int_equal(add(W8, 0x18, 7, other), 0);
	assert_int_equal(dev_pwrite(dev, &command, 2, CONFIG + 4), 2);
	ring(ev);
	/* Consumed: the write has been tried, or is, under the lock. */
	while (poll(&(struct pollfd){ ev, POLLIN, 0 }, 1, 0) == 1)
		usleep(1000);
	pthread_mutex_lock(&sv_watch_lock);
	pthread_mutex_unlock(&sv_watch_lock);
	command = 2;
	assert_int_equal(dev_pwrite(dev, &command, 2, CONFIG + 4), 2);
	ring(other);
	assert_true(becomes(0x18, 7));
	assert_int_equal(peek(0x10), 0);
}

static void close_forgets_them(void **state)
{
	int second;

	(void)state;
	assert_int_equal(add(W8, 0x10, 7, ev), 0);
	close(dev);
	dev = open_device(DEV_ALL);
	poke(0x10, 0);
	poke(0x18, 0);
	assert_int_equal(add(W8, 0x10, 7, -1), -ENODEV);
	assert_int_equal(add(W8, 0x18, 7, other), 0);
	ring(ev);
	ring(other);
	assert_true(becomes(0x18, 7));
	assert_int_equal(peek(0x10), 0);
	/* Only the last close does. */
	second = open_device(DEV_ALL);
	close(second);
	assert_int_equal(add(W8, 0x18, 7, -1), 0);
}

static void there_are_at_most_a_thousand(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		if (add(W32, 8, i, ev))
			break;
	/* Descriptors may run out first. */
	assert_true(i == 1000 || i > 500);
	assert_int_equal(add(W32, 8, i, ev), i == 1000 ? -ENOSPC : -EMFILE);
}

static void emulated_devices_have_none(void **state)
{
	(void)state;
	close(dev);
	dev = open_device(DEV_MDEV);
	assert_int_equal(add(W32, 8, 1, ev), -ENOTTY);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_requests_are_refused),
		TEST(only_bars_can_be_written),
		TEST(twins_are_refused_and_removed_once),
		TEST(a_signal_writes_as_wide_as_asked),
		TEST(every_watch_of_an_eventfd_hears_it),
		TEST(what_was_signalled_before_is_heard),
		TEST(the_programs_descriptor_may_go),
		TEST(removed_ones_write_no_more),
		TEST(disabled_memory_is_not_written),
		TEST(close_forgets_them),
		TEST(there_are_at_most_a_thousand),
		TEST(emulated_devices_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
