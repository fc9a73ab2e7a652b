/* SPDX-License-Identifier: MIT */
/*
 * split-or-funnel [--small] [SWEEP...]: run the designs over the cells and write
 * what they took, one JSON object a line; --small, for tests: once, over a
 * 1024th of the memory.  In each repetition every design has its
 * turn, in another order, and so has the limit: one memcpy of the bitmap.
 *
 * What a design reports is compared with what was marked, at every read.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <spoor/error.h>

#include "bench/cells.h"
#include "bench/heap.h"
#include "bench/run.h"

#define READS 2u /* timed, of one start */

/* What one read took. */
struct sample {
	uint64_t ns, cpu_ns;
	struct design_counts counts; /* differences */
	uint64_t kernel_bytes, user_bytes; /* since before the start */
};

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *design, const char *what, int err)
{
	fprintf(stderr, "split-or-funnel: %s: %s: %s (%s)\n", design, what,
		strerror(-err), spoor_errmsg());
	exit(1);
}

/* The bits that a read must bring. */
static uint64_t *expected(const struct cell *c, const char *design)
{
	uint64_t nr = c->len / c->page_size, per = c->page_size / 4096;
	struct bench_spec spec = cell_spec(c, design);
	uint64_t *words = calloc((nr + 63) / 64, sizeof(*words));

	if (!words)
		die(design, "bitmap", -ENOMEM);
	for (unsigned int t = 0; t < spec.nr_devices; t++) {
		struct pattern p = cell_pattern(c, t);

		if (spec.devices[t].device == BENCH_DSA)
			continue;
		for (uint64_t i = 0; i < p.nr * p.run; i++) {
			uint64_t page =
				p.first + i / p.run * p.step + i % p.run;

			words[page / per / 64] |= 1ull << (page / per % 64);
		}
	}
	if (c->layout == LAYOUT_A_PINS)
		memset(words, 0xff, CELL_PINNED / c->page_size / 8);
	if (c->layout == LAYOUT_C && !strcmp(design, "funnel"))
		memset(words, 0xff, nr / 8);
	return words;
}

/* One device's writes. */
struct marker {
	const struct cell *cell;
	const struct bench_machine *machine;
	unsigned int device;
};

static void *mark_one(void *arg)
{
	const struct marker *k = arg;
	const struct bench_machine *m = k->machine;
	struct pattern p = cell_pattern(k->cell, k->device);
	int err;

	if (!bench_device_logs(m, k->device) &&
	    !bench_device_emulated(m, k->device))
		return NULL;
	err = design_mark(bench_device_name(m, k->device),
			  BENCH_IOVA + p.first * 4096, p.nr, p.run, p.step);
	if (err)
		die(bench_device_name(m, k->device), "mark", err);
	return NULL;
}

static void mark(const struct cell *c, const struct bench_machine *m)
{
	for (unsigned int i = 0; i < m->spec.nr_devices; i++)
		mark_one(&(struct marker){ c, m, i });
}

/* All devices at once. */
static void timed_mark(const struct cell *c, const struct bench_machine *m,
		       struct sample *s)
{
	struct marker markers[BENCH_MAX_DEVICES];
	pthread_t threads[BENCH_MAX_DEVICES] = { 0 };
	const unsigned int nr = m->spec.nr_devices;
	uint64_t start = now(CLOCK_MONOTONIC);
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		markers[i] = (struct marker){ c, m, i };
		err = pthread_create(&threads[i], NULL, mark_one, &markers[i]);
	}
	if (err)
		die("devices", "thread", -err);
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	*s = (struct sample){ .ns = now(CLOCK_MONOTONIC) - start };
}

struct writer {
	const struct bench_machine *machine;
	atomic_bool quit;
};

/* A device that is not quiet. */
static void *write_on(void *arg)
{
	struct writer *w = arg;
	uint64_t nr_pages = w->machine->spec.len / 4096, x = 1;

	while (!w->quit) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		design_mark(bench_device_name(w->machine, 0),
			    BENCH_IOVA + (x >> 20) % (nr_pages - 64) * 4096, 1,
			    64, 1);
	}
	return NULL;
}

static void check(const struct cell *c, const struct run *r,
		  const uint64_t *want)
{
	bool wrong = false;

	if (!c->busy)
		wrong = memcmp(r->into.words, want, r->len) != 0;
	for (uint64_t i = 0; c->busy && i < r->len / 8; i++)
		wrong |= (want[i] & ~r->into.words[i]) != 0;
	if (!wrong)
		return;
	fprintf(stderr,
		"split-or-funnel: %s, %s: %" PRIu64 " bits, not those marked\n",
		c->sweep, r->design->name, spoor_bitmap_count(&r->into));
	exit(1);
}

static void timed_read(struct run *r, struct sample *s)
{
	struct design_counts before, after;
	uint64_t ns, cpu;
	int err;

	design_counts(&before);
	ns = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_THREAD_CPUTIME_ID);
	err = run_collect(r);
	s->cpu_ns = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	s->ns = now(CLOCK_MONOTONIC) - ns;
	if (err)
		die(r->design->name, "read", err);
	design_counts(&after);
	s->counts = (struct design_counts){
		.calls = after.calls - before.calls + run_nr_ioctls(),
		.copies = after.copies - before.copies,
		.bytes = after.bytes - before.bytes,
		.allocated = after.allocated,
		.peak = after.peak,
	};
}

static void print(const struct cell *c, const char *design, unsigned int rep,
		  const struct sample *s)
{
	printf("{\"sweep\": \"%s\", \"design\": \"%s\", \"memory\": %" PRIu64
	       ", \"trackers\": %u, \"density\": %g, \"clustered\": %s, "
	       "\"page_size\": %" PRIu64 ", \"rep\": %u, \"ns\": %" PRIu64
	       ", \"cpu_ns\": %" PRIu64 ", \"calls\": %" PRIu64
	       ", \"copies\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"kernel_bytes\": %" PRIu64 ", \"kernel_peak\": %" PRIu64
	       ", \"user_bytes\": %" PRIu64 "}\n",
	       c->sweep, design, c->len, c->nr_trackers,
	       (double)c->per_10000 / 10000, c->clustered ? "true" : "false",
	       c->page_size, rep, s->ns, s->cpu_ns, s->counts.calls,
	       s->counts.copies, s->counts.bytes, s->kernel_bytes,
	       s->counts.peak, s->user_bytes);
}

/* Start, read once to warm up, and then for the record. */
static void measure(const struct cell *c, struct bench_machine *m,
		    const char *design, unsigned int rep, const uint64_t *want)
{
	struct writer w = { .machine = m };
	struct design_counts before;
	uint64_t user_before, user_now, peak;
	pthread_t thread = 0;
	struct run r;
	int err;

	design_counts(&before);
	heap_counts(&user_before, &peak);
	err = run_start(&r, design, m, c->page_size);
	if (err)
		die(design, "start", err);
	err = c->busy ? pthread_create(&thread, NULL, write_on, &w) : 0;
	if (err)
		die(design, "thread", -err);
	for (unsigned int i = 0; i <= READS; i++) {
		struct sample s, marked = { 0 };

		memset(r.into.words, 0, r.len);
		if (c->marking)
			timed_mark(c, m, &marked);
		else
			mark(c, m);
		run_nr_ioctls();
		timed_read(&r, &s);
		check(c, &r, want);
		if (c->marking)
			s.ns = marked.ns;
		heap_counts(&user_now, &peak);
		s.kernel_bytes = s.counts.allocated - before.allocated;
		s.counts.peak -= before.allocated;
		s.user_bytes = user_now - user_before;
		if (i)
			print(c, design, rep, &s);
	}
	w.quit = true;
	if (c->busy)
		pthread_join(thread, NULL);
	err = run_stop(&r);
	if (err)
		die(design, "stop", err);
}

/* The least that any design could do: the bitmap is copied once. */
static void measure_limit(const struct cell *c, unsigned int rep)
{
	uint64_t len = (c->len / c->page_size + 63) / 64 * 8;
	uint64_t *from = run_words(len), *to = run_words(len);

	if (!from || !to)
		die("limit", "bitmap", -ENOMEM);
	memcpy(to, from, len);
	for (unsigned int i = 0; i < READS; i++) {
		struct sample s = { .counts.bytes = len };
		uint64_t ns = now(CLOCK_MONOTONIC);
		uint64_t cpu_ns = now(CLOCK_THREAD_CPUTIME_ID);

		memcpy(to, from, len);
		s.cpu_ns = now(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
		s.ns = now(CLOCK_MONOTONIC) - ns;
		print(c, "limit", rep, &s);
	}
	run_words_free(from, len);
	run_words_free(to, len);
}

static void up(struct bench_machine *m, const struct cell *c,
	       const char *design)
{
	const struct bench_spec spec = cell_spec(c, design);
	int err = bench_machine_open(m, &spec);

	if (!err && c->layout == LAYOUT_A_PINS)
		err = bench_device_pin(m, 1, CELL_PINNED);
	if (err)
		die(c->sweep, "machine", err);
}

static void run_cell(const struct cell *c)
{
	unsigned int nr = 0;

	while (c->designs[nr])
		nr++;
	for (unsigned int rep = 0; rep < c->repeats; rep++) {
		measure_limit(c, rep);
		for (unsigned int i = 0; i < nr; i++) {
			const char *design = c->designs[(i + rep) % nr];
			uint64_t *want = expected(c, design);
			struct bench_machine m;

			up(&m, c, design);
			measure(c, &m, design, rep, want);
			bench_machine_close(&m);
			free(want);
		}
	}
	fflush(stdout);
}

static bool wanted(const struct cell *c, char **names)
{
	for (char **name = names; *name; name++) {
		if (!strcmp(*name, c->sweep))
			return true;
	}
	return !*names;
}

int main(int argc, char **argv)
{
	bool small = argc > 1 && !strcmp(argv[1], "--small");

	bench_need_devices(argv);
	for (unsigned int i = 0; i < nr_cells; i++) {
		struct cell c = cells[i];
		uint64_t start = now(CLOCK_MONOTONIC);

		if (!wanted(&c, argv + 1 + small))
			continue;
		if (small) {
			c.len /= 1024;
			c.repeats = 1;
		}
		run_cell(&c);
		fprintf(stderr, "%2u of %u: %s, %.1f s\n", i + 1, nr_cells,
			c.sweep, (double)(now(CLOCK_MONOTONIC) - start) / 1e9);
	}
	return 0;
}
