/* SPDX-License-Identifier: MIT */
/*
 * How dirty bits get to the caller: words overwritten, what leaks between
 * reads, bad memory, and unmapping.  Bits come from writes of an mdev.
 */
#include "tests/type1/rig.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/uapi_vfio.h"
#include "softvfio/softvfio.h"

#define START VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define STOP  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP

static int mdev_dev, group, cont;

static int open_mdev(void **state)
{
	(void)state;
	cont = typed(MDEV, &group);
	mdev_dev = device(group, MDEV);
	return track(cont, START);
}

static int close_mdev(void **state)
{
	(void)state;
	close_all(3, mdev_dev, group, cont);
	return 0;
}

static void write_page(uint64_t iova)
{
	assert_int_equal(softvfio_dma_write("mdev", iova, "x", 1), 0);
}

static void a_read_overwrites_whole_words_and_no_more(void **state)
{
	uint64_t words[2] = { UINT64_MAX, UINT64_MAX };

	(void)state;
	write_page(IOVA + 63 * PAGE);
	assert_int_equal(get_bitmap(cont, IOVA, LEN, words), 0);
	assert_int_equal(words[0], BIT(63));
	assert_int_equal(words[1], UINT64_MAX);
}

static void a_range_without_mappings_is_left_alone(void **state)
{
	uint64_t word = 0x1234;

	(void)state;
	assert_int_equal(get_bitmap(cont, 2 * IOVA, LEN, &word), 0);
	assert_int_equal(word, 0x1234);
}

static void a_read_may_not_cut_a_mapping(void **state)
{
	uint64_t word;

	(void)state;
	assert_int_equal(get_bitmap(cont, IOVA + PAGE, LEN - PAGE, &word),
			 -EINVAL);
	assert_int_equal(get_bitmap(cont, IOVA, LEN - PAGE, &word), -EINVAL);
}

/* As Linux does: what the caller had in the word comes back later. */
static void a_mapping_within_a_word_leaks_the_callers_bits(void **state)
{
	const uint64_t at = IOVA + 2 * LEN;
	uint64_t word = UINT64_MAX;

	(void)state;
	assert_int_equal(map(cont, guest, 4 * PAGE, at + 2 * PAGE), 0);
	assert_int_equal(get_bitmap(cont, at, 16 * PAGE, &word), 0);
	assert_int_equal(word, UINT64_MAX);
	word = 0;
	assert_int_equal(get_bitmap(cont, at + 2 * PAGE, 4 * PAGE, &word), 0);
	assert_int_equal(word, UINT64_MAX << 4);
	/* A restart drops them. */
	assert_int_equal(track(cont, STOP), 0);
	assert_int_equal(track(cont, START), 0);
	assert_int_equal(get_bitmap(cont, at + 2 * PAGE, 4 * PAGE, &word), 0);
	assert_int_equal(word, 0);
}

/* The last word of what is shifted exists, and no bit falls off its end. */
static void no_bit_is_lost_by_shifting(void **state)
{
	const uint64_t at = IOVA + 2 * LEN;

	(void)state;
	assert_int_equal(map(cont, guest, LEN, at + 63 * PAGE), 0);
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		uint64_t words[2] = { 0, 0 };

		assert_int_equal(track(cont, STOP), 0);
		assert_int_equal(track(cont, START), 0);
		write_page(at + (63 + i) * PAGE);
		assert_int_equal(get_bitmap(cont, at, 127 * PAGE, words), 0);
		assert_int_equal(words[0], i ? 0 : BIT(63));
		assert_int_equal(words[1], i ? BIT(i - 1) : 0);
	}
}

static void efault_keeps_the_bits(void **state)
{
	void *ro =
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(ro != MAP_FAILED);
	write_page(IOVA + 7 * PAGE);
	assert_int_equal(get_bitmap(cont, IOVA, LEN, ro), -EFAULT);
	assert_int_equal(get_bitmap(cont, IOVA, LEN, NULL), -EFAULT);
	assert_int_equal(unmap_bitmap(cont, IOVA, LEN, ro), -EFAULT);
	munmap(ro, PAGE);
	assert_int_equal(dirty(cont), BIT(7));
}

/* Neither shifted away by the attempt, nor mixed with the caller's. */
static void efault_keeps_the_bits_of_a_shifted_mapping(void **state)
{
	const uint64_t at = IOVA + 2 * LEN;
	void *ro =
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t word = 0;

	(void)state;
	assert_true(ro != MAP_FAILED);
	assert_int_equal(map(cont, guest, 4 * PAGE, at + 2 * PAGE), 0);
	write_page(at + 3 * PAGE);
	assert_int_equal(get_bitmap(cont, at, 16 * PAGE, ro), -EFAULT);
	munmap(ro, PAGE);
	assert_int_equal(get_bitmap(cont, at, 16 * PAGE, &word), 0);
	assert_int_equal(word, BIT(3));
}

static void unmap_gives_the_last_bits(void **state)
{
	uint64_t word = UINT64_MAX;

	(void)state;
	write_page(IOVA + 11 * PAGE);
	assert_int_equal(unmap_bitmap(cont, IOVA, LEN, &word), 0);
	assert_int_equal(word, BIT(11));
	word = 1;
	assert_int_equal(unmap_bitmap(cont, IOVA, LEN, &word), 0);
	assert_int_equal(word, 1);
	assert_int_equal(softvfio_dma_write("mdev", IOVA, "x", 1), -EFAULT);
}

static void unmap_with_bitmap_wants_tracking(void **state)
{
	uint64_t word;

	(void)state;
	assert_int_equal(track(cont, STOP), 0);
	assert_int_equal(unmap_bitmap(cont, IOVA, LEN, &word), -EINVAL);
	write_page(IOVA); /* it is still there, and marking finds no bitmap */
}

static void a_mapping_of_2_31_pages_cannot_be_tracked(void **state)
{
	const uint64_t len = BIT(31) * PAGE;

	(void)state;
	assert_int_equal(map(cont, NULL, len, BIT(45)), -EINVAL);
	assert_int_equal(track(cont, STOP), 0);
	assert_int_equal(map(cont, NULL, len, BIT(45)), 0);
	assert_int_equal(track(cont, START), -EINVAL);
	assert_int_equal(unmap(cont, BIT(45), len), 0);
	assert_int_equal(track(cont, START), 0);
}

#define PROMISE(fn) cmocka_unit_test_setup_teardown(fn, open_mdev, close_mdev)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROMISE(a_read_overwrites_whole_words_and_no_more),
		PROMISE(a_range_without_mappings_is_left_alone),
		PROMISE(a_read_may_not_cut_a_mapping),
		PROMISE(a_mapping_within_a_word_leaks_the_callers_bits),
		PROMISE(no_bit_is_lost_by_shifting),
		PROMISE(efault_keeps_the_bits),
		PROMISE(efault_keeps_the_bits_of_a_shifted_mapping),
		PROMISE(unmap_gives_the_last_bits),
		PROMISE(unmap_with_bitmap_wants_tracking),
		PROMISE(a_mapping_of_2_31_pages_cannot_be_tracked),
	};

	return cmocka_run_group_tests(tests, make_guest, free_guest);
}
