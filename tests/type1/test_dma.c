/* SPDX-License-Identifier: MIT */
/*
 * DMA against everything else: into a peer's BAR, against unmapping, against
 * reads of dirty bits.
 */
#include "tests/type1/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "base/uapi_vfio.h"
#include "models/dsa_regs.h"
#include "models/nic_regs.h"
#include "softvfio/softvfio.h"

#define START	   VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define BAR	   (IOVA + 4 * LEN)
#define NR_THREADS 8u
#define OWN	   (NR_PAGES / NR_THREADS) /* pages of one thread */

static void pause_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

static void wait_for_completion(uint64_t at, uint64_t id)
{
	struct dsa_completion *done = (void *)(guest + at);

	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n(&done->id, __ATOMIC_ACQUIRE) == id) {
			assert_int_equal(done->status, DSA_STATUS_OK);
			return;
		}
		pause_us(200);
	}
	fail_msg("no completion");
}

static void dma_reaches_a_peers_bar_until_it_is_unmapped(void **state)
{
	const struct dsa_descriptor copy = {
		.op = DSA_OP_COPY,
		.src = IOVA + PAGE,
		.dst = BAR + PAGE,
		.len = PAGE,
		.completion = IOVA + 3 * PAGE,
		.id = 7,
	};
	int gn, nic, dsa, g, c = typed(DSA, &g);
	uint8_t *bar;

	(void)state;
	dsa = device(g, DSA);
	gn = join(c, NIC);
	nic = device(gn, NIC);
	bar = mmap(NULL, NIC_BAR_MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		   nic, (off_t)NIC_BAR_MEM << 40);
	assert_true(bar != MAP_FAILED);
	assert_int_equal(map(c, bar, NIC_BAR_MEM_LEN, BAR), 0);
	memset(guest + PAGE, 0xa5, PAGE);
	memcpy(guest, &copy, sizeof(copy));
	reg64(dsa, DSA_REG_DOORBELL, IOVA);
	wait_for_completion(3 * PAGE, 7);
	/* The first 8 bytes are the device's stamp. */
	assert_memory_equal(bar + PAGE + 8, guest + PAGE + 8, PAGE - 8);
	assert_int_equal(unmap(c, BAR, NIC_BAR_MEM_LEN), 0);
	assert_int_equal(softvfio_dma_write("dsa", BAR, "x", 1), -EFAULT);
	munmap(bar, NIC_BAR_MEM_LEN);
	close_all(5, nic, gn, dsa, g, c);
}

/* One that touches a stopped peer is told on: it was the peer, not bytes. */
static void a_stopped_peer_counts_what_reaches_it(void **state)
{
	struct softvfio_counters before, after;
	int gn, nic, dsa, g, c = typed(DSA, &g);
	void *bar;
	char byte;

	(void)state;
	dsa = device(g, DSA);
	gn = join(c, NIC);
	nic = device(gn, NIC);
	bar = mmap(NULL, NIC_BAR_MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		   nic, (off_t)NIC_BAR_MEM << 40);
	assert_true(bar != MAP_FAILED);
	assert_int_equal(map(c, bar, NIC_BAR_MEM_LEN, BAR), 0);
	set_state(nic, VFIO_DEVICE_STATE_STOP);
	assert_int_equal(softvfio_device_counters("nic", &before), 0);
	assert_int_equal(softvfio_dma_write("dsa", BAR, "x", 1), 0);
	assert_int_equal(softvfio_device_counters("nic", &after), 0);
	assert_int_equal(after.violations, before.violations + 1);
	assert_int_equal(softvfio_dma_read("dsa", BAR, &byte, 1), 0);
	*((volatile char *)bar + PAGE) = 1;
	assert_int_equal(softvfio_device_counters("nic", &after), 0);
	assert_int_equal(after.violations, before.violations + 3);
	munmap(bar, NIC_BAR_MEM_LEN);
	close_all(5, nic, gn, dsa, g, c);
}

static void *write_until_it_faults(void *arg)
{
	uint8_t page[PAGE];
	int *ret = arg;

	for (unsigned int i = 0; !*ret; i++) {
		memset(page, (int)i, sizeof(page));
		*ret = softvfio_dma_write("dsa", IOVA, page, sizeof(page));
	}
	return NULL;
}

static void unmap_waits_for_dma(void **state)
{
	int dev, g, c = typed(DSA, &g);
	uint8_t seen[PAGE];
	pthread_t thread;

	(void)state;
	dev = device(g, DSA);
	/* Whole also when the thread has no turn before the first unmap. */
	memset(guest, 0, PAGE);
	for (int i = 0; i < 200; i++) {
		int err = 0;

		pthread_create(&thread, NULL, write_until_it_faults, &err);
		pause_us(100 + i * 5);
		assert_int_equal(unmap(c, IOVA, LEN), 0);
		memcpy(seen, guest, PAGE);
		/* Whole, and nothing comes behind. */
		assert_memory_equal(seen + 8, seen + 9, PAGE - 9);
		pthread_join(thread, NULL);
		assert_int_equal(err, -EFAULT);
		assert_memory_equal(seen, guest, PAGE);
		assert_int_equal(map(c, guest, LEN, IOVA), 0);
	}
	close_all(3, dev, g, c);
}

static uint64_t faults(void)
{
	struct softvfio_counters c;

	assert_int_equal(softvfio_device_counters("dsa", &c), 0);
	return c.faults;
}

/* Its mapping is all there is of it: no device may fall over that. */
static void private_memory_that_went_is_a_fault(void **state)
{
	void *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t there = IOVA + LEN;
	uint64_t before;
	char byte;
	int dev, g, c = typed(DSA, &g);

	(void)state;
	assert_true(p != MAP_FAILED);
	dev = device(g, DSA);
	assert_int_equal(map(c, p, 2 * PAGE, there), 0);
	before = faults();
	assert_int_equal(softvfio_dma_write("dsa", there, "0123456789", 10), 0);
	assert_memory_equal((char *)p + 8, "89", 2);
	assert_int_equal(faults(), before);
	assert_int_equal(mprotect(p, PAGE, PROT_READ), 0);
	assert_int_equal(softvfio_dma_write("dsa", there, "x", 1), -EFAULT);
	assert_int_equal(softvfio_dma_read("dsa", there + 8, &byte, 1), 0);
	assert_int_equal(byte, '8');
	assert_int_equal(munmap(p, 2 * PAGE), 0);
	assert_int_equal(softvfio_dma_write("dsa", there + PAGE, "x", 1),
			 -EFAULT);
	assert_int_equal(softvfio_dma_read("dsa", there, &byte, 1), -EFAULT);
	assert_int_equal(faults(), before + 2);
	close_all(3, dev, g, c);
}

static void *write_one_page(void *arg)
{
	uint8_t page[PAGE];

	memset(page, *(const char *)arg, sizeof(page));
	for (int i = 0; i < 2000; i++)
		assert_int_equal(
			softvfio_dma_write(arg, IOVA + 3, page + 3, PAGE - 3),
			0);
	return NULL;
}

/* No lock is common to them: a sanitizer has something to say, or not. */
static void two_devices_may_write_one_page(void **state)
{
	int g2, dev2, dev, g, c = typed(DSA, &g);
	char dsa[] = "dsa", mdev[] = "mdev";
	pthread_t threads[2];
	uint8_t byte;

	(void)state;
	dev = device(g, DSA);
	g2 = join(c, MDEV);
	dev2 = device(g2, MDEV);
	pthread_create(&threads[0], NULL, write_one_page, dsa);
	pthread_create(&threads[1], NULL, write_one_page, mdev);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(softvfio_dma_read("dsa", IOVA + 100, &byte, 1),
				 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	for (uint64_t i = 16; i < PAGE; i++)
		assert_true(guest[i] == 'd' || guest[i] == 'm');
	/* Words, whoever they came from. */
	for (uint64_t i = 16; i < PAGE; i += 8)
		assert_memory_equal(guest + i, guest + i + 1, 7);
	close_all(5, dev2, dev, g2, g, c);
}

struct writer {
	pthread_t thread;
	unsigned int n;
	atomic_bool *quit;
	int err;
};

/* Numbers in the pages of its own: 8 bytes behind the stamp. */
static void *write_numbers(void *arg)
{
	struct writer *w = arg;
	const char *name = device_names[w->n % 2 ? MDEV_ONCE : MDEV_ONCE2];

	for (uint64_t i = 1; !atomic_load(w->quit) && !w->err; i++) {
		const uint64_t page = w->n * OWN + i % OWN;
		const uint64_t buf[2] = { 0, i };

		w->err = softvfio_dma_write(name, IOVA + page * PAGE, buf,
					    sizeof(buf));
	}
	return NULL;
}

static uint64_t number_in(const uint8_t *memory, unsigned int page)
{
	return __atomic_load_n(
		(const uint64_t *)(const void *)(memory + page * PAGE + 8),
		__ATOMIC_RELAXED);
}

/* Copy what is dirty, as a migration would. */
static void collect(int c, uint64_t *copy)
{
	uint64_t bits = dirty(c);

	for (unsigned int page = 0; page < NR_PAGES; page++) {
		if (bits & BIT(page))
			copy[page] = number_in(guest, page);
	}
}

static void no_write_is_lost_between_reads(void **state)
{
	struct writer writers[NR_THREADS];
	int g2, dev2, dev, g, c = typed(MDEV_ONCE, &g);
	uint64_t copy[NR_PAGES] = { 0 };
	atomic_bool quit = false;

	(void)state;
	memset(guest, 0, LEN);
	g2 = join(c, MDEV_ONCE2);
	dev = device(g, MDEV_ONCE);
	dev2 = device(g2, MDEV_ONCE2);
	assert_int_equal(track(c, START), 0);
	for (unsigned int n = 0; n < NR_THREADS; n++) {
		writers[n] = (struct writer){ .n = n, .quit = &quit };
		pthread_create(&writers[n].thread, NULL, write_numbers,
			       &writers[n]);
	}
	/* A pause, or the reads would leave the writers no turn. */
	for (int i = 0; i < 3000; i++) {
		collect(c, copy);
		pause_us(10);
	}
	atomic_store(&quit, true);
	for (unsigned int n = 0; n < NR_THREADS; n++) {
		pthread_join(writers[n].thread, NULL);
		assert_int_equal(writers[n].err, 0);
	}
	collect(c, copy);
	for (unsigned int page = 0; page < NR_PAGES; page++) {
		assert_true(number_in(guest, page));
		assert_int_equal(copy[page], number_in(guest, page));
	}
	close_all(5, dev2, dev, g2, g, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dma_reaches_a_peers_bar_until_it_is_unmapped),
		cmocka_unit_test(a_stopped_peer_counts_what_reaches_it),
		cmocka_unit_test(unmap_waits_for_dma),
		cmocka_unit_test(private_memory_that_went_is_a_fault),
		cmocka_unit_test(two_devices_may_write_one_page),
		cmocka_unit_test(no_write_is_lost_between_reads),
	};

	return cmocka_run_group_tests(tests, make_guest, free_guest);
}
