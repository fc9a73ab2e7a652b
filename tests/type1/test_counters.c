/* SPDX-License-Identifier: MIT */
/*
 * What SOFTVFIO_STATS says of a container: every mark is reported, or was
 * discarded.  Threads: none.
 */
#include "tests/type1/rig.h"

#include <stdio.h>
#include <unistd.h>

#include "base/uapi_vfio.h"
#include "softvfio/softvfio.h"

#define START VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define STOP  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP

struct counters {
	unsigned int marks, reported, discarded, read_ns;
};

/* Of the last container that tracked. */
static struct counters counters(void)
{
	struct counters c = { 0 };
	char text[65536] = "", *last = NULL, *next;
	FILE *f;

	assert_int_equal(softvfio_write_stats(), 0);
	f = fopen(getenv("SOFTVFIO_STATS"), "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	for (next = text; (next = strstr(next, "\"container"));)
		last = next++;
	assert_non_null(last);
	last = strstr(last, "\"marks\"");
	assert_non_null(last);
	assert_int_equal(sscanf(last,
				"\"marks\": %u, \"dirty_reads\": %*u, "
				"\"pages_reported\": %u, \"discarded\": %u, "
				"\"write_faults\": %*u, \"read_ns\": %u",
				&c.marks, &c.reported, &c.discarded,
				&c.read_ns),
			 4);
	return c;
}

static void write_page(unsigned int n)
{
	assert_int_equal(softvfio_dma_write("mdev", IOVA + n * PAGE, "x", 1),
			 0);
}

static void expect(unsigned int marks, unsigned int reported,
		   unsigned int discarded)
{
	struct counters c = counters();

	assert_int_equal(c.marks, marks);
	assert_int_equal(c.reported, reported);
	assert_int_equal(c.discarded, discarded);
}

static void marks_are_reported_or_discarded(void **state)
{
	uint64_t bits = 0;
	int dev, g, c = typed(MDEV, &g);

	(void)state;
	dev = device(g, MDEV);
	assert_int_equal(track(c, START), 0);
	write_page(0);
	write_page(1);
	assert_int_equal(counters().read_ns, 0);
	assert_int_equal(dirty(c), BIT(0) | BIT(1));
	assert_true(counters().read_ns > 0);
	expect(2, 2, 0);
	write_page(0);
	assert_int_equal(track(c, STOP), 0);
	expect(3, 2, 1);
	assert_int_equal(track(c, START), 0);
	write_page(2);
	assert_int_equal(unmap_bitmap(c, IOVA, LEN, &bits), 0);
	assert_int_equal(bits, BIT(2));
	expect(4, 3, 1);
	assert_int_equal(map(c, guest, LEN, IOVA), 0);
	write_page(2);
	write_page(3);
	assert_int_equal(unmap(c, IOVA, LEN), 0);
	expect(6, 3, 3);
	assert_int_equal(map(c, guest, LEN, IOVA), 0);
	write_page(4);
	close_all(3, dev, g, c);
	expect(7, 3, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_reported_or_discarded),
	};
	char dir[] = "/tmp/test-type1-counters.XXXXXX", path[64];
	char name[] = "counters", *const args[] = { name, NULL };
	int failed;

	/* It is read before main() begins. */
	if (!getenv("SOFTVFIO_STATS")) {
		if (!mkdtemp(dir))
			return 1;
		snprintf(path, sizeof(path), "%s/stats", dir);
		setenv("SOFTVFIO_STATS", path, 1);
		execv("/proc/self/exe", args);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, make_guest, free_guest);
	/* And written once more at the end, if it can be. */
	snprintf(path, sizeof(path), "%s", getenv("SOFTVFIO_STATS"));
	unlink(path);
	*strrchr(path, '/') = 0;
	rmdir(path);
	return failed;
}
