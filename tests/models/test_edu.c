/* SPDX-License-Identifier: MIT */
/* edu: the registers of QEMU's device, and its DMA across a stop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_host.h"
#include "models/edu_regs.h"

#define SPACE (64 * (uint64_t)PAGE)
#define SRC   (8 * (uint64_t)PAGE)
#define DST   (16 * (uint64_t)PAGE)

static struct fake_host *h;
static struct model *m;

static struct model *new_edu(uint64_t dma_us)
{
	struct model_config c = fake_config("edu");

	c.dma_us = dma_us;
	return fake_model(h, &c);
}

static int setup(void **state)
{
	(void)state;
	h = fake_host_new(SPACE);
	m = new_edu(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	h = fake_host_free(h);
	return 0;
}

static void dma(uint64_t src, uint64_t dst, uint64_t len, uint64_t cmd)
{
	set64(m, EDU_REG_SRC, src);
	set64(m, EDU_REG_DST, dst);
	set64(m, EDU_REG_COUNT, len);
	set64(m, EDU_REG_CMD, cmd | EDU_CMD_RUN);
}

static bool idle(void)
{
	return !(get64(m, EDU_REG_CMD) & EDU_CMD_RUN);
}

static void fill(uint8_t *bytes, unsigned int seed)
{
	for (unsigned int i = 0; i < PAGE; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

/* A page through the buffer, as far as it is not the device's stamp. */
static void page_arrives(uint64_t at, const uint8_t *want)
{
	uint8_t got[PAGE];

	fake_get(h, at, got, PAGE);
	assert_memory_equal(got + 8, want + 8, PAGE - 8);
}

static void identifies_as_qemu_does(void **state)
{
	struct model_shape shape;
	struct model_bar bar;

	(void)state;
	assert_true(model_shape("edu", &shape));
	assert_int_equal(shape.vendor_id, 0x1234);
	assert_int_equal(shape.device_id, 0x11e8);
	assert_int_equal(get32(m, EDU_REG_ID), 0x010000ed);
	set32(m, EDU_REG_ID, 0);
	assert_int_equal(get32(m, EDU_REG_ID), 0x010000ed);
	set32(m, EDU_REG_LIVENESS, 0x12345678);
	assert_int_equal(get32(m, EDU_REG_LIVENESS), 0xedcba987);
	model_bar(m, 0, &bar);
	assert_int_equal(bar.size, 1 << 20);
	/* The buffer is no BAR: neither drivers nor peers reach it. */
	model_bar(m, 2, &bar);
	assert_int_equal(bar.size, 0);
	assert_int_equal(model_peer_write(m, 2, 0, "x", 1), -EFAULT);
	assert_int_equal(get32(m, 0x40000), UINT32_MAX);
}

static void looks_at_the_width_of_an_access(void **state)
{
	uint16_t half = 0;

	(void)state;
	set64(m, EDU_REG_SRC, UINT64_C(0x1122334455667788));
	assert_int_equal(get64(m, EDU_REG_SRC), UINT64_C(0x1122334455667788));
	assert_int_equal(get32(m, EDU_REG_SRC), 0x55667788);
	/* Four bytes set all eight; the upper four are no register. */
	set32(m, EDU_REG_SRC, 5);
	set32(m, EDU_REG_SRC + 4, 6);
	assert_int_equal(get64(m, EDU_REG_SRC), 5);
	assert_int_equal(get32(m, EDU_REG_SRC + 4), UINT32_MAX);
	/* Below 0x80 only four will do. */
	assert_true(get64(m, EDU_REG_ID) == UINT64_MAX);
	assert_int_equal(model_bar_read(m, 0, EDU_REG_ID, &half, 2), 2);
	assert_int_equal(half, UINT16_MAX);
	set64(m, EDU_REG_LIVENESS, 0);
	assert_int_equal(get32(m, EDU_REG_LIVENESS), 0);
}

static void computes_factorials(void **state)
{
	(void)state;
	set32(m, EDU_REG_FACTORIAL, 10);
	wait_until(!(get32(m, EDU_REG_STATUS) & EDU_STATUS_COMPUTING));
	assert_int_equal(get32(m, EDU_REG_FACTORIAL), 3628800);
	assert_int_equal(h->irqs, 0);
	set32(m, EDU_REG_STATUS, 0xff);
	assert_int_equal(get32(m, EDU_REG_STATUS), EDU_STATUS_IRQ);
	set32(m, EDU_REG_FACTORIAL, UINT32_MAX);
	wait_until(h->irqs == 1);
	assert_int_equal(get32(m, EDU_REG_FACTORIAL), 0);
	assert_int_equal(get32(m, EDU_REG_IRQ_STATUS), EDU_IRQ_FACTORIAL);
	set32(m, EDU_REG_IRQ_RAISE, 0x30);
	wait_until(h->irqs == 2);
	set32(m, EDU_REG_IRQ_ACK, 0x21);
	assert_int_equal(get32(m, EDU_REG_IRQ_STATUS), 0x10);
}

static void moves_pages_through_its_buffer(void **state)
{
	uint8_t page[PAGE];

	(void)state;
	fill(page, 1);
	fake_put(h, SRC, page, PAGE);
	dma(SRC, EDU_BUF, PAGE, 0);
	wait_until(idle());
	dma(EDU_BUF, DST, PAGE, EDU_CMD_TO_RAM | EDU_CMD_IRQ);
	wait_until(h->irqs == 1);
	page_arrives(DST, page);
	assert_int_equal(get32(m, EDU_REG_IRQ_STATUS), EDU_IRQ_DMA);
	/* Beyond the 28 bits that it has. */
	dma(EDU_BUF, DST + 2 * PAGE + (UINT64_C(7) << 28), PAGE,
	    EDU_CMD_TO_RAM);
	wait_until(idle());
	page_arrives(DST + 2 * PAGE, page);
}

static void refuses_what_is_not_in_its_buffer(void **state)
{
	const uint64_t bad[][2] = { { EDU_BUF - 8, 16 },
				    { EDU_BUF + PAGE, 1 },
				    { EDU_BUF, PAGE + 1 },
				    { EDU_BUF + 8, UINT64_MAX },
				    { 0, 8 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		dma(bad[i][0], DST, bad[i][1], EDU_CMD_TO_RAM);
		wait_until(idle());
		assert_int_equal(counters(m).faults, i + 1);
	}
	assert_int_equal(h->writes, 0);
}

static void is_deaf_while_at_work(void **state)
{
	(void)state;
	m = model_destroy(m);
	m = new_edu(50000);
	dma(EDU_BUF, DST, 64, EDU_CMD_TO_RAM);
	set64(m, EDU_REG_DST, SRC);
	assert_int_equal(get64(m, EDU_REG_DST), DST);
	assert_int_equal(h->writes, 0);
	wait_until(idle());
	assert_int_equal(h->writes, 1);
	assert_int_equal(fake_get64(h, SRC), 0);
	assert_int_not_equal(fake_get64(h, DST), 0);
}

/* What a stop finds in flight happens after it, elsewhere, and only there. */
static void dma_in_flight_migrates(void **state)
{
	uint8_t page[PAGE], *saved;
	struct model *source;
	size_t len;

	(void)state;
	fill(page, 9);
	fake_put(h, SRC, page, PAGE);
	m = model_destroy(m);
	m = new_edu(100000);
	dma(SRC, EDU_BUF, PAGE, 0);
	wait_until(idle());
	dma(EDU_BUF, DST, PAGE, EDU_CMD_TO_RAM | EDU_CMD_IRQ);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	saved = save_all(m, &len);
	source = m;
	m = new_edu(1000);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(load_all(m, saved, len, 100), 0);
	assert_int_equal(h->writes, 0);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	wait_until(idle());
	page_arrives(DST, page);
	assert_int_equal(get32(m, EDU_REG_IRQ_STATUS), EDU_IRQ_DMA);
	assert_int_equal(counters(source).dma_writes, 0);
	model_destroy(source);
	free(saved);
}

static void reset_forgets_buffer_and_dma(void **state)
{
	uint8_t page[PAGE] = { 0 };

	(void)state;
	m = model_destroy(m);
	m = new_edu(20000);
	memset(page, 0x5a, PAGE);
	fake_put(h, SRC, page, PAGE);
	dma(SRC, EDU_BUF, PAGE, 0);
	wait_until(idle());
	dma(EDU_BUF, DST, PAGE, EDU_CMD_TO_RAM);
	assert_int_equal(model_reset(m), 0);
	assert_true(idle());
	sleep_us(40000);
	assert_int_equal(h->writes, 0);
	dma(EDU_BUF, DST, PAGE, EDU_CMD_TO_RAM);
	wait_until(idle());
	memset(page, 0, PAGE);
	page_arrives(DST, page);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(identifies_as_qemu_does),
		TEST(looks_at_the_width_of_an_access),
		TEST(computes_factorials),
		TEST(moves_pages_through_its_buffer),
		TEST(refuses_what_is_not_in_its_buffer),
		TEST(is_deaf_while_at_work),
		TEST(dma_in_flight_migrates),
		TEST(reset_forgets_buffer_and_dma),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
