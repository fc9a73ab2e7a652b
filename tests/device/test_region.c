/* SPDX-License-Identifier: MIT */
/* Regions: what they are told to be, and what reading and writing answers. */
#include "harness.h"

#include <sys/mman.h>

#define BAR0_LEN 0x2000u
#define BAR2_LEN 0x2000u
#define MSIX_BAR 5u

static uint64_t violations(unsigned int index)
{
	struct model_counters c;

	model_counters(sv_model(sv_device_by_index(index)), &c);
	return c.violations;
}

static void region_info_names_nine_regions(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t flags;
	} want[8] = { [0] = { BAR0_LEN, 3 },
		      [2] = { BAR2_LEN, 7 },
		      [5] = { 4096, 3 },
		      [7] = { 256, 3 } };
	int dev = open_device(DEV_ALL);
	struct vfio_region_info info;
	uint32_t i;

	(void)state;
	for (i = 0; i < 12; i++) {
		info = (struct vfio_region_info){ .argsz = sizeof(info),
						  .index = i,
						  .flags = 0xee,
						  .cap_offset = 0xee,
						  .size = 0xee,
						  .offset = 0xee };
		assert_int_equal(
			dev_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &info),
			i < 8 ? 0 : -EINVAL);
		assert_int_equal(info.cap_offset, 0xee);
		assert_int_equal(info.offset, i < 8 ? REGION(i) : 0xee);
		assert_int_equal(info.size, i < 8 ? want[i].size : 0xee);
		assert_int_equal(info.flags, i < 8 ? want[i].flags : 0xee);
	}
	info.index = 0;
	info.argsz = sizeof(info) - 1;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &info),
			 -EINVAL);
	info.argsz = UINT32_MAX;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, NULL),
			 -EFAULT);
	close(dev);
}

static void device_info_fits_the_size_asked_for(void **state)
{
	static const uint32_t sizes[] = { 16, 19, 20, 24, 64, UINT32_MAX };
	int dev = open_device(DEV_ALL);
	uint32_t info[6];
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		size_t len = sizes[i] < 24 ? sizes[i] : 24;
		uint8_t want[24];
		uint32_t head[4] = { sizes[i], 3, 9, 5 };

		memset(want, 0xee, 24);
		memset(want, 0, len);
		memcpy(want, head, 16);
		memset(info, 0xee, 24);
		info[0] = sizes[i];
		assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_INFO, info), 0);
		assert_memory_equal(info, want, 24);
	}
	info[0] = 15;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_GET_INFO, info), -EINVAL);
	close(dev);
}

static void bar_accesses_are_cut_at_the_end(void **state)
{
	static const struct {
		uint64_t pos;
		size_t len;
		ssize_t want;
	} t[] = {
		{ 0, 0, 0 },
		{ 0, 3, 3 },
		{ 1, 4, 4 },
		{ BAR0_LEN - 4, 8, 4 },
		{ BAR0_LEN - 1, 4, 1 },
		{ BAR0_LEN, 0, 0 },
		{ BAR0_LEN, 1, -EINVAL },
		{ (1ull << 40) - 1, 1, -EINVAL },
	};
	int dev = open_device(DEV_ALL);
	uint8_t buf[BAR2_LEN + 4096] = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		assert_int_equal(dev_pread(dev, buf, t[i].len, t[i].pos),
				 t[i].want);
		assert_int_equal(dev_pwrite(dev, buf, t[i].len, t[i].pos),
				 t[i].want);
	}
	assert_int_equal(dev_pread(dev, buf, sizeof(buf), REGION(2)), BAR2_LEN);
	for (i = 1; i < 12; i++) {
		if (i == 2 || i == 5 || i == 7)
			continue;
		assert_int_equal(dev_pread(dev, buf, 4, REGION(i)), -EINVAL);
		assert_int_equal(dev_pwrite(dev, buf, 4, REGION(i)), -EINVAL);
		assert_int_equal(dev_pread(dev, buf, 0, REGION(i)), 0);
	}
	assert_int_equal(dev_pread(dev, buf, 4, UINT64_MAX), -EINVAL);
	assert_int_equal(dev_pread(dev, buf, 4, INT64_MAX), -EINVAL);
	close(dev);
}

static void bar_memory_is_what_is_mapped(void **state)
{
	int dev = open_device(DEV_ALL), fd;
	struct sv_file *f = sv_file_get(dev);
	struct sv_bar_mapping m;
	uint32_t v = 0x1234567;
	uint8_t *p;
	off_t off;

	(void)state;
	assert_int_equal(dev_pwrite(dev, &v, 4, REGION(2) + 0x1008), 4);
	assert_int_equal(sv_device_mmap(f, 4096, PROT_READ, MAP_SHARED,
					(off_t)REGION(2) + 0x1000, &fd, &off),
			 0);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, off);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_memory_equal(p + 8, &v, 4);
	munmap(p, 4096);
	assert_int_equal(
		sv_device_mapped_bar(f, 4096, (off_t)REGION(2) + 0x1000, &m),
		0);
	assert_ptr_equal(m.dev, sv_device_by_index(DEV_ALL));
	assert_int_equal(m.bar, 2);
	assert_int_equal(m.offset, 0x1000);
	sv_file_put(f);
	close(dev);
}

static void only_bar_memory_can_be_mapped_and_shared(void **state)
{
	int dev = open_device(DEV_ALL), fd, i;
	struct sv_file *f = sv_file_get(dev);
	off_t off, at = (off_t)REGION(2);

	(void)state;
	for (i = 0; i < 12; i++)
		assert_int_equal(sv_device_mmap(f, 4096, 3, MAP_SHARED,
						(off_t)REGION(i), &fd, &off),
				 i == 2 ? 0 : -EINVAL);
	assert_int_equal(sv_device_mmap(f, 4096, 3, MAP_PRIVATE, at, &fd, &off),
			 -EINVAL);
	assert_int_equal(sv_device_mmap(f, BAR2_LEN + 4096, 3, MAP_SHARED, at,
					&fd, &off),
			 -EINVAL);
	assert_int_equal(sv_device_mmap(f, BAR2_LEN, 3, MAP_SHARED, at + 4096,
					&fd, &off),
			 -EINVAL);
	assert_int_equal(sv_device_mmap(f, 0, 3, MAP_SHARED, at, &fd, &off),
			 -EINVAL);
	assert_int_equal(
		sv_device_mmap(f, 4096, 3, MAP_SHARED, -4096, &fd, &off),
		-EINVAL);
	sv_file_put(f);
	close(dev);
}

static void disabled_memory_is_an_io_error(void **state)
{
	int dev = open_device(DEV_ALL);
	uint16_t command = 4, d3 = 3, d0 = 0;
	uint32_t v = 0;

	(void)state;
	assert_int_equal(dev_pwrite(dev, &command, 2, CONFIG + 4), 2);
	assert_int_equal(dev_pread(dev, &v, 4, 0), -EIO);
	assert_int_equal(dev_pread(dev, NULL, 4, 0), -EIO);
	assert_int_equal(dev_pwrite(dev, &v, 4, 0), -EIO);
	assert_int_equal(dev_pwrite(dev, NULL, 4, 0), -EFAULT);
	command = 6;
	assert_int_equal(dev_pwrite(dev, &command, 2, CONFIG + 4), 2);
	assert_int_equal(dev_pread(dev, &v, 4, 0), 4);
	assert_int_equal(dev_pread(dev, NULL, 4, 0), -EFAULT);
	assert_int_equal(dev_pwrite(dev, &d3, 2, CONFIG + 0x44), 2);
	assert_int_equal(dev_pread(dev, &v, 4, 0), -EIO);
	assert_int_equal(dma_write(DEV_ALL, BASE, 4), -EFAULT);
	assert_int_equal(dev_pwrite(dev, &d0, 2, CONFIG + 0x44), 2);
	assert_int_equal(dev_pread(dev, &v, 4, 0), 4);
	assert_int_equal(dma_write(DEV_ALL, BASE, 4), 0);
	close(dev);
}

static void config_space_is_never_short(void **state)
{
	int dev = open_device(DEV_ALL);
	uint8_t buf[512] = { 0 };

	(void)state;
	assert_int_equal(dev_pread(dev, buf, 256, CONFIG), 256);
	assert_int_equal(dev_pread(dev, buf, 257, CONFIG), -EFAULT);
	assert_int_equal(dev_pread(dev, buf, 1, CONFIG + 255), 1);
	assert_int_equal(dev_pread(dev, buf, 8, CONFIG + 252), -EFAULT);
	assert_int_equal(dev_pread(dev, buf, 4, CONFIG + 256), -EFAULT);
	assert_int_equal(dev_pread(dev, buf, 0, CONFIG + 256), 0);
	assert_int_equal(dev_pwrite(dev, buf, 8, CONFIG + 252), -EFAULT);
	assert_int_equal(dev_pread(dev, NULL, 4, CONFIG), -EFAULT);
	close(dev);
}

static uint32_t config(int dev, unsigned int at)
{
	uint32_t v = 0;

	assert_int_equal(dev_pread(dev, &v, 4, CONFIG + at), 4);
	return v;
}

static void set_config(int dev, unsigned int at, uint32_t v)
{
	assert_int_equal(dev_pwrite(dev, &v, 4, CONFIG + at), 4);
}

static void header_tells_device_bars_and_capabilities(void **state)
{
	int dev = open_device(DEV_ALL);
	unsigned int i;

	(void)state;
	assert_int_equal(config(dev, 0), 0x10001d55);
	set_config(dev, 0, 0xffffffff);
	assert_int_equal(config(dev, 0), 0x10001d55);
	for (i = 0; i < 6; i++)
		set_config(dev, 0x10 + 4 * i, 0xffffffff);
	assert_int_equal(config(dev, 0x10), 0xffffe000);
	assert_int_equal(config(dev, 0x14), 0);
	assert_int_equal(config(dev, 0x18), 0xffffe008);
	assert_int_equal(config(dev, 0x24), 0xfffff000);
	set_config(dev, 0x10, 0xfebf1234);
	assert_int_equal(config(dev, 0x10), 0xfebf0000);
	set_config(dev, 0x30, 0xffffffff);
	assert_int_equal(config(dev, 0x30), 0);
	assert_int_equal(config(dev, 0x34) & 0xff, 0x40);
	assert_int_equal(config(dev, 0x40) & 0xffff, 0x5001);
	/* Four vectors, not enabled, table and pending bits in BAR 5. */
	assert_int_equal(config(dev, 0x50), 0x00030011);
	assert_int_equal(config(dev, 0x54), MSIX_BAR);
	assert_int_equal(config(dev, 0x58), 0x800 | MSIX_BAR);
	set_config(dev, 4, 0xffffffff);
	assert_int_equal(config(dev, 4), 0x00100507);
	close(dev);
	dev = open_device(DEV_ALL);
	assert_int_equal(config(dev, 0x10), 0);
	assert_int_equal(config(dev, 4), 0x00100006);
	close(dev);
}

/* What sysfs shows of a device is what its users find. */
static void at_rest_is_as_it_opens(void **state)
{
	struct sv_pci_at_rest rest;
	uint8_t bytes[SV_CONFIG_LEN];
	int dev = open_device(DEV_PLAIN);
	struct vfio_region_info info;
	unsigned int i;

	(void)state;
	sv_pci_at_rest(&machine.devices[DEV_PLAIN], &rest);
	/* Bus mastering is the harness's. */
	set_config(dev, 4, 2);
	assert_int_equal(dev_pread(dev, bytes, sizeof(bytes), CONFIG),
			 sizeof(bytes));
	assert_memory_equal(bytes, rest.config, sizeof(bytes));
	for (i = 0; i < MODEL_NR_BARS; i++) {
		info = (struct vfio_region_info){ .argsz = sizeof(info),
						  .index = i };
		assert_int_equal(
			dev_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
		assert_int_equal(info.size, rest.bar_len[i]);
	}
	close(dev);
}

static void msix_table_reads_as_ones_and_is_not_written(void **state)
{
	int dev = open_device(DEV_ALL);
	uint32_t v = 0;

	(void)state;
	assert_int_equal(dev_pwrite(dev, &v, 4, REGION(MSIX_BAR)), 4);
	assert_int_equal(dev_pread(dev, &v, 4, REGION(MSIX_BAR)), 4);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(dev_pread(dev, &v, 4, REGION(MSIX_BAR) + 0x800), 4);
	assert_int_equal(v, 0);
	close(dev);
}

static void read_and_write_move_the_position(void **state)
{
	int dev = open_device(DEV_ALL);
	uint32_t v[2] = { 0x11111111, 0x22222222 }, r = 0;

	(void)state;
	assert_int_equal(dev_pwrite(dev, v, 8, 0), 8);
	assert_int_equal(dev_read(dev, &r, 4), 4);
	assert_int_equal(r, v[0]);
	assert_int_equal(dev_read(dev, &r, 4), 4);
	assert_int_equal(r, v[1]);
	assert_int_equal(dev_pread(dev, &r, 4, 0), 4);
	assert_int_equal(r, v[0]);
	assert_int_equal(dev_write(dev, &r, 4), 4);
	assert_int_equal(dev_pread(dev, &r, 4, 8), 4);
	assert_int_equal(r, v[0]);
	close(dev);
}

static void touching_a_stopped_device_is_served_and_recorded(void **state)
{
	static const uint32_t stopped[] = { 1, 3, 4 };
	int dev = open_device(DEV_ALL), fd;
	uint64_t before;
	uint32_t v = 9;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(set_state(dev, stopped[i], &fd), 0);
		before = violations(DEV_ALL);
		assert_int_equal(dev_pread(dev, &v, 4, CONFIG), 4);
		assert_int_equal(violations(DEV_ALL), before);
		assert_int_equal(dev_pwrite(dev, &v, 4, 0), 4);
		assert_int_equal(violations(DEV_ALL), before + 1);
		if (fd >= 0)
			close(fd);
	}
	close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(region_info_names_nine_regions),
		cmocka_unit_test(device_info_fits_the_size_asked_for),
		cmocka_unit_test(bar_accesses_are_cut_at_the_end),
		cmocka_unit_test(bar_memory_is_what_is_mapped),
		cmocka_unit_test(only_bar_memory_can_be_mapped_and_shared),
		cmocka_unit_test(disabled_memory_is_an_io_error),
		cmocka_unit_test(config_space_is_never_short),
		cmocka_unit_test(header_tells_device_bars_and_capabilities),
		cmocka_unit_test(at_rest_is_as_it_opens),
		cmocka_unit_test(msix_table_reads_as_ones_and_is_not_written),
		cmocka_unit_test(read_and_write_move_the_position),
		cmocka_unit_test(
			touching_a_stopped_device_is_served_and_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
