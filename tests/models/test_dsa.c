/* SPDX-License-Identifier: MIT */
/* dsa and mdev: what they are asked to do is done, here or where they go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <unistd.h>

#include "fake_host.h"
#include "models/dsa_regs.h"
#include "models/mdev_regs.h"

#define SPACE (1024 * (uint64_t)PAGE)
#define DESC  (1000 * (uint64_t)PAGE)
#define DONE  (1010 * (uint64_t)PAGE)

static struct fake_host *h;
static struct model *m;

static int setup_dsa(void **state)
{
	struct model_config c = fake_config("dsa");

	(void)state;
	h = fake_host_new(SPACE);
	m = fake_model(h, &c);
	return 0;
}

static int setup_mdev(void **state)
{
	struct model_config c = fake_config("mdev");

	(void)state;
	h = fake_host_new(SPACE);
	m = fake_model(h, &c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	/* Nothing stays pinned. */
	assert_int_equal(h->nr_pins, 0);
	h = fake_host_free(h);
	return 0;
}

static void submit(const struct dsa_descriptor *d, unsigned int slot)
{
	fake_put(h, DESC + slot * 64, d, sizeof(*d));
	set64(m, DSA_REG_DOORBELL, DESC + slot * 64);
}

static struct dsa_completion completion(uint64_t at)
{
	struct dsa_completion c;

	fake_get(h, at, &c, sizeof(c));
	return c;
}

static void fill_repeats_its_pattern(void **state)
{
	struct dsa_descriptor d = { .op = DSA_OP_FILL,
				    .dst = PAGE - 20,
				    .len = 2 * PAGE,
				    .completion = DONE,
				    .pattern = UINT64_C(0x0807060504030201),
				    .id = 77 };
	struct dsa_completion c;
	uint8_t got[2 * PAGE];

	(void)state;
	submit(&d, 0);
	wait_until(h->irqs == 1);
	c = completion(DONE);
	assert_int_equal(c.id, 77);
	assert_int_equal(c.status, DSA_STATUS_OK);
	assert_int_equal(c.stamp >> 48, 5);
	fake_get(h, d.dst, got, sizeof(got));
	for (size_t i = 0; i < sizeof(got); i++) {
		size_t in_page = (d.dst + i) % PAGE;

		if (i >= 8 && in_page >= 8)
			assert_int_equal(got[i], i % 8 + 1);
	}
	assert_int_equal(counters(m).dma_writes, 4);
}

static void copy_moves_bytes_and_stamps_each_page(void **state)
{
	struct dsa_descriptor d = { .op = DSA_OP_COPY,
				    .src = 100 * PAGE + 4,
				    .dst = 200 * PAGE + 1000,
				    .len = 40 * PAGE,
				    .completion = DONE + 64 };
	uint8_t *from = h->mem + d.src, *to = h->mem + d.dst;

	(void)state;
	for (size_t i = 0; i < d.len; i++)
		from[i] = (uint8_t)(i * 31 + i / 251);
	submit(&d, 0);
	wait_until(h->irqs == 1);
	assert_int_equal(completion(DONE + 64).status, DSA_STATUS_OK);
	for (size_t i = 8; i < d.len; i++)
		if ((d.dst + i) % PAGE >= 8)
			assert_int_equal(to[i], from[i]);
	assert_int_equal(counters(m).dma_writes, 42);
}

static void faults_end_in_a_status(void **state)
{
	struct dsa_descriptor bad[] = {
		{ .op = 9, .dst = PAGE, .len = 8 },
		{ .op = DSA_OP_FILL, .dst = UINT64_MAX - 10, .len = 100 },
		{ .op = DSA_OP_COPY, .src = UINT64_MAX, .dst = 0, .len = 2 },
		{ .op = DSA_OP_FILL, .dst = SPACE - PAGE, .len = 2 * PAGE },
		{ .op = DSA_OP_COPY, .src = SPACE, .dst = 0, .len = 8 },
	};
	struct dsa_descriptor good = { .op = DSA_OP_FILL, .completion = DONE };

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		bad[i].completion = DONE;
		bad[i].id = i + 1;
		submit(&bad[i], 0);
		wait_until(h->irqs == i + 1);
		assert_int_equal(completion(DONE).id, i + 1);
		assert_int_equal(completion(DONE).status, DSA_STATUS_FAULT);
	}
	assert_int_equal(counters(m).faults, 2);
	/* A descriptor that cannot be read: nobody to tell, it goes on. */
	set64(m, DSA_REG_DOORBELL, SPACE);
	good.id = 99;
	submit(&good, 1);
	wait_until(h->irqs == 6);
	assert_int_equal(completion(DONE).id, 99);
	assert_int_equal(completion(DONE).status, DSA_STATUS_OK);
	assert_int_equal(counters(m).faults, 3);
	assert_int_equal(get32(m, DSA_REG_FREE), DSA_QUEUE);
}

static void queue_has_64_places(void **state)
{
	struct dsa_descriptor d = { .op = DSA_OP_FILL, .completion = DONE };

	(void)state;
	m = model_destroy(m);
	{
		struct model_config c = fake_config("dsa");

		c.p2p_stops_all = true;
		m = fake_model(h, &c);
	}
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	for (unsigned int i = 0; i < 70; i++) {
		d.id = i;
		fake_put(h, DESC + i * 64, &d, sizeof(d));
		set64(m, DSA_REG_DOORBELL, DESC + i * 64);
		assert_int_equal(get32(m, DSA_REG_FREE), i < 64 ? 63 - i : 0);
	}
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	wait_until(get32(m, DSA_REG_FREE) == DSA_QUEUE);
	assert_int_equal(completion(DONE).id, 63);
	wait_until(h->irqs == 64);
}

/* Slow enough that the work is stopped half way, whoever is scheduled. */
static void linger(struct fake_host *host, uint64_t iova, size_t len)
{
	(void)host;
	(void)iova;
	(void)len;
	usleep(1000);
}

static void work_in_progress_goes_on_at_the_destination(void **state)
{
	struct model_config c = fake_config("dsa");
	struct dsa_descriptor d = { .op = DSA_OP_FILL, .len = 900 * PAGE };
	struct fake_host *h2 = fake_host_new(SPACE);
	struct model *m2 = fake_model(h2, &c);
	struct lost_set lost = { 0 };
	uint8_t *bytes;
	size_t len;

	(void)state;
	h->after_write = linger;
	for (unsigned int i = 0; i < 5; i++) {
		d.id = i + 1;
		d.completion = DONE + i * 32;
		d.pattern = i + 1;
		submit(&d, i);
	}
	wait_until(counters(m).dma_writes > 10);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_true(h->irqs < 5);
	bytes = save_all(m, &len);
	memcpy(h2->mem, h->mem, SPACE);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
	model_truth_check(m2, lost_add, &lost);
	assert_int_equal(lost.nr, 0);
	assert_int_equal(model_set_level(m2, MODEL_P2P), 0);
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	wait_until(h->irqs + h2->irqs == 5);
	/* Nothing was done twice, nothing left out. */
	assert_int_equal(counters(m).dma_writes + counters(m2).dma_writes,
			 5 * 901);
	assert_int_equal(get32(m2, DSA_REG_FREE), DSA_QUEUE);
	for (uint64_t i = 0; i < 900; i++)
		assert_int_equal(fake_get64(h2, i * PAGE + 8), 5);
	model_destroy(m2);
	fake_host_free(h2);
}

static void set_up_mdev(uint64_t read_len, uint64_t write_len)
{
	set64(m, MDEV_REG_READ_BASE, 100 * PAGE);
	set64(m, MDEV_REG_READ_LEN, read_len);
	set64(m, MDEV_REG_WRITE_BASE, 200 * PAGE);
	set64(m, MDEV_REG_WRITE_LEN, write_len);
	set64(m, MDEV_REG_COMPLETION, DONE + 64);
}

static bool pinned(uint64_t page, uint64_t nr_pages, bool write)
{
	for (unsigned int i = 0; i < h->nr_pins; i++)
		if (h->pins[i].iova == page * PAGE &&
		    h->pins[i].nr_pages == nr_pages &&
		    h->pins[i].write == write)
			return true;
	return false;
}

static void mdev_pins_what_it_uses_while_it_is_enabled(void **state)
{
	uint32_t on = 1;

	(void)state;
	set_up_mdev(4 * PAGE, 3 * PAGE);
	assert_int_equal(h->nr_pins, 0);
	set32(m, MDEV_REG_ENABLE, 1);
	assert_int_equal(h->nr_pins, 3);
	assert_true(pinned(100, 4, false));
	assert_true(pinned(200, 3, true));
	assert_true(pinned(1010, 1, true));
	set32(m, MDEV_REG_ENABLE, 1);
	assert_int_equal(h->nr_pins, 3);
	/* A stop keeps them, and leaving it adds none. */
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(h->nr_pins, 3);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(h->nr_pins, 3);
	set32(m, MDEV_REG_ENABLE, 0);
	assert_int_equal(h->nr_pins, 0);
	set_up_mdev(0, 0);
	set32(m, MDEV_REG_ENABLE, 1);
	assert_int_equal(h->nr_pins, 1);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(h->nr_pins, 0);
	assert_int_equal(get32(m, MDEV_REG_ENABLE), 0);
	/* What cannot be pinned is not enabled, and pins nothing. */
	set_up_mdev(PAGE, PAGE);
	h->pin_error = -ENOMEM;
	assert_int_equal(model_bar_write(m, 0, MDEV_REG_ENABLE, &on, 4),
			 -ENOMEM);
	assert_non_null(strstr(model_errmsg(), "cannot pin"));
	assert_int_equal(get32(m, MDEV_REG_ENABLE), 0);
	h->pin_error = 0;
	set32(m, MDEV_REG_ENABLE, 1);
	assert_int_equal(h->nr_pins, 3);
	/* The teardown sees that destroying unpins. */
}

static void ring(uint64_t id)
{
	uint64_t irqs = h->irqs;

	set64(m, MDEV_REG_DOORBELL, id);
	wait_until(h->irqs == irqs + 1);
	assert_int_equal(completion(DONE + 64).id, id);
}

static void mdev_reads_and_writes_round_robin(void **state)
{
	(void)state;
	/* Disabled, it ignores doorbells. */
	set64(m, MDEV_REG_DOORBELL, 5);
	set_up_mdev(2 * PAGE, 2 * PAGE + 100);
	for (uint64_t i = 0; i < 2; i++)
		memset(h->mem + (100 + i) * PAGE, (int)(0xa0 + i), PAGE);
	set32(m, MDEV_REG_ENABLE, 1);
	ring(10);
	assert_int_equal(h->mem[200 * PAGE + 100], 0xa0);
	assert_int_equal(h->mem[201 * PAGE + 100], 0);
	ring(11);
	assert_int_equal(h->mem[201 * PAGE + 100], 0xa1);
	ring(12);
	/* The last page is short; reading began again. */
	assert_int_equal(h->mem[202 * PAGE + 99], 0xa0);
	assert_int_equal(h->mem[202 * PAGE + 100], 0);
	ring(13);
	assert_int_equal(h->mem[200 * PAGE + 100], 0xa1);
	assert_int_equal(completion(DONE + 64).status, 0);
	h->hole = 201 * PAGE;
	ring(14);
	assert_int_equal(completion(DONE + 64).status, 1);
	assert_int_equal(h->irqs, 5);
}

static void mdev_without_areas_only_completes(void **state)
{
	(void)state;
	set_up_mdev(0, 0);
	set32(m, MDEV_REG_ENABLE, 1);
	ring(1);
	assert_int_equal(counters(m).dma_writes, 1);
	assert_int_equal(h->reads, 0);
}

static void mdev_pins_again_where_it_was_loaded(void **state)
{
	struct model_config c = fake_config("mdev");
	struct model *source = m;
	uint8_t *bytes;
	size_t len;

	(void)state;
	c.p2p_stops_all = true;
	source = fake_model(h, &c);
	m = model_destroy(m);
	m = source;
	set_up_mdev(0, 4 * PAGE);
	set32(m, MDEV_REG_ENABLE, 1);
	ring(1);
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	set64(m, MDEV_REG_DOORBELL, 2);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	bytes = save_all(m, &len);
	model_destroy(source);
	assert_int_equal(h->nr_pins, 0);
	m = fake_model(h, &c);
	/* It had been set up otherwise before. */
	set_up_mdev(PAGE, PAGE);
	set32(m, MDEV_REG_ENABLE, 1);
	assert_int_equal(h->nr_pins, 3);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(load_all(m, bytes, len, 0), 0);
	free(bytes);
	assert_int_equal(h->nr_pins, 0);
	/* Pages that cannot be pinned keep it stopped. */
	h->pin_error = -EFAULT;
	assert_int_equal(model_set_level(m, MODEL_RUNNING), -EFAULT);
	assert_int_equal(model_level(m), MODEL_STOPPED);
	h->pin_error = 0;
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(h->nr_pins, 2);
	assert_true(pinned(200, 4, true));
	/* The operation that was pending comes first, on the next page. */
	wait_until(completion(DONE + 64).id == 2);
	assert_true(fake_get64(h, 201 * PAGE) != 0);
	assert_int_equal(fake_get64(h, 202 * PAGE), 0);
}

#define D(f) cmocka_unit_test_setup_teardown(f, setup_dsa, teardown)
#define M(f) cmocka_unit_test_setup_teardown(f, setup_mdev, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		D(fill_repeats_its_pattern),
		D(copy_moves_bytes_and_stamps_each_page),
		D(faults_end_in_a_status),
		D(queue_has_64_places),
		D(work_in_progress_goes_on_at_the_destination),
		M(mdev_pins_what_it_uses_while_it_is_enabled),
		M(mdev_reads_and_writes_round_robin),
		M(mdev_without_areas_only_completes),
		M(mdev_pins_again_where_it_was_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
