/* SPDX-License-Identifier: MIT */
/* What is written is read back; what is wrong is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "softvfio/config.h"
#include "softvfio/config_write.h"

static void fill(struct sv_config_device *d)
{
	memset(d, 0, sizeof(*d));
	*d = (struct sv_config_device){
		.index = 41,
		.group = 7,
		.address = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
		.migration = SV_MIG_STOP_COPY | SV_MIG_PRE_COPY,
		.emulated = true,
		.iommu_dirty = true,
		.iommu_faults = true,
		.iommu_page = UINT64_C(1) << 30,
		.fail = { 1, 2, 3, 4, UINT32_MAX },
		.model = {
			.name = "na me%\n=\x01,é",
			.model = "nic",
			.index = 41,
			.p2p_stops_all = true,
			.pre_copy = true,
			.state_size = UINT64_MAX,
			.stop_ms = 17,
			.udp = "[::1]:0",
			.pin_dirty = MODEL_PIN_MARK_ONCE,
			.read_pins_clean = true,
			.pins_gratuitous = true,
			.faults = MODEL_FAULT_MARK_BEFORE_DATA,
			.log = {
				.present = true,
				.min_page = 8192,
				.max_page = UINT64_C(1) << 63,
				.max_ranges = UINT32_MAX,
				.address_bits_min = 13,
				.address_bits_max = 64,
				.queue = 1,
				.read_while_running = true,
				.fail_after = 3,
				.deaf = 16,
				.cost_mark_ns = 100,
				.cost_report_page_ns = 200,
			},
		},
	};
}

static void assert_same(const struct sv_config_device *a,
			const struct sv_config_device *b)
{
	/* Field by field through the text: padding is nobody's. */
	char *x = sv_config_format(a, 1), *y = sv_config_format(b, 1);

	assert_string_equal(x, y);
	assert_int_equal(a->model.index, b->model.index);
	assert_int_equal(a->model.pre_copy, b->model.pre_copy);
	free(x);
	free(y);
}

static void every_key_survives_the_round_trip(void **state)
{
	struct sv_config_device in[2], *out;
	unsigned int nr;
	char why[256];
	char *text;

	(void)state;
	fill(&in[0]);
	memset(&in[1], 0, sizeof(in[1]));
	strcpy(in[1].model.name, "b");
	strcpy(in[1].model.model, "plain");
	strcpy(in[1].address, "0000:03:00.0");
	in[1].iommu_page = 4096;
	text = sv_config_format(in, 2);
	assert_non_null(text);
	assert_int_equal(sv_config_parse(text, &out, &nr, why, sizeof(why)), 0);
	assert_int_equal(nr, 2);
	assert_same(&in[0], &out[0]);
	assert_same(&in[1], &out[1]);
	assert_string_equal(out[0].model.name, in[0].model.name);
	assert_int_equal(out[0].model.state_size, UINT64_MAX);
	assert_int_equal(out[0].model.log.max_ranges, UINT32_MAX);
	assert_int_equal(out[0].migration, in[0].migration);
	assert_int_equal(out[0].model.pin_dirty, MODEL_PIN_MARK_ONCE);
	assert_true(out[0].model.p2p_stops_all);
	assert_true(out[0].iommu_faults);
	assert_false(out[1].iommu_faults);
	assert_false(out[1].model.p2p_stops_all);
	assert_int_equal(out[0].model.faults, MODEL_FAULT_MARK_BEFORE_DATA);
	free(text);
	free(out);
}

/* Each flag and each name by itself: no two keys share a field. */
static void every_key_has_a_field_of_its_own(void **state)
{
	static const char *const pairs[] = {
		"emulated=1",
		"noiommu=1",
		"iommu_dirty=1",
		"log=1",
		"log_read_while_running=0",
		"read_pins_clean=1",
		"pins_gratuitous=1",
		"p2p_stops=all",
		"pin_dirty=at-unpin",
		"faults=mark-before-data",
		"fail_log_start=1",
		"fail_log_report=1",
		"fail_state_read=1",
		"fail_state_write=1",
		"fail_run=1",
		"migration=stop-copy",
		"migration=stop-copy,p2p",
		"index=5",
		"group=5",
		"address=0000:77:00.0",
		"state_size=1",
		"iommu_dirty_by=fault",
		"iommu_page=8192",
		"udp=x",
		"log_min_page=1",
		"log_max_page=1",
		"log_max_ranges=1",
		"log_bits_min=1",
		"log_bits_max=1",
		"log_queue=1",
		"log_fail_after=1",
		"log_deaf=1",
		"log_cost_mark_ns=1",
		"log_cost_report_page_ns=1",
	};
	struct sv_config_device *out;
	char line[256], why[256], *text;
	unsigned int nr;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		snprintf(line, sizeof(line), "device name=a model=b %s",
			 pairs[i]);
		assert_int_equal(
			sv_config_parse(line, &out, &nr, why, sizeof(why)), 0);
		text = sv_config_format(out, 1);
		snprintf(line, sizeof(line), " %s", pairs[i]);
		assert_non_null(strstr(text, line));
		free(text);
		free(out);
	}
}

static void short_lines_get_the_documented_defaults(void **state)
{
	struct sv_config_device *out;
	unsigned int nr;
	char why[256];

	(void)state;
	assert_int_equal(sv_config_parse("# two\n\ndevice name=a model=nic\n"
					 "device\tname=b model=dsa\r\n",
					 &out, &nr, why, sizeof(why)),
			 0);
	assert_int_equal(nr, 2);
	assert_int_equal(out[1].index, 1);
	assert_int_equal(out[1].group, 1);
	assert_string_equal(out[1].address, "0000:02:00.0");
	assert_int_equal(out[1].iommu_page, 4096);
	assert_int_equal(out[0].model.log.max_page, 16 << 20);
	assert_int_equal(out[0].migration, 0);
	free(out);
}

static void bad_text_names_line_and_key(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "device name=a model=b\nmachine x=1", "line 2: \"machine\"" },
		{ "device name=a model=b color=red", "unknown key \"color\"" },
		{ "device name=a model=b log", "\"log\" is not key=value" },
		{ "device name=a model=b index=-1", "index: bad value \"-1\"" },
		{ "device name=a model=b index=0x1", "index: bad value" },
		{ "device name=a model=b index=", "index: bad value" },
		{ "device name=a model=b group=4294967296", "group: bad" },
		{ "device name=a model=b state_size=18446744073709551616",
		  "state_size: bad" },
		{ "device name=a model=b log=yes", "log: bad value \"yes\"" },
		{ "device name=a model=b p2p_stops=none", "p2p_stops: bad" },
		{ "device name=a model=b migration=p2p", "migration: not" },
		{ "device name=a model=b migration=stop-copy,", "migration:" },
		{ "device name=a model=b pin_dirty=never", "pin_dirty: bad" },
		{ "device name=a model=b faults=all", "faults: bad" },
		{ "device name=a model=b iommu_page=5000", "iommu_page: not" },
		{ "device name=a%2 model=b", "name: bad %-code" },
		{ "device name=a%00b model=b", "name: bad %-code" },
		{ "device name=a model=b name=c", "name: given twice" },
		{ "device model=b", "name: missing" },
		{ "device name=a", "model: missing" },
		{ "device name=a model=0123456789abcdef", "model: longer" },
		{ "device name=a model=b address=../x", "address: bad" },
		{ "device name=a model=b address=a/b", "address: bad" },
		{ "device name=a model=b\ndevice name=a model=b",
		  "line 2: name: \"a\" is taken" },
		{ "device name=a model=b\ndevice name=c model=b index=0",
		  "index: 0 is taken" },
		{ "device name=a model=b address=x\n"
		  "device name=c model=b address=x",
		  "address: x is taken" },
	};
	struct sv_config_device *out = (void *)1;
	unsigned int nr = 77;
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sv_config_parse(bad[i].text, &out, &nr, why,
						 sizeof(why)),
				 -EINVAL);
		if (!strstr(why, bad[i].why) || strncmp(why, "line ", 5))
			fail_msg("\"%s\" says \"%s\"", bad[i].text, why);
	}
	assert_ptr_equal(out, (void *)1);
	assert_int_equal(nr, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_survives_the_round_trip),
		cmocka_unit_test(every_key_has_a_field_of_its_own),
		cmocka_unit_test(short_lines_get_the_documented_defaults),
		cmocka_unit_test(bad_text_names_line_and_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
