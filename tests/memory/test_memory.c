/* SPDX-License-Identifier: MIT */
/* The memory map: order, overlaps, and the alias that migration uses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <spoor/error.h>
#include <spoor/memory.h>

#define PAGE UINT64_C(4096)
#define SIZE (16 * PAGE)

struct backing {
	int fd;
	char *hva;
};

static int set_up(void **state)
{
	struct backing *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->fd = memfd_create("spoor-test", MFD_CLOEXEC);
	assert_true(b->fd >= 0);
	assert_int_equal(ftruncate(b->fd, SIZE), 0);
	b->hva = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	assert_ptr_not_equal(b->hva, MAP_FAILED);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct backing *b = *state;

	munmap(b->hva, SIZE);
	close(b->fd);
	free(b);
	return 0;
}

/* Pages [first, first + nr) of the file at @iova. */
static struct spoor_region region(const struct backing *b, uint64_t iova,
				  uint64_t first, uint64_t nr)
{
	return (struct spoor_region){
		.range = { iova, nr * PAGE },
		.hva = b->hva + first * PAGE,
		.fd = b->fd,
		.offset = first * PAGE,
	};
}

static struct spoor_memory *new_memory(void)
{
	struct spoor_memory *m = NULL;

	assert_int_equal(spoor_memory_new(&m), 0);
	return m;
}

static void regions_come_sorted(void **state)
{
	static const uint64_t iovas[] = {
		0x500000000, 0,	       -(2 * PAGE), 0x10000,
		2 * PAGE,    4 * PAGE, 0x600000000, 0x20000,
	};
	struct spoor_memory *m = new_memory();
	const struct spoor_region *regions;
	size_t i;

	for (i = 0; i < 8; i++) {
		struct spoor_region r = region(*state, iovas[i], 2 * i, 2);

		assert_int_equal(spoor_memory_add(m, &r), 0);
		assert_int_equal(spoor_memory_regions(m, &regions), i + 1);
	}
	for (i = 1; i < 8; i++)
		assert_true(regions[i - 1].range.iova < regions[i].range.iova);
	assert_int_equal(spoor_memory_size(m), SIZE);

	/* Each alias shows its own region, wherever it was sorted to. */
	for (i = 0; i < 8; i++) {
		struct spoor_range first = { regions[i].range.iova, 1 };

		*(volatile char *)regions[i].hva = (char)(i + 1);
		assert_int_equal(*(char *)spoor_memory_at(m, &first), i + 1);
	}
	assert_null(spoor_memory_free(m));
	assert_null(spoor_memory_free(NULL));
}

static void alias_is_the_same_bytes_at_another_address(void **state)
{
	struct backing *b = *state;
	struct spoor_region r = region(b, 0x100000, 3, 4);
	struct spoor_memory *m = new_memory();
	struct spoor_range at = { 0x101234, 5 };
	char *alias;

	assert_int_equal(spoor_memory_add(m, &r), 0);
	alias = spoor_memory_at(m, &at);
	assert_non_null(alias);
	assert_ptr_not_equal(alias, b->hva + 3 * PAGE + 0x1234);
	memcpy(alias, "hello", 5);
	assert_memory_equal(b->hva + 3 * PAGE + 0x1234, "hello", 5);

	at = (struct spoor_range){ 0x100000, 4 * PAGE };
	assert_non_null(spoor_memory_at(m, &at));
	at = (struct spoor_range){ 0x100000, 4 * PAGE + 1 };
	assert_null(spoor_memory_at(m, &at));
	at = (struct spoor_range){ 0xfffff, 1 };
	assert_null(spoor_memory_at(m, &at));
	at = (struct spoor_range){ 0x104000, 1 };
	assert_null(spoor_memory_at(m, &at));
	at = (struct spoor_range){ 0x100000, 0 };
	assert_null(spoor_memory_at(m, &at));
	spoor_memory_free(m);
	/* The caller's own mapping is still there. */
	assert_memory_equal(b->hva + 3 * PAGE + 0x1234, "hello", 5);
}

static void memory_without_a_file_is_its_own_alias(void **state)
{
	struct backing *b = *state;
	struct spoor_region r = region(b, 0x100000, 0, 4);
	struct spoor_memory *m = new_memory();
	struct spoor_range at = { 0x101000, 1 };

	r.fd = -1;
	assert_int_equal(spoor_memory_add(m, &r), 0);
	assert_ptr_equal(spoor_memory_at(m, &at), b->hva + PAGE);
	spoor_memory_free(m);
	b->hva[0] = 1; /* still mapped */
}

static void neighbours_are_no_overlap(void **state)
{
	struct spoor_region low = region(*state, 0x1000, 0, 4);
	struct spoor_region high = region(*state, 0x5000, 4, 4);
	struct spoor_memory *m = new_memory();
	struct spoor_range across = { 0x4fff, 2 };

	assert_int_equal(spoor_memory_add(m, &high), 0);
	assert_int_equal(spoor_memory_add(m, &low), 0);
	/* Two regions: two mappings. */
	assert_null(spoor_memory_at(m, &across));
	spoor_memory_free(m);
}

static void overlaps_are_refused_by_address(void **state)
{
	struct spoor_region r = region(*state, 0x10000, 0, 4);
	struct spoor_memory *m = new_memory();
	const struct spoor_region *regions;
	static const uint64_t iovas[] = { 0xf000, 0x10000, 0x11000, 0x13000 };
	size_t i;

	assert_int_equal(spoor_memory_add(m, &r), 0);
	for (i = 0; i < 4; i++) {
		r = region(*state, iovas[i], 8, 2);
		assert_int_equal(spoor_memory_add(m, &r), -EEXIST);
		assert_non_null(strstr(spoor_errmsg(), "0x10000+0x4000"));
	}
	r = region(*state, 0x8000, 8, 8);
	r.range.len = 0x20000;
	r.fd = -1;
	assert_int_equal(spoor_memory_add(m, &r), -EEXIST);

	r = region(*state, 0x20000, 3, 2);
	assert_int_equal(spoor_memory_add(m, &r), -EEXIST);
	assert_non_null(strstr(spoor_errmsg(), "host address"));
	assert_int_equal(spoor_memory_regions(m, &regions), 1);
	spoor_memory_free(m);
}

static void bad_regions_are_refused(void **state)
{
	const struct spoor_region good = region(*state, 0x10000, 0, 4);
	struct spoor_memory *m = new_memory();
	const struct spoor_region *regions;
	struct spoor_region bad[10];
	size_t i;

	for (i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].range.len = 0;
	bad[1].range.len = 0x1800;
	bad[2].range.iova = 0x800;
	bad[3].range.iova = -(2 * PAGE);
	bad[4].flags = 2;
	bad[5].hva = NULL;
	bad[6].hva = (char *)bad[6].hva + 8;
	bad[7].offset = 0x800;
	bad[8].offset = SIZE - 3 * PAGE;
	bad[9].offset = -PAGE;
	for (i = 0; i < 10; i++) {
		assert_int_equal(spoor_memory_add(m, &bad[i]), -EINVAL);
		assert_non_null(strstr(spoor_errmsg(), "memory at 0x"));
	}
	assert_int_equal(spoor_memory_regions(m, &regions), 0);
	assert_int_equal(spoor_memory_add(m, &good), 0);
	spoor_memory_free(m);
}

static void mmap_errors_are_passed_on(void **state)
{
	struct backing *b = *state;
	struct spoor_region r = region(b, 0x10000, 0, 4);
	struct spoor_memory *m = new_memory();
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", b->fd);
	r.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(r.fd >= 0);
	assert_int_equal(spoor_memory_add(m, &r), -EACCES);
	assert_non_null(strstr(spoor_errmsg(), "0x10000+0x4000"));
	close(r.fd);
	assert_int_equal(spoor_memory_add(m, &r), -EBADF);
	spoor_memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(regions_come_sorted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			alias_is_the_same_bytes_at_another_address, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			memory_without_a_file_is_its_own_alias, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(neighbours_are_no_overlap,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(overlaps_are_refused_by_address,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_regions_are_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(mmap_errors_are_passed_on,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
