/* SPDX-License-Identifier: MIT */
/*
 * iommufd's answers: argument frames, address spaces, mapping, attaching.
 * What is expected here is what Linux 6.12 answers.
 */
#include "tests/iommu/fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN (64 * PAGE)

struct world {
	int fd;
	uint32_t ioas;
	uint8_t *mem;
};

static struct world the_world;

static int setup(void **state)
{
	struct world *w = &the_world;

	w->fd = test_open();
	w->ioas = test_ioas(w->fd);
	w->mem = test_memory(LEN, 2 * MIB);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	test_close(w->fd);
	munmap(w->mem, LEN);
	return test_open_files() ? -1 : 0;
}

static long map_at(const struct world *w, const void *va, uint64_t len,
		   uint64_t iova)
{
	return try_map(w->fd, w->ioas, FIXED | RW, va, len, &iova);
}

static long unmap_all(const struct world *w)
{
	uint64_t len = UINT64_MAX;

	return try_unmap(w->fd, w->ioas, 0, &len);
}

static void argument_sizes_are_checked(void **state)
{
	struct world *w = *state;
	struct {
		struct iommu_ioas_map arg;
		uint8_t tail[3000];
	} a = { .arg = { .flags = FIXED | RW,
			 .ioas_id = w->ioas,
			 .user_va = (uintptr_t)w->mem,
			 .length = PAGE } };
	static const struct {
		uint32_t size;
		uint8_t tail;
		long want;
	} cases[] = {
		{ 0, 0, -EINVAL },	{ 39, 0, -EINVAL },   { 40, 0xff, 0 },
		{ 48, 0, 0 },		{ 48, 0xff, -E2BIG }, { 3040, 0, 0 },
		{ 3040, 0xff, -E2BIG },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a.arg.size = cases[i].size;
		a.arg.iova = MIB * (i + 1);
		memset(a.tail, 0, sizeof(a.tail));
		if (cases[i].size <= 48)
			a.tail[7] = cases[i].tail;
		else
			a.tail[2999] = cases[i].tail;
		assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_MAP, &a),
				 cases[i].want);
	}
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_MAP, NULL), -EFAULT);
	assert_int_equal(test_ioctl(w->fd, _IO(';', 0x7f), &a), -ENOTTY);
	assert_int_equal(test_ioctl(w->fd, _IO(';', 0x90), &a), -ENOTTY);
	assert_int_equal(test_ioctl(w->fd, _IO('x', 0x85), &a), -ENOTTY);
}

static void ids_are_the_lowest_free_and_rolled_back(void **state)
{
	struct world *w = *state;
	struct iommu_ioas_alloc *ro = (void *)w->mem;
	uint32_t second = test_ioas(w->fd);

	assert_int_equal(second, w->ioas + 1);
	assert_int_equal(try_destroy(w->fd, w->ioas), 0);
	assert_int_equal(try_destroy(w->fd, w->ioas), -ENOENT);
	assert_int_equal(try_destroy(w->fd, 0), -ENOENT);
	assert_int_equal(try_destroy(w->fd, UINT32_MAX), -ENOENT);
	/* The reply cannot be written: as if it had not been. */
	ro->size = sizeof(*ro);
	mprotect(w->mem, PAGE, PROT_READ);
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_ALLOC, ro), -EFAULT);
	assert_int_equal(test_ioas(w->fd), w->ioas);
}

static void map_arguments_are_checked_in_order(void **state)
{
	struct world *w = *state;
	uint64_t va = (uintptr_t)w->mem;
	const struct {
		uint32_t flags, ioas;
		uint64_t va, len, iova;
		long want;
	} cases[] = {
		{ RW | 8, 99, va, 0, UINT64_MAX, -EOPNOTSUPP },
		{ FIXED, 99, va, UINT64_MAX, 0, -EOVERFLOW },
		{ FIXED, 99, va, PAGE, 0, -EINVAL },
		{ FIXED | RW, 99, va, 0, 0, -ENOENT },
		{ FIXED | RW, w->ioas, va, 0, 0, -EINVAL },
		{ FIXED | RW, w->ioas, va, UINT64_MAX - 1, 0, -EINVAL },
		{ FIXED | RW, w->ioas, -PAGE, PAGE, 0, -EOVERFLOW },
		{ FIXED | RW, w->ioas, va, 2 * PAGE, -PAGE, -EOVERFLOW },
		{ FIXED | RW, w->ioas, va, PAGE, -PAGE, 0 },
		{ FIXED | RW, w->ioas, va, PAGE, -PAGE, -EEXIST },
		{ FIXED | RW, w->ioas, va + 1, 1, 0x700003, 0 },
		{ FIXED | RW, w->ioas, 0, PAGE, 0, 0 },
		{ RW, w->ioas, va, 1ull << 63, 0, -EOVERFLOW },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t iova = cases[i].iova;

		assert_int_equal(try_map(w->fd, cases[i].ioas, cases[i].flags,
					 (void *)(uintptr_t)cases[i].va,
					 cases[i].len, &iova),
				 cases[i].want);
	}
}

static void automatic_addresses_fit_first_and_keep_alignment(void **state)
{
	struct world *w = *state;
	const struct {
		uint64_t off, len, want;
	} cases[] = {
		{ 0, PAGE, PAGE },	    { 0, 16 * PAGE, 2 * PAGE },
		{ 1, PAGE, 18 * PAGE + 1 }, { 100, 3996, 19 * PAGE + 100 },
		{ 0, 1, 19 * PAGE + 1 },    { 0, 3, 19 * PAGE + 4 },
		{ 0, PAGE, 20 * PAGE },
	};
	uint64_t iova, len = PAGE;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		iova = 0;
		assert_int_equal(try_map(w->fd, w->ioas, RW,
					 w->mem + cases[i].off, cases[i].len,
					 &iova),
				 0);
		assert_int_equal(iova, cases[i].want);
	}
	assert_int_equal(try_unmap(w->fd, w->ioas, PAGE, &len), 0);
	assert_int_equal(try_map(w->fd, w->ioas, RW, w->mem, PAGE, &iova), 0);
	assert_int_equal(iova, PAGE);
}

static void allowed_ranges_bind_automatic_addresses(void **state)
{
	struct world *w = *state;
	struct iommu_iova_range allowed[] = {
		{ .start = 16 * MIB, .last = 16 * MIB + 2 * PAGE - 1 },
		{ .start = MIB, .last = MIB + PAGE - 1 },
	};
	struct iommu_ioas_allow_iovas a = {
		.size = sizeof(a),
		.ioas_id = w->ioas,
		.num_iovas = 2,
		.allowed_iovas = (uintptr_t)allowed,
	};
	uint64_t iova = 0;

	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_ALLOW_IOVAS, &a), 0);
	assert_int_equal(try_map(w->fd, w->ioas, RW, w->mem, PAGE, &iova), 0);
	assert_int_equal(iova, MIB);
	assert_int_equal(try_map(w->fd, w->ioas, RW, w->mem, PAGE, &iova), 0);
	assert_int_equal(iova, 16 * MIB);
	iova = 0;
	assert_int_equal(try_map(w->fd, w->ioas, RW, w->mem, 2 * PAGE, &iova),
			 -ENOSPC);
	assert_int_equal(map_at(w, w->mem, PAGE, GIB), 0);
	/* Neighbours are one. */
	allowed[0] =
		(struct iommu_iova_range){ MIB + PAGE, MIB + 2 * PAGE - 1 };
	assert_int_equal(unmap_all(w), 0);
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_ALLOW_IOVAS, &a), 0);
	assert_int_equal(try_map(w->fd, w->ioas, RW, w->mem, 2 * PAGE, &iova),
			 0);
	assert_int_equal(iova, MIB);
	allowed[1].last = 16 * MIB; /* they overlap */
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_ALLOW_IOVAS, &a),
			 -EINVAL);
}

static void unmap_takes_whole_areas_and_stops_at_a_cut_one(void **state)
{
	struct world *w = *state;
	uint64_t len = 3 * PAGE;

	test_map(w->fd, w->ioas, w->mem, PAGE, MIB);
	test_map(w->fd, w->ioas, w->mem, PAGE, MIB + PAGE);
	test_map(w->fd, w->ioas, w->mem, 2 * PAGE, MIB + 2 * PAGE);
	assert_int_equal(try_unmap(w->fd, w->ioas, MIB, &len), -ENOENT);
	/* The two before it are gone all the same. */
	assert_int_equal(map_at(w, w->mem, 2 * PAGE, MIB), 0);
	len = PAGE;
	assert_int_equal(try_unmap(w->fd, w->ioas, MIB + 3 * PAGE, &len),
			 -ENOENT);
	len = 0;
	assert_int_equal(try_unmap(w->fd, w->ioas, MIB, &len), -EINVAL);
	len = UINT64_MAX;
	assert_int_equal(try_unmap(w->fd, w->ioas, MIB, &len), -EOVERFLOW);
	len = UINT64_MAX;
	assert_int_equal(try_unmap(w->fd, w->ioas, 0, &len), 0);
	assert_int_equal(len, 4 * PAGE);
	assert_int_equal(unmap_all(w), 0);
	len = UINT64_MAX - 1;
	assert_int_equal(try_unmap(w->fd, w->ioas, 0, &len), -ENOENT);
}

static void copy_shares_memory_and_outlives_its_source(void **state)
{
	struct world *w = *state;
	uint32_t dst = test_ioas(w->fd);
	uint64_t iova = 4 * MIB, value = 0;
	struct test_device dev;

	test_map(w->fd, w->ioas, w->mem, 4 * PAGE, MIB);
	test_map(w->fd, w->ioas, w->mem + 4 * PAGE, 4 * PAGE, MIB + 4 * PAGE);
	assert_int_equal(try_copy(w->fd, dst, w->ioas, FIXED | RW, 2 * PAGE,
				  &iova, MIB + 3 * PAGE),
			 0);
	assert_int_equal(
		try_copy(w->fd, dst, w->ioas, FIXED | RW, PAGE, &iova, MIB),
		-EEXIST);
	assert_int_equal(try_copy(w->fd, dst, w->ioas, FIXED | RW, 2 * PAGE,
				  &iova, MIB + 7 * PAGE),
			 -ENOENT);
	iova = 0;
	assert_int_equal(try_copy(w->fd, dst, w->ioas, RW, PAGE, &iova, MIB),
			 0);
	assert_int_equal(iova, PAGE);
	assert_int_equal(try_destroy(w->fd, w->ioas), 0);
	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	test_attach(&dev, dst);
	value = 0x55aa;
	assert_int_equal(test_dma(&dev, 4 * MIB + PAGE, &value, 8, false), 0);
	assert_memory_equal(w->mem + 4 * PAGE, &value, 8);
	test_device_fini(&dev);
}

static void copy_needs_writable_memory_to_write(void **state)
{
	struct world *w = *state;
	uint32_t dst = test_ioas(w->fd);
	uint64_t iova = MIB;

	assert_int_equal(try_map(w->fd, w->ioas,
				 FIXED | IOMMU_IOAS_MAP_READABLE, w->mem, PAGE,
				 &iova),
			 0);
	assert_int_equal(
		try_copy(w->fd, dst, w->ioas, FIXED | RW, PAGE, &iova, MIB),
		-EPERM);
	assert_int_equal(try_copy(w->fd, dst, w->ioas,
				  FIXED | IOMMU_IOAS_MAP_READABLE, PAGE, &iova,
				  MIB),
			 0);
	/* What is in the way is found first. */
	assert_int_equal(
		try_copy(w->fd, dst, w->ioas, FIXED | RW, PAGE, &iova, MIB),
		-EEXIST);
}

static void bad_memory_is_refused_by_the_first_page_table(void **state)
{
	struct world *w = *state;
	uint8_t *hole = test_memory(2 * PAGE, PAGE);
	struct test_device dev;
	uint32_t pt;

	munmap(hole, 2 * PAGE);
	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	test_map(w->fd, w->ioas, w->mem, PAGE, MIB);
	test_map(w->fd, w->ioas, hole, PAGE, 2 * MIB);
	pt = w->ioas;
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EFAULT);
	assert_null(dev.dev.attachment);
	assert_int_equal(unmap_all(w), 0);
	test_attach(&dev, w->ioas);
	assert_int_equal(map_at(w, hole, PAGE, 2 * MIB), -EFAULT);
	mprotect(w->mem, PAGE, PROT_READ);
	assert_int_equal(map_at(w, w->mem, PAGE, 2 * MIB), -EFAULT);
	mprotect(w->mem, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(map_at(w, w->mem, PAGE, 2 * MIB), 0);
	test_device_fini(&dev);
	assert_int_equal(try_destroy(w->fd, w->ioas), 0);
}

/* Where nothing was attached the space is looked at first. */
static void
replacing_table_is_filled_before_the_space_is_looked_at(void **state)
{
	struct world *w = *state;
	uint8_t *hole = test_memory(PAGE, PAGE);
	uint32_t other = test_ioas(w->fd), pt = other;
	struct test_device dev;

	munmap(hole, PAGE);
	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	test_map(w->fd, other, hole, PAGE, 0xfee00000);
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EADDRINUSE);
	test_attach(&dev, w->ioas);
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EFAULT);
	test_map(w->fd, w->ioas, w->mem, PAGE, MIB);
	assert_int_equal(test_dma(&dev, MIB, "x", 1, false), 0);
	test_device_fini(&dev);
	assert_int_equal(try_destroy(w->fd, other), 0);
}

static void peers_bar_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t *bar = test_memory(PAGE, PAGE);
	struct test_device dev;
	struct sv_bar_mapping m = { .dev = &dev.dev, .bar = 2 };

	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	test_attach(&dev, w->ioas);
	assert_int_equal(map_at(w, bar, PAGE, MIB), 0);
	sv_note_bar_mapping(bar, PAGE, &m);
	assert_int_equal(map_at(w, bar, PAGE, 2 * MIB), -EFAULT);
	test_device_fini(&dev);
}

static void attaching_narrows_the_space(void **state)
{
	struct world *w = *state;
	struct iommu_iova_range r[4];
	struct iommu_ioas_iova_ranges a = { .size = sizeof(a),
					    .ioas_id = w->ioas,
					    .num_iovas = 4,
					    .allowed_iovas = (uintptr_t)r };
	static const struct {
		uint64_t off, len, iova;
	} misfits[] = {
		{ 0, 100, MIB },	 { 512, PAGE, MIB },
		{ 0, PAGE, MIB + 512 },	 { 0, PAGE, 0xfee00000 },
		{ 0, PAGE, 1ull << 48 },
	};
	struct test_device dev;
	uint32_t pt;
	size_t i;

	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_IOVA_RANGES, &a), 0);
	assert_int_equal(a.num_iovas, 1);
	assert_int_equal(a.out_iova_alignment, 1);
	for (i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++) {
		test_map(w->fd, w->ioas, w->mem + misfits[i].off,
			 misfits[i].len, misfits[i].iova);
		pt = w->ioas;
		assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EADDRINUSE);
		assert_int_equal(unmap_all(w), 0);
	}
	test_attach(&dev, w->ioas);
	for (i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++)
		assert_int_equal(map_at(w, w->mem + misfits[i].off,
					misfits[i].len, misfits[i].iova),
				 -EINVAL);
	a.num_iovas = 4;
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_IOVA_RANGES, &a), 0);
	assert_int_equal(a.num_iovas, 2);
	assert_int_equal(a.out_iova_alignment, PAGE);
	assert_int_equal(r[0].last, 0xfedfffff);
	assert_int_equal(r[1].start, 0xfef00000);
	assert_int_equal(r[1].last, 0xffffffffffff);
	a.num_iovas = 1;
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_IOVA_RANGES, &a),
			 -EMSGSIZE);
	assert_int_equal(a.num_iovas, 2);
	test_device_fini(&dev);
}

static void attaching_again_replaces(void **state)
{
	struct world *w = *state;
	uint32_t other = test_ioas(w->fd), pt = w->ioas, first, devid;
	struct test_device dev, second;
	uint64_t value = 1;

	test_device_init(&dev, false, PAGE);
	test_device_init(&second, false, PAGE);
	devid = test_bind(w->fd, &dev);
	test_bind(w->fd, &second);
	test_map(w->fd, w->ioas, w->mem, PAGE, MIB);
	test_map(w->fd, other, w->mem + PAGE, PAGE, MIB);
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), 0);
	first = pt;
	pt = w->ioas;
	assert_int_equal(sv_iommufd_attach(&second.dev, &pt), 0);
	assert_int_equal(pt, first);
	assert_int_equal(sv_iommufd_detach(&second.dev), 0);
	assert_int_equal(try_destroy(w->fd, w->ioas), -EBUSY);
	assert_int_equal(try_destroy(w->fd, first), -EBUSY);
	assert_int_equal(try_destroy(w->fd, devid), -EBUSY);
	pt = devid;
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EINVAL);
	pt = other;
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), 0);
	assert_int_equal(try_destroy(w->fd, first), -ENOENT);
	assert_int_equal(try_destroy(w->fd, w->ioas), 0);
	assert_int_equal(test_dma(&dev, MIB, &value, 8, false), 0);
	assert_memory_equal(w->mem + PAGE, &value, 8);
	assert_int_equal(sv_iommufd_detach(&dev.dev), 0);
	assert_int_equal(sv_iommufd_detach(&dev.dev), 0);
	assert_int_equal(test_dma(&dev, MIB, &value, 8, false), -EFAULT);
	assert_int_equal(try_destroy(w->fd, other), 0);
	test_device_fini(&second);
	test_device_fini(&dev);
}

static void binding_holds_the_context(void **state)
{
	struct world *w = *state;
	int fd = test_open(), other = test_open();
	uint32_t ioas = test_ioas(fd), pt = ioas, id = 0;
	struct test_device dev;

	(void)w;
	test_device_init(&dev, false, PAGE);
	assert_int_equal(sv_iommufd_bind(-1, &dev.dev, &id), -EINVAL);
	assert_int_equal(sv_iommufd_bind(9999, &dev.dev, &id), -EBADF);
	assert_int_equal(sv_iommufd_bind(STDERR_FILENO, &dev.dev, &id),
			 -EBADFD);
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EINVAL);
	test_bind(fd, &dev);
	assert_int_equal(sv_iommufd_bind(fd, &dev.dev, &id), -EINVAL);
	assert_int_equal(sv_iommufd_bind(other, &dev.dev, &id), -EINVAL);
	assert_int_equal(id, 0);
	test_close(fd);
	test_attach(&dev, ioas);
	test_device_fini(&dev);
	test_close(other);
	assert_int_equal(test_open_files(), 1);
}

static void emulated_devices_reach_the_space_directly(void **state)
{
	struct world *w = *state;
	struct iommu_hw_info info = { .size = sizeof(info) };
	uint64_t value = 42, len = 4 * PAGE;
	struct test_device dev, real;
	uint32_t pt, hwpt;

	test_device_init(&dev, true, PAGE);
	test_device_init(&real, true, PAGE);
	dev.config.emulated = true;
	info.dev_id = test_bind(w->fd, &dev);
	assert_int_equal(test_ioctl(w->fd, IOMMU_GET_HW_INFO, &info), -ENOENT);
	hwpt = test_hwpt(w->fd, test_bind(w->fd, &real), w->ioas, 0);
	pt = hwpt;
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -ENOENT);
	assert_int_equal(try_destroy(w->fd, hwpt), 0);
	test_attach(&dev, w->ioas);
	/* Nothing is pinned before it is used: bad memory is a fault then. */
	assert_int_equal(map_at(w, NULL, PAGE, 2 * MIB), 0);
	assert_int_equal(map_at(w, w->mem, 100, 3 * MIB), -EINVAL);
	test_map(w->fd, w->ioas, w->mem, 4 * PAGE, MIB);
	assert_int_equal(test_dma(&dev, MIB + PAGE, &value, 8, false), 0);
	assert_memory_equal(w->mem + PAGE, &value, 8);
	assert_int_equal(test_dma(&dev, 2 * MIB, &value, 8, false), -EFAULT);
	assert_int_equal(sv_attachment_pin(dev.dev.attachment, MIB, 4, true),
			 0);
	assert_int_equal(sv_attachment_pin(dev.dev.attachment, MIB, 5, true),
			 -ENOENT);
	assert_int_equal(sv_attachment_unpin(dev.dev.attachment, MIB, 4), 0);
	assert_int_equal(try_destroy(w->fd, w->ioas), -EBUSY);
	assert_int_equal(try_unmap(w->fd, w->ioas, MIB, &len), 0);
	assert_int_equal(test_dma(&dev, MIB, &value, 8, false), -EFAULT);
	test_device_fini(&dev);
	test_device_fini(&real);
}

static void pins_last_as_long_as_a_page_table(void **state)
{
	struct world *w = *state;
	uint8_t *mem = test_memory(PAGE, PAGE);
	uint64_t value = 7, iova = 2 * MIB, back = 0;
	struct test_device dev;
	uint32_t pt = w->ioas;

	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	test_map(w->fd, w->ioas, mem, PAGE, MIB);
	test_attach(&dev, w->ioas);
	munmap(mem, PAGE);
	assert_int_equal(test_dma(&dev, MIB, &value, 8, false), 0);
	assert_int_equal(
		try_copy(w->fd, w->ioas, w->ioas, FIXED | RW, PAGE, &iova, MIB),
		0);
	assert_int_equal(test_dma_read(&dev, 2 * MIB, &back, 8), 0);
	assert_int_equal(back, value);
	assert_int_equal(sv_iommufd_detach(&dev.dev), 0);
	assert_int_equal(sv_iommufd_attach(&dev.dev, &pt), -EFAULT);
	test_device_fini(&dev);
}

static void file_is_mapped_without_an_address(void **state)
{
	struct world *w = *state;
	int memfd = memfd_create("test", MFD_CLOEXEC);
	struct iommu_ioas_map_file a = { .size = sizeof(a),
					 .flags = FIXED | RW,
					 .ioas_id = w->ioas,
					 .fd = memfd,
					 .start = PAGE,
					 .length = 2 * PAGE,
					 .iova = MIB };
	uint64_t value = 0x1122, back = 0;
	struct test_device dev;

	assert_int_equal(ftruncate(memfd, 3 * PAGE), 0);
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_MAP_FILE, &a), 0);
	test_device_init(&dev, false, PAGE);
	test_bind(w->fd, &dev);
	test_attach(&dev, w->ioas);
	assert_int_equal(sv_iommufd_detach(&dev.dev), 0);
	test_attach(&dev, w->ioas);
	assert_int_equal(test_dma(&dev, MIB + PAGE, &value, 8, false), 0);
	assert_int_equal(pread(memfd, &back, 8, 2 * PAGE), 8);
	assert_int_equal(back, value);
	test_set_kernel(SV_KERNEL_6_12);
	assert_int_equal(test_ioctl(w->fd, IOMMU_IOAS_MAP_FILE, &a), -ENOTTY);
	test_set_kernel(SV_KERNEL_LATEST);
	test_device_fini(&dev);
	close(memfd);
}

static void old_kernels_have_no_iommufd(void **state)
{
	struct sv_file *f = NULL;

	(void)state;
	test_set_kernel(SV_KERNEL_6_1);
	assert_int_equal(sv_iommufd_open(&f), -ENOENT);
	assert_null(f);
	test_set_kernel(SV_KERNEL_LATEST);
}

static void closing_releases_what_is_left(void **state)
{
	struct world *w = *state;
	struct test_device dev;
	uint32_t devid;

	test_device_init(&dev, true, 2 * MIB);
	devid = test_bind(w->fd, &dev);
	test_map(w->fd, w->ioas, w->mem, LEN, MIB);
	test_hwpt(w->fd, devid, w->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	test_hwpt(w->fd, devid, w->ioas, 0);
	test_attach(&dev, w->ioas);
	test_device_fini(&dev);
	/* The teardown closes, and the leak checker looks. */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(argument_sizes_are_checked),
		T(ids_are_the_lowest_free_and_rolled_back),
		T(map_arguments_are_checked_in_order),
		T(automatic_addresses_fit_first_and_keep_alignment),
		T(allowed_ranges_bind_automatic_addresses),
		T(unmap_takes_whole_areas_and_stops_at_a_cut_one),
		T(copy_shares_memory_and_outlives_its_source),
		T(copy_needs_writable_memory_to_write),
		T(bad_memory_is_refused_by_the_first_page_table),
		T(replacing_table_is_filled_before_the_space_is_looked_at),
		T(peers_bar_is_refused),
		T(attaching_narrows_the_space),
		T(attaching_again_replaces),
		T(binding_holds_the_context),
		T(emulated_devices_reach_the_space_directly),
		T(pins_last_as_long_as_a_page_table),
		T(file_is_mapped_without_an_address),
		T(old_kernels_have_no_iommufd),
		T(closing_releases_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
