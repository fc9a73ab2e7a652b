/* SPDX-License-Identifier: MIT */
/*
 * take() against threads that set bits meanwhile.  A setter stores a number
 * into its slot of a page, then sets the page's bit with release, as a
 * vhost-user back end does; the taker reads the slots of every page it took.
 * At the end, after a last take, it must know every slot's last number.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <spoor/bitmap.h>

#include "tests/bitmap/naive.h"

#define NR_SETTERS 4
#define NR_PAGES   4097
#define NR_STORES  200000

static uint64_t words[NR_PAGES / 64 + 1];
/* Relaxed: what orders them is the bits alone. */
static uint64_t slots[NR_PAGES][NR_SETTERS];
static atomic_int running;

struct setter {
	pthread_t thread;
	unsigned int index;
};

static void *set_bits(void *arg)
{
	struct setter *s = arg;
	uint64_t rnd = s->index, i;

	for (i = 1; i <= NR_STORES; i++) {
		uint64_t page = naive_random(&rnd) % NR_PAGES;

		__atomic_store_n(&slots[page][s->index], i, __ATOMIC_RELAXED);
		__atomic_fetch_or(&words[page / 64], UINT64_C(1) << page % 64,
				  __ATOMIC_RELEASE);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void take_loses_no_bit_that_is_set_meanwhile(void **state)
{
	static uint64_t seen[NR_PAGES][NR_SETTERS];
	static uint64_t taken_words[NR_PAGES / 64 + 1];
	struct spoor_range range = { 0, (uint64_t)NR_PAGES << 12 }, run;
	struct setter setters[NR_SETTERS];
	struct spoor_bitmap src, dst;
	uint64_t takes = 0, page;
	bool last;
	unsigned int i;

	(void)state;
	assert_int_equal(spoor_bitmap_init(&src, words, &range, 12), 0);
	assert_int_equal(spoor_bitmap_init(&dst, taken_words, &range, 12), 0);
	atomic_store(&running, NR_SETTERS);
	for (i = 0; i < NR_SETTERS; i++) {
		setters[i].index = i;
		assert_int_equal(pthread_create(&setters[i].thread, NULL,
						set_bits, &setters[i]),
				 0);
	}
	do {
		uint64_t cursor = 0;

		last = !atomic_load(&running);
		spoor_bitmap_clear(&dst);
		assert_int_equal(spoor_bitmap_take(&dst, &src, NULL), 0);
		takes++;
		while (spoor_bitmap_next_run(&dst, &cursor, &run)) {
			for (page = run.iova >> 12;
			     page < (run.iova + run.len) >> 12; page++) {
				for (i = 0; i < NR_SETTERS; i++)
					seen[page][i] = __atomic_load_n(
						&slots[page][i],
						__ATOMIC_RELAXED);
			}
		}
	} while (!last);
	for (i = 0; i < NR_SETTERS; i++)
		pthread_join(setters[i].thread, NULL);

	assert_true(takes > 1);
	assert_memory_equal(seen, slots, sizeof(slots));
	assert_int_equal(spoor_bitmap_count(&src), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_loses_no_bit_that_is_set_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
