/* SPDX-License-Identifier: MIT */
/*
 * Dirty bits: exact, of the size that was mapped, never lost, never cleared
 * for a caller who did not get them.
 */
#include "tests/iommu/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/uapi_vfio.h"
#include "softvfio/space_stats.h"

#define IOVA  (16 * GIB)
#define CLEAR 0u
#define KEEP  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR
#define WORDS 8192

/* One device, one tracking page table. */
struct world {
	int fd;
	uint32_t ioas, devid, hwpt;
	struct test_device dev;
	uint64_t bitmap[WORDS + 1];
};

static struct world *world(void **state)
{
	return *state;
}

static int setup_page(struct world *w, uint64_t page)
{
	memset(w, 0, sizeof(*w));
	w->fd = test_open();
	w->ioas = test_ioas(w->fd);
	test_device_init(&w->dev, true, page);
	w->devid = test_bind(w->fd, &w->dev);
	w->hwpt = test_hwpt(w->fd, w->devid, w->ioas,
			    IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	test_attach(&w->dev, w->hwpt);
	test_tracking(w->fd, w->hwpt, true);
	return 0;
}

static struct world the_world;

static int setup(void **state)
{
	*state = &the_world;
	return setup_page(&the_world, PAGE);
}

static int setup_huge(void **state)
{
	*state = &the_world;
	return setup_page(&the_world, GIB);
}

static int teardown(void **state)
{
	struct world *w = *state;

	test_device_fini(&w->dev);
	test_close(w->fd);
	return test_open_files() ? -1 : 0;
}

/* Reads into a clean bitmap, whose end is guarded. */
static long read_dirty(struct world *w, uint32_t flags, uint64_t iova,
		       uint64_t len)
{
	uint64_t words = (len / PAGE + 63) / 64;
	long r;

	memset(w->bitmap, 0, sizeof(w->bitmap));
	w->bitmap[words] = 0x5a5a5a5a5a5a5a5a;
	r = try_dirty(w->fd, w->hwpt, flags, iova, len, PAGE, w->bitmap);
	assert_int_equal(w->bitmap[words], 0x5a5a5a5a5a5a5a5a);
	w->bitmap[words] = 0;
	return r;
}

static bool bit(const struct world *w, uint64_t i)
{
	return w->bitmap[i / 64] >> (i % 64) & 1;
}

static uint64_t count(const struct world *w)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < WORDS; i++)
		n += (unsigned int)__builtin_popcountll(w->bitmap[i]);
	return n;
}

static void touch(struct world *w, uint64_t iova)
{
	uint64_t value = 0x1234567890abcdef;

	assert_int_equal(test_dma(&w->dev, iova, &value, sizeof(value), false),
			 0);
}

struct sought {
	char name[48];
	struct sv_space_counters found;
};

static void match(void *ctx, const struct sv_space_counters *c)
{
	struct sought *s = ctx;

	/* The last of its name: earlier ones are earlier tests'. */
	if (!strcmp(c->name, s->name))
		s->found = *c;
}

static struct sv_space_counters counters(const struct world *w)
{
	struct sought s = { .name = "" };

	snprintf(s.name, sizeof(s.name), "ioas%u.hwpt%u", w->ioas, w->hwpt);
	sv_spaces_each(match, &s);
	return s.found;
}

static void dirty_is_exact_for_every_size(void **state)
{
	static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, 4097 };
	struct world *w = world(state);
	uint8_t *mem = test_memory(4097 * PAGE, PAGE);
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t nr = sizes[i], len = nr * PAGE, page, want = 0;

		test_map(w->fd, w->ioas, mem, len, IOVA);
		for (page = 0; page < nr; page++) {
			if (page % 3 && page != nr - 1)
				continue;
			touch(w, IOVA + page * PAGE + 8 * (page % 512));
			want++;
		}
		assert_int_equal(read_dirty(w, KEEP, IOVA, len), 0);
		assert_int_equal(count(w), want);
		assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
		assert_int_equal(count(w), want);
		for (page = 0; page < nr; page++)
			assert_int_equal(bit(w, page),
					 !(page % 3) || page == nr - 1);
		assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
		assert_int_equal(count(w), 0);
		assert_int_equal(try_unmap(w->fd, w->ioas, IOVA, &len), 0);
		assert_int_equal(len, nr * PAGE);
	}
	assert_int_equal(counters(w).marks, counters(w).pages_reported);
	munmap(mem, 4097 * PAGE);
}

static void reads_and_nothing_else_cost_read_time(void **state)
{
	struct world *w = world(state);
	uint64_t len = 4 * PAGE, before;
	uint8_t *mem = test_memory(len, PAGE);

	test_map(w->fd, w->ioas, mem, len, IOVA);
	before = counters(w).read_ns;
	touch(w, IOVA);
	assert_int_equal(counters(w).read_ns, before);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
	assert_true(counters(w).read_ns > before);
	assert_int_equal(try_unmap(w->fd, w->ioas, IOVA, &len), 0);
	munmap(mem, 4 * PAGE);
}

static void marks_that_were_never_reported_are_discarded(void **state)
{
	struct world *w = world(state);
	uint64_t len = 4 * PAGE;
	uint8_t *mem = test_memory(len, PAGE);

	/* By enabling anew, */
	test_map(w->fd, w->ioas, mem, len, IOVA);
	touch(w, IOVA);
	touch(w, IOVA + PAGE);
	test_tracking(w->fd, w->hwpt, true);
	assert_int_equal(counters(w).discarded, 2);
	/* with the memory, */
	touch(w, IOVA + 2 * PAGE);
	assert_int_equal(read_dirty(w, KEEP, IOVA, len), 0);
	assert_int_equal(try_unmap(w->fd, w->ioas, IOVA, &len), 0);
	assert_int_equal(counters(w).discarded, 3);
	/* and not what was told. */
	test_map(w->fd, w->ioas, mem, len, IOVA);
	touch(w, IOVA);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
	assert_int_equal(try_unmap(w->fd, w->ioas, IOVA, &len), 0);
	assert_int_equal(counters(w).discarded, 3);
	assert_int_equal(counters(w).pages_reported, 1);
	assert_int_equal(counters(w).marks, 4);
	munmap(mem, 4 * PAGE);
}

static void first_write_to_each_entry_faults(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(4 * PAGE, PAGE);
	const bool faults = w->dev.config.iommu_faults;
	const uint64_t before = counters(w).write_faults;

	test_map(w->fd, w->ioas, mem, 4 * PAGE, IOVA);
	touch(w, IOVA);
	touch(w, IOVA + 8);
	touch(w, IOVA + PAGE);
	assert_int_equal(counters(w).write_faults - before, faults ? 2 : 0);
	assert_int_equal(read_dirty(w, KEEP, IOVA, 4 * PAGE), 0);
	touch(w, IOVA);
	assert_int_equal(counters(w).write_faults - before, faults ? 2 : 0);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, PAGE), 0);
	touch(w, IOVA);
	touch(w, IOVA + PAGE);
	assert_int_equal(counters(w).write_faults - before, faults ? 3 : 0);
	test_tracking(w->fd, w->hwpt, false);
	touch(w, IOVA + 2 * PAGE);
	assert_int_equal(counters(w).write_faults - before, faults ? 3 : 0);
	munmap(mem, 4 * PAGE);
}

static void write_across_pages_marks_both(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(4 * PAGE, PAGE);
	uint8_t data[16];

	memset(data, 0x77, sizeof(data));
	test_map(w->fd, w->ioas, mem, 4 * PAGE, IOVA);
	assert_int_equal(test_dma(&w->dev, IOVA + 2 * PAGE - 8, data,
				  sizeof(data), false),
			 0);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_int_equal(w->bitmap[0], 6);
	assert_memory_equal(mem + 2 * PAGE - 8, data, sizeof(data));
	munmap(mem, 4 * PAGE);
}

static void reads_and_faults_mark_nothing(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(2 * PAGE, PAGE);
	uint64_t iova = IOVA + PAGE, value = 1;

	test_map(w->fd, w->ioas, mem, PAGE, IOVA);
	assert_int_equal(try_map(w->fd, w->ioas,
				 FIXED | IOMMU_IOAS_MAP_READABLE, mem + PAGE,
				 PAGE, &iova),
			 0);
	assert_int_equal(test_dma_read(&w->dev, IOVA, &value, 8), 0);
	assert_int_equal(test_dma(&w->dev, IOVA + PAGE, &value, 8, false),
			 -EFAULT);
	assert_int_equal(test_dma(&w->dev, IOVA + 2 * PAGE, &value, 8, false),
			 -EFAULT);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 2 * PAGE), 0);
	assert_int_equal(count(w), 0);
	munmap(mem, 2 * PAGE);
}

static void last_page_of_the_aperture_is_tracked(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(2 * PAGE, PAGE);
	uint64_t iova = (1ull << 48) - 2 * PAGE;

	test_map(w->fd, w->ioas, mem, 2 * PAGE, iova);
	touch(w, iova + 2 * PAGE - 8);
	assert_int_equal(read_dirty(w, CLEAR, iova, 2 * PAGE), 0);
	assert_int_equal(w->bitmap[0], 2);
	munmap(mem, 2 * PAGE);
}

static void bits_are_added_to_the_callers(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(128 * PAGE, PAGE);
	uint64_t bitmap[2] = { 0x10, 0x20 };

	test_map(w->fd, w->ioas, mem, 128 * PAGE, IOVA);
	touch(w, IOVA);
	touch(w, IOVA + 127 * PAGE);
	assert_int_equal(try_dirty(w->fd, w->hwpt, CLEAR, IOVA, 128 * PAGE,
				   PAGE, bitmap),
			 0);
	assert_int_equal(bitmap[0], 0x11);
	assert_int_equal(bitmap[1], 0x8000000000000020);
	munmap(mem, 128 * PAGE);
}

static void bits_count_from_the_range_asked(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(256 * PAGE, PAGE);

	test_map(w->fd, w->ioas, mem, 256 * PAGE, IOVA);
	touch(w, IOVA + 2 * PAGE);
	touch(w, IOVA + 64 * PAGE);
	touch(w, IOVA + 255 * PAGE);
	assert_int_equal(read_dirty(w, KEEP, IOVA + 2 * PAGE, 254 * PAGE), 0);
	assert_int_equal(count(w), 3);
	assert_true(bit(w, 0) && bit(w, 62) && bit(w, 253));
	/* Only what was asked for is cleared. */
	assert_int_equal(read_dirty(w, CLEAR, IOVA + PAGE, 4 * PAGE), 0);
	assert_int_equal(w->bitmap[0], 2);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 256 * PAGE), 0);
	assert_int_equal(count(w), 2);
	munmap(mem, 256 * PAGE);
}

static void larger_page_sizes_gather_bits(void **state)
{
	static const struct {
		uint64_t page_size, bits;
	} cases[] = { { 8192, 0x8001 }, { 65536, 3 }, { 131072, 1 } };
	struct world *w = world(state);
	uint8_t *mem = test_memory(32 * PAGE, PAGE);
	uint64_t bitmap;
	size_t i;

	test_map(w->fd, w->ioas, mem, 32 * PAGE, IOVA);
	touch(w, IOVA + PAGE);
	touch(w, IOVA + 31 * PAGE);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bitmap = 0;
		assert_int_equal(try_dirty(w->fd, w->hwpt, KEEP, IOVA,
					   32 * PAGE, cases[i].page_size,
					   &bitmap),
				 0);
		assert_int_equal(bitmap, cases[i].bits);
	}
	munmap(mem, 32 * PAGE);
}

static void bad_ranges_are_refused(void **state)
{
	static const struct {
		uint64_t iova, len, page_size;
		long want;
	} cases[] = {
		{ IOVA, 0, PAGE, -EINVAL },
		{ IOVA, MIB, 0, -EINVAL },
		{ IOVA, MIB, 2 * MIB, -EINVAL },
		{ IOVA + PAGE, 2 * PAGE, 2 * PAGE, -EINVAL },
		{ IOVA + 512, PAGE, PAGE, -EINVAL },
		{ IOVA, PAGE + 512, 512, -EINVAL },
		{ UINT64_MAX, MIB, PAGE, -EOVERFLOW },
		{ IOVA, MIB, 1ull << 63, -EINVAL },
		{ 0, PAGE, PAGE, 0 }, /* nothing there */
	};
	struct world *w = world(state);
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(try_dirty(w->fd, w->hwpt, CLEAR, cases[i].iova,
					   cases[i].len, cases[i].page_size,
					   w->bitmap),
				 cases[i].want);
	assert_int_equal(try_dirty(w->fd, w->hwpt, 2, IOVA, MIB, PAGE, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(try_dirty(w->fd, w->ioas, 0, IOVA, MIB, PAGE, NULL),
			 -ENOENT);
}

static void hole_ends_the_walk_and_keeps_what_is_behind(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(4 * PAGE, PAGE);

	test_map(w->fd, w->ioas, mem, PAGE, IOVA);
	test_map(w->fd, w->ioas, mem + PAGE, PAGE, IOVA + PAGE);
	test_map(w->fd, w->ioas, mem + 3 * PAGE, PAGE, IOVA + 3 * PAGE);
	touch(w, IOVA + PAGE);
	touch(w, IOVA + 3 * PAGE);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_int_equal(w->bitmap[0], 2);
	assert_int_equal(read_dirty(w, CLEAR, IOVA + 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(w->bitmap[0], 0);
	assert_int_equal(read_dirty(w, CLEAR, IOVA + 3 * PAGE, PAGE), 0);
	assert_int_equal(w->bitmap[0], 1);
	munmap(mem, 4 * PAGE);
}

static void unwritable_bitmap_puts_every_bit_back(void **state)
{
	struct world *w = world(state);
	uint64_t len = 65536 * PAGE;
	uint8_t *mem = test_memory(len, PAGE);
	/* Two pages of bitmap, the second of them missing. */
	uint8_t *bitmap = test_memory(2 * PAGE, PAGE);

	assert_int_equal(munmap(bitmap + PAGE, PAGE), 0);
	test_map(w->fd, w->ioas, mem, len, IOVA);
	touch(w, IOVA);
	touch(w, IOVA + 40000 * PAGE);
	assert_int_equal(
		try_dirty(w->fd, w->hwpt, CLEAR, IOVA, len, PAGE, NULL),
		-EFAULT);
	assert_int_equal(
		try_dirty(w->fd, w->hwpt, CLEAR, IOVA, len, PAGE, bitmap),
		-EFAULT);
	assert_int_equal(counters(w).pages_reported, 0);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
	assert_int_equal(count(w), 2);
	assert_true(bit(w, 0) && bit(w, 40000));
	assert_int_equal(counters(w).marks, 2);
	assert_int_equal(counters(w).pages_reported, 2);
	/* Clean: the bitmap is not even looked at. */
	assert_int_equal(
		try_dirty(w->fd, w->hwpt, CLEAR, IOVA, len, PAGE, NULL), 0);
	munmap(bitmap, PAGE);
	munmap(mem, len);
}

static void tracking_off_reports_nothing_and_on_starts_clean(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(4 * PAGE, PAGE);

	test_map(w->fd, w->ioas, mem, 4 * PAGE, IOVA);
	touch(w, IOVA);
	test_tracking(w->fd, w->hwpt, false);
	touch(w, IOVA + PAGE);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_int_equal(count(w), 0);
	test_tracking(w->fd, w->hwpt, true);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_int_equal(count(w), 0);
	touch(w, IOVA + 2 * PAGE);
	test_tracking(w->fd, w->hwpt, true);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_int_equal(count(w), 0);
	munmap(mem, 4 * PAGE);
}

static void page_tables_over_one_space_have_their_own_bits(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(4 * PAGE, PAGE);
	struct test_device other;
	uint64_t bitmap = 0;
	uint32_t hwpt;

	test_map(w->fd, w->ioas, mem, 4 * PAGE, IOVA);
	test_device_init(&other, true, PAGE);
	hwpt = test_hwpt(w->fd, test_bind(w->fd, &other), w->ioas,
			 IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	test_attach(&other, hwpt);
	test_tracking(w->fd, hwpt, true);
	touch(w, IOVA);
	assert_int_equal(test_dma(&other, IOVA + PAGE, &bitmap, 8, false), 0);
	assert_int_equal(
		try_dirty(w->fd, hwpt, CLEAR, IOVA, 4 * PAGE, PAGE, &bitmap),
		0);
	assert_int_equal(bitmap, 2);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_int_equal(w->bitmap[0], 1);
	test_device_fini(&other);
	assert_int_equal(try_destroy(w->fd, hwpt), 0);
	munmap(mem, 4 * PAGE);
}

static void entries_are_as_large_as_addresses_allow(void **state)
{
	struct world *w = world(state);
	/* 4K up to 2M, 2M up to 1G, one of 1G, 2M, 4K. */
	uint64_t len = GIB + 8 * MIB, off = 3 * MIB;
	uint8_t *mem = test_memory(2 * GIB + GIB, GIB);
	uint64_t iova = IOVA + GIB - off, page;

	test_map(w->fd, w->ioas, mem + GIB - off, len, iova);
	touch(w, iova + 5 * PAGE);
	assert_int_equal(read_dirty(w, CLEAR, iova, MIB), 0);
	assert_int_equal(w->bitmap[0], 1 << 5);
	assert_int_equal(count(w), 1);
	touch(w, iova + MIB + 300 * PAGE);
	assert_int_equal(read_dirty(w, CLEAR, iova, 4 * MIB), 0);
	assert_int_equal(count(w), 512);
	assert_true(bit(w, 256) && bit(w, 767) && !bit(w, 255) && !bit(w, 768));
	touch(w, iova + off + 7 * PAGE);
	touch(w, iova + off + GIB - PAGE);
	assert_int_equal(read_dirty(w, KEEP, iova, len), 0);
	assert_int_equal(count(w), 262144);
	for (page = 0; page < len / PAGE; page += 128)
		assert_int_equal(bit(w, page),
				 page >= off / PAGE &&
					 page < (off + GIB) / PAGE);
	/* Asked for one page of it, it is reported, and cleared, whole. */
	assert_int_equal(read_dirty(w, CLEAR, iova + off + MIB, PAGE), 0);
	assert_int_equal(w->bitmap[0], UINT64_MAX);
	assert_int_equal(read_dirty(w, CLEAR, iova, len), 0);
	assert_int_equal(count(w), 0);
	touch(w, iova + off + GIB + 3 * MIB);
	touch(w, iova + len - 8);
	assert_int_equal(read_dirty(w, CLEAR, iova, len), 0);
	assert_int_equal(count(w), 513);
	assert_int_equal(counters(w).marks, 5);
	assert_int_equal(counters(w).pages_reported, 5);
	munmap(mem, 3 * GIB);
}

/* Not 4K, nor of any size but its own: up to the first boundary, and behind. */
static void entries_below_2M_are_of_one_size(void **state)
{
	static const uint64_t sizes[] = { 4 * PAGE, 16 * PAGE };
	struct world *w = world(state);
	const uint64_t len = 4 * MIB, iova = IOVA + 2 * MIB - PAGE;
	uint8_t *mem = test_memory(6 * MIB, 2 * MIB);
	size_t i;

	for (i = 0; i < 2; i++) {
		uint64_t nr = sizes[i] / PAGE, gone = len;

		test_device_fini(&w->dev);
		assert_int_equal(try_destroy(w->fd, w->hwpt), 0);
		test_device_init(&w->dev, true, sizes[i]);
		w->devid = test_bind(w->fd, &w->dev);
		w->hwpt = test_hwpt(w->fd, w->devid, w->ioas,
				    IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
		test_attach(&w->dev, w->hwpt);
		test_tracking(w->fd, w->hwpt, true);
		test_map(w->fd, w->ioas, mem + 2 * MIB - PAGE, len, iova);
		touch(w, iova);
		assert_int_equal(read_dirty(w, CLEAR, iova, len), 0);
		assert_int_equal(count(w), 1);
		touch(w, iova + 2 * PAGE);
		assert_int_equal(read_dirty(w, CLEAR, iova, len), 0);
		assert_int_equal(count(w), nr);
		assert_true(bit(w, 1) && bit(w, nr));
		touch(w, iova + 2 * MIB + 3 * PAGE);
		assert_int_equal(read_dirty(w, CLEAR, iova, len), 0);
		assert_int_equal(count(w), nr);
		touch(w, iova + len - PAGE);
		assert_int_equal(read_dirty(w, CLEAR, iova, len), 0);
		assert_int_equal(count(w), 1);
		assert_int_equal(try_unmap(w->fd, w->ioas, iova, &gone), 0);
	}
	munmap(mem, 6 * MIB);
}

static void entries_stay_small_when_they_must(void **state)
{
	struct world *w = world(state);
	uint8_t *mem = test_memory(6 * MIB, 2 * MIB);
	uint64_t val = 0, len = 4 * MIB;

	/* iova and memory are not aligned alike */
	test_map(w->fd, w->ioas, mem + PAGE, len, IOVA);
	touch(w, IOVA);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
	assert_int_equal(count(w), 1);
	/* Entries that exist are not cut later. */
	assert_int_equal(try_option(w->fd, w->ioas, IOMMU_OPTION_OP_SET, &val),
			 -EINVAL);
	assert_int_equal(try_unmap(w->fd, w->ioas, IOVA, &len), 0);
	test_map(w->fd, w->ioas, mem, len, IOVA);
	touch(w, IOVA);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
	assert_int_equal(count(w), 512);
	assert_int_equal(try_unmap(w->fd, w->ioas, IOVA, &len), 0);
	/* the option is off */
	assert_int_equal(try_option(w->fd, w->ioas, IOMMU_OPTION_OP_SET, &val),
			 0);
	test_map(w->fd, w->ioas, mem, len, IOVA);
	touch(w, IOVA);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, len), 0);
	assert_int_equal(count(w), 1);
	munmap(mem, 6 * MIB);
}

static void only_capable_devices_track(void **state)
{
	struct world *w = world(state);
	struct iommu_hw_info info = { .size = sizeof(info),
				      .dev_id = w->devid };
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.pt_id = w->ioas,
	};
	struct test_device plain;
	uint32_t pt = w->hwpt;

	assert_int_equal(test_ioctl(w->fd, IOMMU_GET_HW_INFO, &info), 0);
	assert_int_equal(info.out_capabilities, IOMMU_HW_CAP_DIRTY_TRACKING);
	test_device_init(&plain, false, PAGE);
	info.dev_id = alloc.dev_id = test_bind(w->fd, &plain);
	assert_int_equal(test_ioctl(w->fd, IOMMU_GET_HW_INFO, &info), 0);
	assert_int_equal(info.out_capabilities, 0);
	assert_int_equal(test_ioctl(w->fd, IOMMU_HWPT_ALLOC, &alloc),
			 -EOPNOTSUPP);
	assert_int_equal(sv_iommufd_attach(&plain.dev, &pt), -EINVAL);
	/* An automatic page table never tracks. */
	pt = w->ioas;
	assert_int_equal(sv_iommufd_attach(&plain.dev, &pt), 0);
	assert_int_equal(try_dirty(w->fd, pt, CLEAR, IOVA, MIB, PAGE, NULL),
			 -EOPNOTSUPP);
	test_device_fini(&plain);
}

/* type1 v1 on /dev/iommu: a part of what was mapped may go. */
static void cut_areas_keep_their_dirty_bits(void **state)
{
	struct world *w = world(state);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = IOVA + 4 * PAGE,
		.size = 2 * PAGE,
	};
	struct iommu_vfio_ioas use = { .size = sizeof(use),
				       .ioas_id = w->ioas,
				       .op = IOMMU_VFIO_IOAS_SET };
	uint8_t *va = test_memory(16 * PAGE, PAGE);

	assert_int_equal(test_ioctl(w->fd, IOMMU_VFIO_IOAS, &use), 0);
	assert_int_equal(
		test_ioctl(w->fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU), 0);
	test_map(w->fd, w->ioas, va, 16 * PAGE, IOVA);
	touch(w, IOVA + PAGE);
	touch(w, IOVA + 5 * PAGE);
	touch(w, IOVA + 9 * PAGE);
	assert_int_equal(test_ioctl(w->fd, VFIO_IOMMU_UNMAP_DMA, &unmap), 0);
	assert_int_equal(unmap.size, 2 * PAGE);
	assert_int_equal(read_dirty(w, CLEAR, IOVA, 4 * PAGE), 0);
	assert_true(bit(w, 1));
	assert_int_equal(count(w), 1);
	touch(w, IOVA + 6 * PAGE);
	assert_int_equal(read_dirty(w, CLEAR, IOVA + 6 * PAGE, 10 * PAGE), 0);
	assert_true(bit(w, 0) && bit(w, 3));
	assert_int_equal(count(w), 2);
	munmap(va, 16 * PAGE);
}

int main(int argc, char **argv)
{
#define T(name)	 cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TH(name) cmocka_unit_test_setup_teardown(name, setup_huge, teardown)
	const struct CMUnitTest tests[] = {
		T(cut_areas_keep_their_dirty_bits),
		T(dirty_is_exact_for_every_size),
		T(reads_and_nothing_else_cost_read_time),
		T(marks_that_were_never_reported_are_discarded),
		T(first_write_to_each_entry_faults),
		T(write_across_pages_marks_both),
		T(reads_and_faults_mark_nothing),
		T(last_page_of_the_aperture_is_tracked),
		T(bits_are_added_to_the_callers),
		T(bits_count_from_the_range_asked),
		T(larger_page_sizes_gather_bits),
		T(bad_ranges_are_refused),
		T(hole_ends_the_walk_and_keeps_what_is_behind),
		T(unwritable_bitmap_puts_every_bit_back),
		T(tracking_off_reports_nothing_and_on_starts_clean),
		T(page_tables_over_one_space_have_their_own_bits),
		TH(entries_are_as_large_as_addresses_allow),
		TH(entries_stay_small_when_they_must),
		T(entries_below_2M_are_of_one_size),
		T(only_capable_devices_track),
	};

	(void)argv;
	test_by_faults(argc > 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
