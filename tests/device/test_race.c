/* SPDX-License-Identifier: MIT */
/* DMA, states, attachment and files from several threads at once. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>

#define ROUNDS 200

static atomic_bool stop;
static atomic_uint nr_dma; /* that went through */
static unsigned int landed; /* accesses that ran after they were forbidden */
static int shared_fd;

static void *dma(void *arg)
{
	unsigned int page = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		if (!dma_write(DEV_ALL, BASE + (page++ % 16) * PAGE, 64))
			atomic_fetch_add(&nr_dma, 1);
		sched_yield();
	}
	return NULL;
}

static void start(pthread_t *t, void *(*fn)(void *))
{
	atomic_store(&stop, false);
	atomic_store(&nr_dma, 0);
	assert_int_equal(pthread_create(t, NULL, fn, NULL), 0);
}

/* Rounds enough, and the other thread was there for some of them. */
static bool enough(int round)
{
	return round >= ROUNDS && atomic_load(&nr_dma) >= 64;
}

static void end(pthread_t t)
{
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

static unsigned int in_flight(void)
{
	return __atomic_load_n(&ram.in_flight, __ATOMIC_SEQ_CST);
}

static void nothing_is_in_flight_after_stop(void **state)
{
	int dev = open_device(DEV_ALL), i;
	pthread_t t;

	(void)state;
	start(&t, dma);
	for (i = 0; !enough(i); i++) {
		assert_int_equal(set_state(dev, VFIO_DEVICE_STATE_STOP, NULL),
				 0);
		landed += in_flight();
		assert_int_equal(
			set_state(dev, VFIO_DEVICE_STATE_RUNNING, NULL), 0);
	}
	end(t);
	assert_int_equal(landed, 0);
	close(dev);
}

/* Made long enough that who does not wait would be seen. */
static void linger(void)
{
	int i;

	for (i = 0; i < 20; i++)
		sched_yield();
}

static void detaching_waits_for_dma(void **state)
{
	struct sv_device *d = sv_device_by_index(DEV_ALL);
	int dev = open_device(DEV_ALL), i;
	uint16_t off = 2, on = 6;
	pthread_t t;

	(void)state;
	ram.hook = linger;
	start(&t, dma);
	for (i = 0; !enough(i); i++) {
		sv_device_set_attachment(d, NULL);
		landed += in_flight();
		sv_device_set_attachment(d, attachment());
		sched_yield();
		assert_int_equal(dev_pwrite(dev, &off, 2, CONFIG + 4), 2);
		landed += in_flight();
		assert_int_equal(dev_pwrite(dev, &on, 2, CONFIG + 4), 2);
		sched_yield();
	}
	end(t);
	ram.hook = NULL;
	assert_int_equal(landed, 0);
	close(dev);
}

static void *read_data(void *arg)
{
	struct sv_file *f = sv_file_get(shared_fd);
	uint8_t buf[16];
	ssize_t n = 0;

	(void)arg;
	while (f && n != -ENODEV && !atomic_load(&stop))
		n = f->ops->read(f, buf, 1);
	if (f)
		sv_file_put(f);
	return NULL;
}

static void reader_survives_the_close_of_device_and_file(void **state)
{
	pthread_t t;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS / 4; i++) {
		int dev = open_device(DEV_ALL);

		assert_int_equal(
			set_state(dev, VFIO_DEVICE_STATE_STOP_COPY, &shared_fd),
			0);
		start(&t, read_data);
		sched_yield();
		if (i & 1)
			close(shared_fd);
		close(dev);
		end(t);
		if (!(i & 1))
			close(shared_fd);
	}
	assert_int_equal(fake_nr_streams(), 0);
}

static void *touch(void *arg)
{
	uint32_t v;

	(void)arg;
	while (!atomic_load(&stop)) {
		dev_pread(shared_fd, &v, 4, CONFIG + 4);
		dev_pwrite(shared_fd, &v, 4, CONFIG + 0x3c);
		dev_pread(shared_fd, &v, 4, 0);
		fake_irq(DEV_ALL, 0);
		sched_yield();
	}
	return NULL;
}

/* Every page written while logging is reported, by this or a later report. */
static void report_races_dma_and_states(void **state)
{
	static const struct {
		uint64_t iova, len;
	} whole = { BASE, 16 * PAGE };
	uint64_t bits = 0, all = 0;
	pthread_t t, u;
	int i, r, fd = -1;

	(void)state;
	shared_fd = open_device(DEV_ALL);
	assert_int_equal(log_start(shared_fd, PAGE, 1, &whole), 0);
	start(&t, dma);
	start(&u, touch);
	for (i = 0; !enough(i); i++) {
		bits = 0;
		/* Every third fails, if there is anything to tell. */
		r = log_report(shared_fd, BASE, 16 * PAGE, PAGE,
			       i % 3 ? &bits : NULL);
		assert_true(!r || (i % 3 == 0 && r == -EFAULT));
		all |= bits;
		assert_int_equal(
			set_state(shared_fd, VFIO_DEVICE_STATE_PRE_COPY, &fd),
			0);
		close(fd);
		assert_int_equal(
			set_state(shared_fd, VFIO_DEVICE_STATE_RUNNING, NULL),
			0);
	}
	end(t);
	end(u);
	bits = 0;
	assert_int_equal(log_report(shared_fd, BASE, 16 * PAGE, PAGE, &bits),
			 0);
	assert_int_equal(all | bits, 0xffff);
	bits = 0;
	assert_int_equal(log_report(shared_fd, BASE, 16 * PAGE, PAGE, &bits),
			 0);
	assert_int_equal(bits, 0);
	close(shared_fd);
}

static void *open_and_close(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		int dev = open_device(DEV_ALL);

		set_state(dev, VFIO_DEVICE_STATE_RUNNING_P2P, NULL);
		close(dev);
	}
	return NULL;
}

static void opens_and_closes_race(void **state)
{
	pthread_t t;
	int i;

	(void)state;
	start(&t, open_and_close);
	for (i = 0; i < ROUNDS; i++) {
		int dev = open_device(DEV_ALL);
		uint32_t v;

		assert_int_equal(dev_pread(dev, &v, 4, CONFIG), 4);
		assert_int_equal(v, 0x10001d55);
		close(dev);
	}
	end(t);
	assert_int_equal(open_files(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_in_flight_after_stop),
		cmocka_unit_test(detaching_waits_for_dma),
		cmocka_unit_test(reader_survives_the_close_of_device_and_file),
		cmocka_unit_test(report_races_dma_and_states),
		cmocka_unit_test(opens_and_closes_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
