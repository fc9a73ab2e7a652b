/* SPDX-License-Identifier: MIT */
/* What a device's DMA looks like in memory, and when it may not happen. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_host.h"

#define STAMP(seq) (UINT64_C(5) << 48 | (seq)) /* index 4 */

static struct fake_host *h;
static struct model *m;

static int setup(void **state)
{
	struct model_config c = fake_config("dsa");

	(void)state;
	h = fake_host_new(64 * PAGE);
	m = fake_model(h, &c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	h = fake_host_free(h);
	return 0;
}

static void write_is_split_at_pages_each_with_its_own_stamp(void **state)
{
	uint8_t buf[3 * PAGE], got[3 * PAGE];

	(void)state;
	memset(buf, 0xab, sizeof(buf));
	assert_int_equal(model_poke_dma(m, PAGE - 100, buf, 2 * PAGE), 0);
	assert_int_equal(h->writes, 3);
	assert_int_equal(fake_get64(h, PAGE - 100), STAMP(1));
	assert_int_equal(fake_get64(h, PAGE), STAMP(2));
	assert_int_equal(fake_get64(h, 2 * PAGE), STAMP(3));
	fake_get(h, PAGE - 100, got, sizeof(got));
	assert_memory_equal(got + 8, buf, 92);
	assert_memory_equal(got + 108, buf, PAGE - 8);
	assert_memory_equal(got + 100 + PAGE + 8, buf, PAGE - 108);
	assert_int_equal(got[2 * PAGE], 0);
	assert_int_equal(counters(m).dma_writes, 3);
	assert_int_equal(counters(m).dma_bytes, 2 * PAGE);
}

static void short_chunk_holds_low_bytes_of_its_stamp(void **state)
{
	uint8_t got[4];

	(void)state;
	assert_int_equal(model_poke_dma(m, 2 * PAGE - 3, "abc", 3), 0);
	fake_get(h, 2 * PAGE - 3, got, 4);
	assert_int_equal(got[0], 1);
	assert_int_equal(got[1], 0);
	assert_int_equal(got[2], 0);
	assert_int_equal(got[3], 0);
}

static void refused_write_only_counts_a_fault(void **state)
{
	struct model_range all = { 0, 64 * PAGE };
	struct page_set set = { 0 };
	struct lost_set lost = { 0 };
	uint64_t page_size;

	(void)state;
	assert_int_equal(model_log_start(m, &all, 1, PAGE, &page_size), 0);
	h->hole = 5 * PAGE;
	assert_int_equal(model_poke_dma(m, 5 * PAGE, "12345678", 8), -EFAULT);
	assert_int_equal(counters(m).faults, 1);
	assert_int_equal(counters(m).dma_writes, 0);
	assert_int_equal(counters(m).marks, 0);
	assert_int_equal(model_log_report(m, 0, 64 * PAGE, page_set_add, &set),
			 0);
	assert_int_equal(set.nr_calls, 0);
	model_truth_check(m, lost_add, &lost);
	assert_int_equal(lost.nr, 0);
}

static void write_past_the_end_of_addresses_is_a_fault(void **state)
{
	(void)state;
	h->top = true;
	assert_int_equal(model_poke_dma(m, UINT64_MAX - 3, "12345678", 8),
			 -EFAULT);
	assert_int_equal(counters(m).faults, 1);
	assert_int_equal(h->writes, 0);
	/* Up to the last address is fine. */
	assert_int_equal(model_poke_dma(m, UINT64_MAX - 7, "12345678", 8), 0);
	assert_int_equal(counters(m).faults, 1);
}

static void poke_is_refused_where_the_level_forbids_dma(void **state)
{
	(void)state;
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	assert_int_equal(model_poke_dma(m, PAGE, "12345678", 8), 0);
	assert_int_equal(model_poke_dma(m, PEER_BASE, "12345678", 8), -EBUSY);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	h->forbid = true;
	assert_int_equal(model_poke_dma(m, PAGE, "12345678", 8), -EBUSY);
	h->forbid = false;
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(model_poke_dma(m, PEER_BASE, "12345678", 8), 0);
	assert_int_equal(h->peer_writes, 1);
}

static void bad_configurations_are_refused_with_a_reason(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model *made = NULL;

	(void)state;
	strcpy(c.model, "toaster");
	assert_int_equal(model_create(&made, &c, &fake_host_ops, h), -EINVAL);
	assert_non_null(strstr(model_errmsg(), "toaster"));
	c = fake_config("dsa");
	c.index = 4095;
	assert_int_equal(model_create(&made, &c, &fake_host_ops, h), -EINVAL);
	c = fake_config("dsa");
	c.log.min_page = 8192;
	c.log.max_page = 4096;
	assert_int_equal(model_create(&made, &c, &fake_host_ops, h), -EINVAL);
	c = fake_config("plain");
	c.log.present = true;
	assert_int_equal(model_create(&made, &c, &fake_host_ops, h), -EINVAL);
	c = fake_config("nic");
	strcpy(c.udp, "somewhere:9000");
	assert_int_equal(model_create(&made, &c, &fake_host_ops, h), -EINVAL);
	strcpy(c.udp, "127.0.0.1:65536");
	assert_int_equal(model_create(&made, &c, &fake_host_ops, h), -EINVAL);
	assert_null(made);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(write_is_split_at_pages_each_with_its_own_stamp),
		T(short_chunk_holds_low_bytes_of_its_stamp),
		T(refused_write_only_counts_a_fault),
		T(write_past_the_end_of_addresses_is_a_fault),
		T(poke_is_refused_where_the_level_forbids_dma),
		T(bad_configurations_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
