/* SPDX-License-Identifier: MIT */
/*
 * Programs that close all that they did not open, as daemons do, and number
 * descriptors themselves.
 */
#include "tests/type1/rig.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/uapi_vfio.h"
#include "models/dsa_regs.h"
#include "models/nic_regs.h"

#define NR_FILES 64

static void wait_for(uint64_t id)
{
	const struct timespec tick = { .tv_nsec = 200000 };
	struct dsa_completion *done = (void *)(guest + 3 * PAGE);

	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n(&done->id, __ATOMIC_ACQUIRE) == id)
			return;
		nanosleep(&tick, NULL);
	}
	fail_msg("no completion");
}

/* By its own thread, which sleeps, and with an interrupt. */
static void work(int dsa, uint64_t id)
{
	const struct dsa_descriptor fill = {
		.op = DSA_OP_FILL,
		.dst = IOVA + PAGE,
		.len = PAGE,
		.completion = IOVA + 3 * PAGE,
		.id = id,
	};

	memcpy(guest, &fill, sizeof(fill));
	reg64(dsa, DSA_REG_DOORBELL, IOVA);
	wait_for(id);
}

static void interrupt_to(int dev, int32_t fd)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} a = {
		.set = { .argsz = sizeof(a),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD |
				  VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_MSIX_IRQ_INDEX,
			 .count = 1 },
		.fd = fd,
	};

	assert_int_equal(ioctl(dev, VFIO_DEVICE_SET_IRQS, &a), 0);
}

/* Every number in reach becomes a file, in which nobody else may write. */
static void take_numbers(int *files)
{
	for (int i = 0; i < NR_FILES; i++) {
		files[i] = memfd_create("mine", MFD_CLOEXEC);
		assert_true(files[i] >= 0);
	}
}

static void expect_untouched(const int *files)
{
	for (int i = 0; i < NR_FILES; i++) {
		assert_int_equal(lseek(files[i], 0, SEEK_END), 0);
		close(files[i]);
	}
}

static void by_range(int first)
{
	assert_int_equal(close_range((unsigned int)first, ~0u, 0), 0);
}

static void one_by_one(int first)
{
	for (int fd = first; fd < 8192; fd++)
		close(fd);
}

static void devices_outlive_programs_that_close_everything(void **state)
{
	void (*const ways[])(int) = { by_range, closefrom, one_by_one };
	int files[NR_FILES], event, mine, dev, g, c;
	uint64_t count;

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		c = typed(DSA, &g);
		dev = device(g, DSA);
		event = eventfd(0, EFD_CLOEXEC);
		interrupt_to(dev, event);
		work(dev, 3 * i + 1);
		mine = dev > event ? dev : event;
		ways[i](mine + 1);
		take_numbers(files);
		work(dev, 3 * i + 2);
		assert_int_equal(read(event, &count, 8), 8);
		expect_untouched(files);
		/* And those that it opened. */
		ways[i](g < c ? g : c);
		take_numbers(files);
		c = typed(DSA, &g);
		dev = device(g, DSA);
		work(dev, 3 * i + 3);
		expect_untouched(files);
		close_all(3, dev, g, c);
	}
}

static int what_is(int fd, char *ret, size_t len)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, ret, len - 1);
	ret[n < 0 ? 0 : n] = 0;
	return n < 0;
}

/* Of softvfio's own: of a kind that the program has not opened. */
static int kept(const char *kind, int *ret)
{
	char what[64];
	int nr = 0;

	for (int fd = 3; fd < 8192; fd++) {
		if (what_is(fd, what, sizeof(what)) || !strstr(what, kind))
			continue;
		*ret = fd;
		nr++;
	}
	return nr;
}

static void what_devices_wait_for_cannot_be_replaced(void **state)
{
	char before[64], after[64];
	int fd = -1, dev, g, c = typed(DSA, &g);

	(void)state;
	dev = device(g, DSA);
	assert_true(kept("eventfd", &fd) > 0);
	what_is(fd, before, sizeof(before));
	assert_int_equal(dup2(1, fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(dup3(1, fd, 0), -1);
	assert_int_equal(close(fd), -1);
	assert_int_equal(errno, EBADF);
	what_is(fd, after, sizeof(after));
	assert_string_equal(before, after);
	work(dev, 100);
	close_all(3, dev, g, c);
}

static void children_hold_nothing_of_the_devices(void **state)
{
	int fd = -1, status, dev, g, c = typed(NIC, &g);
	pid_t pid;

	(void)state;
	dev = device(g, NIC);
	reg32(dev, NIC_REG_ENABLE, 1);
	assert_int_equal(kept("socket:", &fd), 1);
	pid = fork();
	if (!pid)
		_exit(kept("socket:", &fd) + kept("eventfd", &fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(kept("socket:", &fd), 1);
	close_all(3, dev, g, c);
	assert_int_equal(kept("socket:", &fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			devices_outlive_programs_that_close_everything),
		cmocka_unit_test(what_devices_wait_for_cannot_be_replaced),
		cmocka_unit_test(children_hold_nothing_of_the_devices),
	};

	return cmocka_run_group_tests(tests, make_guest, free_guest);
}
