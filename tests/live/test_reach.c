/* SPDX-License-Identifier: MIT */
/*
 * What a device may write is looked for where it is attached, or everywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/error.h>

#include "device/device_priv.h"
#include "migrate/trackers.h"
#include "softvfio/softvfio.h"
#include "vmm.h"

static const struct vmm_config config = {
	.regions = { { 0, 8u << 20 }, { 1u << 30, 4u << 20 } },
	.devices = { { .name = NULL },
		     { .name = NULL },
		     { .name = "dsa0", .backend = SPOOR_SPACE_IOMMUFD } },
};

#define DSA 2

struct fixture {
	struct vmm vmm;
	struct spoor_space *other; /* nothing is mapped in it */
	struct spoor_machine *machine;
};

static int setup(void **state)
{
	static struct fixture f;
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = SPOOR_SPACE_TYPE1 };

	assert_int_equal(vmm_open(&f.vmm, &config), 0);
	assert_int_equal(spoor_space_open(&f.other, "other", &opts), 0);
	assert_int_equal(
		spoor_machine_new(&f.machine, f.vmm.memory, NULL, NULL), 0);
	assert_int_equal(spoor_machine_add_space(
				 f.machine, f.vmm.spaces[SPOOR_SPACE_IOMMUFD]),
			 0);
	assert_int_equal(spoor_machine_add_space(f.machine, f.other), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	spoor_machine_free(f->machine);
	spoor_space_free(f->other);
	vmm_close(&f->vmm);
	return 0;
}

static void a_device_of_another_space_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(spoor_machine_add_device(
				 f->machine, f->vmm.devices[DSA], f->other),
			 -EINVAL);
	assert_non_null(strstr(spoor_errmsg(), "dsa0"));
	assert_int_equal(
		spoor_machine_add_device(f->machine, f->vmm.devices[DSA],
					 f->vmm.spaces[SPOOR_SPACE_IOMMUFD]),
		0);
}

static void a_device_that_is_not_attached_is_refused(void **state)
{
	const struct spoor_device_opts opts = { .size = sizeof(opts),
						.name = "alone" };
	struct fixture *f = *state;
	struct spoor_device *dev;

	assert_int_equal(spoor_device_open(&dev, "0000:01:00.0", &opts), 0);
	assert_int_equal(spoor_machine_add_device(f->machine, dev, f->other),
			 -EINVAL);
	assert_non_null(strstr(spoor_errmsg(), "alone"));
	spoor_device_free(dev);
}

/* Its space maps nothing, and is not where its DMA goes. */
static void an_adopted_device_reaches_all_of_memory(void **state)
{
	const struct spoor_device_opts opts = { .size = sizeof(opts),
						.name = "adopted" };
	const struct spoor_plan_input wishes = { .size = sizeof(wishes),
						 .policy = "all-dirty" };
	struct fixture *f = *state;
	const uint64_t all = spoor_memory_size(f->vmm.memory);
	size_t device = 0, nr;
	const struct spoor_tracked t = { .space = 1,
					 .devices = &device,
					 .nr_devices = 1 };
	struct spoor_range_list ranges = { 0 };
	struct spoor_device_fact *facts;
	struct spoor_device *dev;
	struct spoor_plan *plan;
	uint64_t bytes = 0;

	assert_int_equal(
		spoor_device_adopt(&dev, f->vmm.devices[DSA]->fd, &opts), 0);
	assert_int_equal(spoor_machine_add_device(f->machine, dev, f->other),
			 0);
	assert_int_equal(spoor_machine_facts(f->machine, &facts, &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(facts[0].reach_bytes, all);
	assert_false(facts[0].iommu.usable);
	assert_false(facts[0].pinned.usable);
	free(facts);
	assert_int_equal(spoor_machine_plan(f->machine, &wishes, &plan), 0);
	assert_non_null(strstr(plan->lines[0].covered_by, "12M"));
	spoor_plan_free(plan);
	assert_int_equal(spoor_tracked_ranges(f->machine, &t, &ranges), 0);
	for (size_t i = 0; i < ranges.nr; i++)
		bytes += ranges.ranges[i].len;
	spoor_range_list_clear(&ranges);
	assert_int_equal(bytes, all);
	spoor_machine_free(f->machine);
	f->machine = NULL;
	spoor_device_free(dev);
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(a_device_of_another_space_is_refused),
		ON(a_device_that_is_not_attached_is_refused),
		ON(an_adopted_device_reaches_all_of_memory),
	};

	if (!softvfio_nr_devices()) {
		puts("SOFTVFIO_CONFIG is not set");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
