/* SPDX-License-Identifier: MIT */
/* Levels, registers and BAR memory: quiet is quiet, touching it is noted. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "fake_host.h"
#include "models/dsa_regs.h"
#include "models/model_priv.h"
#include "models/nic_regs.h"
#include "models/plain_regs.h"

#define SPACE (1024 * (uint64_t)PAGE)
#define DESC  (1000 * (uint64_t)PAGE)

static struct fake_host *h;
static struct model *m;
static _Atomic(bool) stop;

static void make(const struct model_config *c)
{
	m = model_destroy(m);
	m = fake_model(h, c);
}

static int setup(void **state)
{
	struct model_config c = fake_config("dsa");

	(void)state;
	stop = false;
	h = fake_host_new(SPACE);
	make(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	h = fake_host_free(h);
	return 0;
}

static void put_fill(uint64_t at, uint64_t dst, uint64_t len, uint64_t id)
{
	struct dsa_descriptor d = { .op = DSA_OP_FILL,
				    .dst = dst,
				    .len = len,
				    .completion = 1010 * PAGE + id * 32,
				    .id = id };

	fake_put(h, at, &d, sizeof(d));
}

static void *ring_for_ever(void *arg)
{
	uint64_t doorbell = DESC;

	(void)arg;
	while (!stop) {
		model_bar_write(m, 0, DSA_REG_DOORBELL, &doorbell, 8);
		sleep_us(50);
	}
	return NULL;
}

static void *poke_for_ever(void *arg)
{
	(void)arg;
	while (!stop) {
		model_poke_dma(m, 990 * PAGE, "x", 1);
		model_poke_dma(m, PEER_BASE, "x", 1);
	}
	return NULL;
}

/* A slow host: a write in flight when the level changes stays there. */
static void dawdle(struct fake_host *host, uint64_t iova, size_t len)
{
	(void)host;
	(void)len;
	if (iova == 990 * PAGE)
		sleep_us(200);
}

static void no_dma_is_left_behind_by_a_stop(void **state)
{
	pthread_t threads[2];
	uint64_t before;

	(void)state;
	h->before_write = dawdle;
	put_fill(DESC, 0, 500 * PAGE, 0);
	pthread_create(&threads[0], NULL, ring_for_ever, NULL);
	pthread_create(&threads[1], NULL, poke_for_ever, NULL);
	/* Rounds enough, and there was something to stop in some of them. */
	for (int i = 0; i < 300 || h->writes <= 1000; i++) {
		assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
		h->forbid = true;
		before = h->writes;
		sleep_us(i % 4 ? 10 : 300);
		assert_int_equal(h->writes, before);
		h->forbid = false;
		assert_int_equal(
			model_set_level(m, i % 2 ? MODEL_P2P : MODEL_RUNNING),
			0);
		sleep_us(100);
	}
	stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(h->forbidden, 0);
}

static void p2p_that_stops_all_is_as_quiet(void **state)
{
	struct model_config c = fake_config("dsa");
	uint64_t before;

	(void)state;
	c.p2p_stops_all = true;
	make(&c);
	put_fill(DESC, 0, 900 * PAGE, 1);
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 3; j++)
			set64(m, DSA_REG_DOORBELL, DESC);
		assert_int_equal(model_set_level(m, MODEL_P2P), 0);
		h->forbid = true;
		before = h->writes + h->reads;
		/* Doorbells are taken, and wait. */
		set64(m, DSA_REG_DOORBELL, DESC);
		sleep_us(50);
		assert_int_equal(h->writes + h->reads, before);
		h->forbid = false;
		assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	}
	wait_until(get32(m, DSA_REG_FREE) == DSA_QUEUE);
	assert_int_equal(counters(m).violations, 0);
}

static void p2p_holds_dma_to_peers_in_order_until_running(void **state)
{
	(void)state;
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	put_fill(DESC, 0, PAGE, 1);
	put_fill(DESC + 64, PEER_BASE, 2 * PAGE, 2);
	put_fill(DESC + 128, 3 * PAGE, PAGE, 3);
	set64(m, DSA_REG_DOORBELL, DESC);
	wait_until(h->irqs == 1);
	set64(m, DSA_REG_DOORBELL, DESC + 64);
	set64(m, DSA_REG_DOORBELL, DESC + 128);
	sleep_us(5000);
	/* It goes on writing memory, but the third waits for the second. */
	assert_int_equal(h->peer_writes, 0);
	assert_int_equal(h->irqs, 1);
	assert_int_equal(get32(m, DSA_REG_FREE), DSA_QUEUE - 2);
	assert_int_equal(fake_get64(h, 3 * PAGE), 0);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	wait_until(h->irqs == 3);
	assert_int_equal(h->peer_writes, 2);
	assert_true(fake_get64(h, 3 * PAGE) != 0);
}

/* More work than is done before it is stopped, whoever has a turn. */
static void linger(struct fake_host *host, uint64_t iova, size_t len)
{
	(void)host;
	(void)iova;
	(void)len;
	sleep_us(50);
}

static void stopping_takes_its_time_and_is_at_work_meanwhile(void **state)
{
	struct model_config c = fake_config("dsa");
	struct timespec a, b;
	uint64_t before;
	int64_t ms;

	(void)state;
	c.stop_ms = 300;
	h->after_write = linger;
	make(&c);
	put_fill(DESC, 0, 900 * PAGE, 1);
	for (int i = 0; i < 60; i++)
		set64(m, DSA_REG_DOORBELL, DESC);
	before = h->writes;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	assert_true(ms >= 299);
	assert_true(h->writes > before + 20);
	before = h->writes;
	sleep_us(1000);
	assert_int_equal(h->writes, before);
	/* Nothing to finish: already there. */
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	ms = (a.tv_sec - b.tv_sec) * 1000 + (a.tv_nsec - b.tv_nsec) / 1000000;
	assert_true(ms < 299);
}

static void held_dma_travels_and_goes_on_at_the_destination(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model *m2 = fake_model(h, &c);
	uint8_t *bytes;
	size_t len;

	(void)state;
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	put_fill(DESC, PEER_BASE, PAGE, 1);
	set64(m, DSA_REG_DOORBELL, DESC);
	sleep_us(2000);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	bytes = save_all(m, &len);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
	assert_int_equal(model_set_level(m2, MODEL_P2P), 0);
	sleep_us(2000);
	assert_int_equal(h->peer_writes, 0);
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	wait_until(h->irqs == 1);
	assert_int_equal(h->peer_writes, 1);
	model_destroy(m2);
}

static void touching_a_stopped_device_is_a_violation(void **state)
{
	struct model_config c = fake_config("nic");
	uint64_t value = 1;
	uint32_t word;

	(void)state;
	make(&c);
	assert_int_equal(model_bar_write(m, 2, 8, "before", 6), 6);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(get64(m, NIC_REG_RX_BASE), UINT64_MAX);
	assert_int_equal(counters(m).violations, 1);
	set64(m, NIC_REG_RX_BASE, 4096);
	set32(m, NIC_REG_ENABLE, 1);
	assert_int_equal(counters(m).violations, 3);
	assert_int_equal(model_bar_read(m, 2, 8, &word, 4), 4);
	assert_int_equal(word, UINT32_MAX);
	assert_int_equal(model_bar_write(m, 2, 8, &value, 8), 8);
	assert_int_equal(counters(m).violations, 5);
	/* A peer's write lands, and is a violation all the same. */
	assert_int_equal(model_peer_write(m, 2, 16, &value, 8), 0);
	assert_int_equal(counters(m).violations, 6);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(get64(m, NIC_REG_RX_BASE), 0);
	assert_int_equal(get32(m, NIC_REG_ENABLE), 0);
	assert_int_equal(model_bar_read(m, 2, 8, &word, 4), 4);
	assert_memory_equal(&word, "befo", 4);
	value = 0;
	assert_int_equal(model_bar_read(m, 2, 16, &value, 8), 8);
	assert_int_equal(value, 1);
	assert_int_equal(counters(m).violations, 6);
}

static void peers_read_of_a_stopped_device_is_a_violation(void **state)
{
	struct model_config c = fake_config("nic");
	uint8_t buf[4];

	(void)state;
	make(&c);
	assert_int_equal(model_peer_write(m, 2, 8, "abcd", 4), 0);
	assert_int_equal(model_peer_read(m, 2, 8, buf, 4), 0);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(counters(m).violations, 0);
	assert_int_equal(model_peer_read(m, 2, 8, buf, 4), 0);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(counters(m).violations, 1);
	/* The host looks on nobody's behalf. */
	assert_int_equal(model_bar_peek(m, 2, 8, buf, 4), 0);
	assert_int_equal(counters(m).violations, 1);
	assert_int_equal(model_peer_read(m, 2, 65535, buf, 2), -EFAULT);
	assert_int_equal(model_peer_read(m, 0, 0, buf, 2), -EFAULT);
}

static void stores_through_a_mapping_are_violations_while_stopped(void **state)
{
	struct model_config c = fake_config("nic");
	struct model_bar bar;
	uint8_t *mapped, *bytes;
	size_t len;

	(void)state;
	make(&c);
	model_bar(m, 2, &bar);
	mapped = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      bar.fd, 0);
	assert_true(mapped != MAP_FAILED);
	mapped[1] = 1;
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(counters(m).violations, 0);
	/* Peers' writes are told by themselves. */
	assert_int_equal(model_peer_write(m, 2, 100, "x", 1), 0);
	assert_int_equal(counters(m).violations, 1);
	mapped[2] = 1;
	mapped[3] = 1;
	assert_int_equal(counters(m).violations, 2);
	assert_int_equal(counters(m).violations, 2);
	bytes = save_all(m, &len);
	mapped[4] = 1;
	/* A state that is loaded is none. */
	assert_int_equal(load_all(m, bytes, len, 0), 0);
	free(bytes);
	assert_int_equal(counters(m).violations, 3);
	assert_int_equal(mapped[1], 1);
	assert_int_equal(mapped[2], 0);
	mapped[5] = 1;
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(counters(m).violations, 4);
	mapped[6] = 1;
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	mapped[7] = 1;
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(counters(m).violations, 5);
	munmap(mapped, bar.size);
}

static void bars_end_where_they_say(void **state)
{
	struct model_config c = fake_config("nic");
	struct model_bar bar;
	uint8_t buf[64];

	(void)state;
	model_bar(m, 2, &bar);
	assert_int_equal(bar.size, 0);
	assert_int_equal(model_bar_read(m, 2, 0, buf, 4), -EINVAL);
	make(&c);
	model_bar(m, 0, &bar);
	assert_int_equal(bar.size, 4096);
	assert_false(bar.memory);
	assert_int_equal(model_bar_read(m, 0, 4090, buf, 64), 6);
	assert_int_equal(model_bar_write(m, 0, 4090, buf, 64), 6);
	assert_int_equal(model_bar_read(m, 0, 4096, buf, 1), -EINVAL);
	assert_int_equal(model_bar_read(m, 1, 0, buf, 1), -EINVAL);
	assert_int_equal(model_bar_read(m, 6, 0, buf, 1), -EINVAL);
	model_bar(m, 2, &bar);
	assert_int_equal(bar.size, 65536);
	assert_true(bar.memory);
	assert_int_equal(model_peer_write(m, 2, 65535, "ab", 2), -EFAULT);
	assert_int_equal(model_peer_write(m, 0, 0, "ab", 2), -EFAULT);
	assert_int_equal(model_peer_write(m, 2, 65534, "ab", 2), 0);
	/* The same memory, through its descriptor. */
	assert_int_equal(pread(bar.fd, buf, 2, 65534), 2);
	assert_memory_equal(buf, "ab", 2);
	assert_int_equal(pwrite(bar.fd, "xyz", 3, 100), 3);
	assert_int_equal(model_bar_peek(m, 2, 100, buf, 3), 0);
	assert_memory_equal(buf, "xyz", 3);
}

static void registers_take_64_bits_and_two_halves(void **state)
{
	uint32_t low = (uint32_t)DESC, high = 0;

	(void)state;
	assert_int_equal(get32(m, 0), DSA_MAGIC);
	set32(m, 0, 0);
	set32(m, DSA_REG_FREE, 7);
	assert_int_equal(get32(m, 0), DSA_MAGIC);
	assert_int_equal(get32(m, DSA_REG_FREE), DSA_QUEUE);
	put_fill(DESC, 0, 8, 1);
	/* The first half alone rings no doorbell. */
	set32(m, DSA_REG_DOORBELL, low);
	sleep_us(2000);
	assert_int_equal(h->irqs, 0);
	set32(m, DSA_REG_DOORBELL + 4, high);
	wait_until(h->irqs == 1);
	set64(m, DSA_REG_DOORBELL, DESC);
	wait_until(h->irqs == 2);
	assert_int_equal(get32(m, DSA_REG_DOORBELL), low);
}

static void reset_makes_it_as_new(void **state)
{
	struct model_config c = fake_config("nic");
	struct lost_set lost = { 0 };
	uint8_t *bytes, *fresh, byte = 1;
	size_t len, len2;

	(void)state;
	make(&c);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	fresh = save_all(m, &len2);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	set64(m, NIC_REG_RX_BASE, PAGE);
	assert_int_equal(model_peer_write(m, 2, 0, "ab", 2), 0);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(model_level(m), MODEL_RUNNING);
	assert_int_equal(get64(m, NIC_REG_RX_BASE), 0);
	assert_int_equal(get32(m, 0), NIC_MAGIC);
	assert_int_equal(model_bar_read(m, 2, 0, &byte, 1), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	bytes = save_all(m, &len);
	assert_int_equal(len, len2);
	assert_memory_equal(bytes, fresh, len);
	free(bytes);
	free(fresh);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(model_poke_dma(m, 0, "x", 1), 0);
	assert_int_equal(model_reset(m), 0);
	memset(h->mem, 0, PAGE);
	model_truth_check(m, lost_add, &lost);
	assert_int_equal(lost.nr, 0);
}

static void reset_drops_work_in_progress(void **state)
{
	uint64_t before;

	(void)state;
	put_fill(DESC, 0, 900 * PAGE, 1);
	for (int i = 0; i < 64; i++)
		set64(m, DSA_REG_DOORBELL, DESC);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(get32(m, DSA_REG_FREE), DSA_QUEUE);
	before = h->writes;
	sleep_us(3000);
	assert_int_equal(h->writes, before);
}

static void idle_device_takes_no_time(void **state)
{
	static const enum model_level levels[] = { MODEL_RUNNING, MODEL_P2P,
						   MODEL_STOPPED };
	struct timespec a, b;
	clockid_t clock;

	(void)state;
	/* Also with DMA that is held: it waits for the level, it does not ask. */
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	put_fill(DESC, PEER_BASE, PAGE, 1);
	set64(m, DSA_REG_DOORBELL, DESC);
	sleep_us(2000);
	assert_int_equal(pthread_getcpuclockid(m->worker, &clock), 0);
	for (size_t i = 0; i < 3; i++) {
		clock_gettime(clock, &a);
		sleep_us(50000);
		clock_gettime(clock, &b);
		assert_int_equal(b.tv_sec, a.tv_sec);
		assert_true(b.tv_nsec - a.tv_nsec < 2000000);
		assert_int_equal(model_set_level(m, levels[i]), 0);
		sleep_us(2000);
	}
}

static void plain_fills_and_stops_without_a_state(void **state)
{
	struct model_config c = fake_config("plain");
	struct model_shape shape;
	uint8_t got[8];

	(void)state;
	make(&c);
	assert_int_equal(get32(m, 0), PLAIN_MAGIC);
	assert_true(model_shape("plain", &shape));
	assert_int_equal(shape.nr_vectors, 0);
	set64(m, PLAIN_REG_DST, PAGE - 16);
	set64(m, PLAIN_REG_LEN, 299 * PAGE + 24);
	set64(m, PLAIN_REG_DOORBELL, UINT64_C(0x1122334455667788));
	wait_until(counters(m).dma_bytes == 299 * PAGE + 24);
	fake_get(h, 200 * PAGE + 8, got, 8);
	assert_memory_equal(got, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_int_equal(counters(m).dma_writes, 301);
	assert_int_equal(fake_get64(h, 300 * PAGE + 8), 0);
	/* Stopped in the middle, it goes on when it runs again. */
	set64(m, PLAIN_REG_LEN, 900 * PAGE);
	set64(m, PLAIN_REG_DOORBELL, 1);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	wait_until(counters(m).dma_bytes == 1199 * PAGE + 24);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_dma_is_left_behind_by_a_stop),
		T(p2p_that_stops_all_is_as_quiet),
		T(p2p_holds_dma_to_peers_in_order_until_running),
		T(stopping_takes_its_time_and_is_at_work_meanwhile),
		T(held_dma_travels_and_goes_on_at_the_destination),
		T(touching_a_stopped_device_is_a_violation),
		T(peers_read_of_a_stopped_device_is_a_violation),
		T(stores_through_a_mapping_are_violations_while_stopped),
		T(bars_end_where_they_say),
		T(registers_take_64_bits_and_two_halves),
		T(reset_makes_it_as_new),
		T(reset_drops_work_in_progress),
		T(idle_device_takes_no_time),
		T(plain_fills_and_stops_without_a_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
