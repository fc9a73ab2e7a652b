/* SPDX-License-Identifier: MIT */
/*
 * The variant driver for edu: every promise of rig/module/README.md.
 *
 *	test_edu type1|iommufd A B [RESETTABLE|- [PEER|- [log|move|fail]]]
 *
 * PCI addresses: two edu devices; one that can be reset; and one bound to
 * vfio-pci whose BAR 2 can be mapped, for peer-to-peer. Without the last two
 * their tests are left out, and said to be.  The last word asks for one part:
 * registers and log; states and moves; or streams, failures and resets.
 */
#include "edu.h"

struct places places;

static void registers_read_back(void)
{
	struct edu e;

	edu_open(&e, places.a);
	CHECK(get4(&e, REG_ID) == 0x010000ed);
	set4(&e, REG_ADDR4, 0x12345678);
	CHECK(get4(&e, REG_ADDR4) == ~0x12345678u);
	set8(&e, REG_SRC, 0x123456789abcdef0);
	CHECK(edu_get(&e, REG_SRC, 8) == 0x123456789abcdef0);
	CHECK(get4(&e, REG_SRC) == 0x9abcdef0);
	/* As edu does it: four bytes are all of it, the upper half cleared. */
	set4(&e, REG_SRC, 7);
	CHECK(edu_get(&e, REG_SRC, 8) == 7);
	edu_close(&e);
	/* Nothing is left for the next user. */
	edu_open(&e, places.a);
	CHECK(get4(&e, REG_ADDR4) == 0);
	CHECK(edu_get(&e, REG_SRC, 8) == 0);
	edu_close(&e);
}

static void registers_are_busy_while_dma_runs(void)
{
	struct edu e;

	edu_open(&e, places.a);
	edu_ring(&e, true, IOVA, 0, 8, 0);
	CHECK(edu_busy(&e));
	set8(&e, REG_DST, IOVA + 5 * PAGE);
	set4(&e, REG_CMD, CMD_RUN);
	edu_wait(&e);
	CHECK(edu_get(&e, REG_DST, 8) == IOVA);
	CHECK(edu_stat(&e, "dma_writes") > 0);
	edu_close(&e);
}

/* QEMU would write to, or from, memory of its own. */
static void doorbells_out_of_bounds_are_refused(void)
{
	static const struct {
		uint64_t at, len;
	} bad[] = { { 0, 4097 },
		    { 1, 4096 },
		    { 4096, 1 },
		    { (uint64_t)-8, 16 },
		    { 0, 1ull << 63 } };
	struct edu e;
	unsigned int i;

	edu_open(&e, places.a);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t refused = edu_stat(&e, "refused");

		set8(&e, REG_SRC, BUFFER + bad[i].at);
		set8(&e, REG_DST, IOVA);
		set8(&e, REG_CNT, bad[i].len);
		set4(&e, REG_CMD, CMD_RUN | CMD_TO_MEMORY);
		CHECK(!edu_busy(&e));
		CHECK(edu_stat(&e, "refused") == refused + 1);
	}
	edu_close(&e);
}

int main(int argc, char **argv)
{
	const char *part;

	if (argc < 4) {
		printf("usage: test_edu type1|iommufd A B [RESETTABLE|- "
		       "[PEER|- [log|move|fail]]]\n");
		return 2;
	}
	places.iommufd = !strcmp(argv[1], "iommufd");
	places.a = argv[2];
	places.b = argv[3];
	places.resettable = argc > 4 && strcmp(argv[4], "-") ? argv[4] : NULL;
	places.peer = argc > 5 && strcmp(argv[5], "-") ? argv[5] : NULL;
	part = argc > 6 ? argv[6] : NULL;

	if (!part || !strcmp(part, "log")) {
		registers_read_back();
		registers_are_busy_while_dma_runs();
		doorbells_out_of_bounds_are_refused();
		printf("registers: ok\n");
		log_tests();
	}
	if (!part || !strcmp(part, "move")) {
		state_tests();
		move_tests();
	}
	if (!part || !strcmp(part, "fail")) {
		stream_tests();
		fail_tests();
		reset_tests();
	}
	return 0;
}
