/* SPDX-License-Identifier: MIT */
/*
 * The machine's process while its trackers and devices are measured: boots,
 * finds out what there is to measure, and tells its parent the profile after
 * each item, so that nothing that was measured is lost.
 *
 * Threads: the process's main thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <spoor/error.h>

#include "tools/spoor/bench/bench.h"
#include "cmd.h"
#include "profile_file.h"
#include "softvfio_door.h"
#include "units.h"

#define WARM_UP_NS (500 * BENCH_MS)

bool bench_wait(struct bench *b, uint64_t ns)
{
	return child_wait(b->c, ns ? ns : 1) != ORDER_QUIT;
}

void bench_note(struct bench *b, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	child_tell(b->c, json_pack("{s:s, s:s, s:s}", "event", "note", "level",
				   "warning", "text", text));
}

int bench_fail(struct bench *b, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->error, sizeof(b->error), fmt, ap);
	va_end(ap);
	return r;
}

/* Under `softvfio run` hardware is softvfio's. */
enum spoor_origin bench_origin(const struct bench *b, size_t device)
{
	return b->c->mf->devices[device].model != MF_NO_MODEL ||
			       door_nr_devices() > 0
		       ? SPOOR_MEASURED_SW
		       : SPOOR_MEASURED_HW;
}

static void tell_begun(struct bench *b, const char *what, uint64_t page_size)
{
	b->step++;
	child_tell(b->c,
		   json_pack("{s:s, s:s, s:I, s:I, s:I}", "event", "_measuring",
			     "what", what, "page_size", (json_int_t)page_size,
			     "n", (json_int_t)b->step, "of",
			     (json_int_t)b->nr_steps));
}

/* Before the news of it: what is told to be measured is kept. */
static void tell_profile(struct bench *b)
{
	json_t *p;

	b->p->taken_s = (uint64_t)time(NULL);
	p = profile_file_json(b->p);
	if (p)
		child_tell(b->c, json_pack("{s:s, s:o}", "event", "_profile",
					   "profile", p));
}

/* The figures as in the file, with what they are of. */
static void tell_measured(struct bench *b, json_t *figures, const char *key,
			  const char *name)
{
	json_t *line = json_pack("{s:s, s:s}", "event", "measured", key, name);

	if (line && figures && !json_object_update_missing(line, figures))
		child_tell(b->c, json_incref(line));
	json_decref(line);
	json_decref(figures);
}

static void tell_machine(struct bench *b)
{
	struct spoor_profile only = *b->p;
	json_t *figures;

	only.nr_trackers = only.nr_devices = 0;
	figures = profile_file_json(&only);
	if (figures) {
		json_object_del(figures, "trackers");
		json_object_del(figures, "devices");
	}
	tell_measured(b, figures, "machine", b->p->machine);
}

static bool devices_known(const struct bench *b)
{
	for (size_t i = 0; i < b->nr_facts; i++)
		if (!bench_device(b->p, b->facts[i].name))
			return false;
	return b->p->pause_ns.origin != SPOOR_UNMEASURED;
}

static int measure_machine(struct bench *b)
{
	int r = 0;

	/* First: later it would be the memory of a machine that ran longer. */
	if (!b->p->zero_share.origin) {
		tell_begun(b, "zeroes", 0);
		r = bench_zeroes(b);
		if (!r)
			tell_profile(b);
	}
	if (!r && !devices_known(b)) {
		tell_begun(b, "devices", 0);
		/* Half of them would be there twice. */
		b->p->nr_devices = 0;
		r = bench_devices(b);
		if (!r)
			tell_profile(b);
		for (size_t i = 0; i < b->p->nr_devices && !r; i++)
			tell_measured(b, profile_device_json(&b->p->devices[i]),
				      "device", b->p->devices[i].name);
	}
	if (!r && !b->p->send_bytes_per_s.origin) {
		tell_begun(b, "memory", 0);
		r = bench_memory(b);
		if (!r) {
			tell_profile(b);
			tell_machine(b);
		}
	}
	return r;
}

/* Somebody is there who is not by the file. */
static json_t *page_json(const struct bench_tracker *k,
			 const struct spoor_profile_page *page)
{
	json_t *o = profile_page_json(page), *who = json_array();

	for (size_t i = 0; i < k->nr_attached; i++)
		json_array_append_new(who, json_string(k->attached[i]));
	if (o && k->nr_attached)
		json_object_set(o, "attached", who);
	json_decref(who);
	return o;
}

static int measure_page(struct bench *b, struct bench_tracker *k, uint64_t size)
{
	const struct spoor_profile_page *page;
	char name[200];
	int r;

	if (bench_page(b->p, k, size))
		return 0;
	profile_tracker_say(name, sizeof(name), k->name, k->attached,
			    k->nr_attached);
	tell_begun(b, name, size);
	r = bench_one_page(b, k, size);
	page = bench_page(b->p, k, size);
	if (!r && page) {
		tell_profile(b);
		tell_measured(b, page_json(k, page), "tracker", k->name);
	}
	if (!r || r == -ECANCELED || r == -ENOMEM)
		return r;
	/* A tracker that fails is a fact of this machine: others go on. */
	bench_note(b, "%s, left out", b->error);
	return 0;
}

static void count_steps(struct bench *b)
{
	b->nr_steps = !b->p->zero_share.origin + !devices_known(b) +
		      !b->p->send_bytes_per_s.origin;
	for (size_t i = 0; i < b->nr_trackers; i++)
		for (size_t k = 0; k < b->trackers[i].nr_sizes; k++)
			b->nr_steps += !bench_page(b->p, &b->trackers[i],
						   b->trackers[i].sizes[k]);
}

static int measure(struct bench *b)
{
	int r = bench_wait(b, WARM_UP_NS) ? 0 : -ECANCELED;

	count_steps(b);
	if (!r)
		r = measure_machine(b);
	for (size_t i = 0; i < b->nr_trackers && !r; i++)
		for (size_t k = 0; k < b->trackers[i].nr_sizes && !r; k++)
			r = measure_page(b, &b->trackers[i],
					 b->trackers[i].sizes[k]);
	return r;
}

/* What an earlier run measured, if it was of the same. */
static int begin_profile(struct bench *b, const struct opts *o)
{
	struct jp_error error = { "out of memory" };
	struct spoor_profile *now = calloc(1, sizeof(*now));
	const char *why = NULL;
	int r = now ? bench_identify(now, o, b->c->mf) : -ENOMEM;

	if (!r && o->output && !access(o->output, R_OK))
		r = profile_file_load(&b->p, o->output, &error);
	if (!r && b->p)
		why = bench_differs(b->p, now);
	if (r || why) {
		free(now);
		return bench_fail(b, r ? r : -EINVAL, "%s",
				  why ? why : error.text);
	}
	if (b->p)
		free(now);
	else
		b->p = now;
	return 0;
}

static int prepare(struct bench *b, const struct opts *o)
{
	const struct spoor_region *regions;
	size_t nr = spoor_memory_regions(b->m->memory, &regions);
	int r = begin_profile(b, o);

	if (r)
		return r;
	b->ranges = calloc(nr + 1, sizeof(*b->ranges));
	if (!b->ranges)
		return bench_fail(b, -ENOMEM, "out of memory");
	for (size_t i = 0; i < nr; i++)
		b->ranges[i] = regions[i].range;
	b->nr_ranges = nr;
	r = spoor_bitmap_set_alloc(&b->set, b->ranges, nr, 12);
	if (!r)
		r = spoor_bitmap_set_alloc(&b->taken, b->ranges, nr, 12);
	if (!r)
		r = spoor_bitmap_set_alloc(&b->seen, b->ranges, nr, 12);
	if (!r)
		r = spoor_machine_facts(b->m->machine, &b->facts, &b->nr_facts);
	if (r)
		return bench_fail(b, r, "%s", spoor_errmsg());
	return bench_trackers_open(b);
}

static void release(struct bench *b)
{
	bench_trackers_close(b);
	spoor_bitmap_set_free(b->set);
	spoor_bitmap_set_free(b->taken);
	spoor_bitmap_set_free(b->seen);
	free(b->ranges);
	free(b->facts);
	profile_file_free(b->p);
}

int child_bench(const struct opts *o)
{
	struct child c;
	struct bench b = { .c = &c, .m = &c.m, .quick = o->quick };
	int r;

	if (!child_start(&c, o, "source", true, true) || child_boot(&c))
		goto end;
	/* Tried before anything is at work: what they see then is nobody's. */
	r = prepare(&b, o);
	if (!r) {
		child_work(&c);
		b.begun_ns = guest_now();
		child_tell(&c, json_pack("{s:s, s:s}", "event", "_ready",
					 "side", c.side));
		r = measure(&b);
	}
	if (r && r != -ECANCELED)
		child_tell_failed(&c, EXIT_FAILED,
				  b.error[0] ? b.error : strerror(-r));
	else if (!r) {
		tell_profile(&b);
		child_tell(&c, json_pack("{s:s}", "event", "_benched"));
	}
end:
	release(&b);
	child_end(&c);
	return EXIT_DONE;
}
