/* SPDX-License-Identifier: MIT */
/*
 * Measuring a machine's trackers and devices while its guest is at work: what
 * goes into a profile, see <spoor/profile.h>.
 *
 * What is measured is added to the profile item by item, so that an
 * interrupted run keeps what it has, and the next one goes on from there.
 *
 * Threads: the process's main thread, and the sending's own (memory.c).
 */
#ifndef SPOOR_TOOL_BENCH_H
#define SPOOR_TOOL_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/profile.h>

#include "tools/spoor/child.h"

#define BENCH_SIZES_MAX	   6
#define BENCH_TRACKERS_MAX (3 * MF_DEVICES_MAX + 1)
#define BENCH_ZERO_MAX	   3
#define BENCH_MS	   1000000ull

struct session;
struct verdict;

struct bench_samples {
	double *v;
	size_t nr, room;
};

/* How fast work is done, in slices of time; the n-th sample is of slice n. */
struct bench_work {
	struct {
		struct bench_samples rate; /* successes a second */
		struct bench_samples took; /* ns, their median; 0: of none */
	} of[MF_DEVICES_MAX + 1]; /* devices, then the CPU */
};

struct bench_tracker {
	char name[160];
	struct spoor_tracker *t;
	enum spoor_tracker_kind kind;
	uint64_t sizes[BENCH_SIZES_MAX]; /* to be tried, rising */
	size_t nr_sizes;
	bool quiet; /* read only while nothing is written */
	enum spoor_origin origin;
	uint64_t set_bytes; /* working sets of what it covers */
	size_t device; /* whose own it is; SIZE_MAX: it is nobody's own */
	/* Who is in its space, where policy moved somebody; none: as filed. */
	char (*attached)[MF_NAME_MAX];
	size_t nr_attached;
};

struct bench {
	struct child *c;
	struct machine *m;
	struct spoor_profile *p;
	bool quick;
	struct spoor_device_fact *facts; /* as the machine's devices */
	size_t nr_facts;
	struct bench_tracker *trackers;
	size_t nr_trackers;
	struct spoor_range *ranges; /* all of memory */
	size_t nr_ranges;
	struct spoor_bitmap_set *set, *taken, *seen;
	uint64_t begun_ns; /* since when the guest is at work */
	size_t step, nr_steps;
	char error[600];
};

/* figures.c: collecting samples; without memory fewer are kept. */
void bench_add(struct bench_samples *s, double v);
void bench_samples_clear(struct bench_samples *s);
/* Of no samples: unmeasured.  Sorts them. */
struct spoor_figure bench_figure(struct bench_samples *s,
				 enum spoor_origin origin);
double bench_median(struct bench_samples *s);

/* profile.c: finding places in a profile, and making them; -ENOMEM. */
struct spoor_profile_page *bench_page(const struct spoor_profile *p,
				      const struct bench_tracker *k,
				      uint64_t page_size);
/* Takes what @page owns, also on failure. */
int bench_put_page(struct spoor_profile *p, const struct bench_tracker *k,
		   const struct spoor_profile_page *page);
struct spoor_profile_device *bench_device(const struct spoor_profile *p,
					  const char *name);
int bench_put_device(struct spoor_profile *p,
		     const struct spoor_profile_device *d);
/* Instead of what is there. */
int bench_put_zeroes(struct spoor_profile *p,
		     const struct spoor_zero_point *points, size_t nr);
/* What host and machine a profile is of. */
int bench_identify(struct spoor_profile *p, const struct opts *o,
		   const struct machine_file *mf);
/* Why they are not of the same; NULL: they are. */
const char *bench_differs(const struct spoor_profile *a,
			  const struct spoor_profile *b);

/* trackers.c: all that any device's facts offer, opened and stopped. */
int bench_trackers_open(struct bench *b);
void bench_trackers_close(struct bench *b);

/* halt.c: everything stopped, as a migration stops it, and run again. */
struct bench_halt {
	uint64_t pause_ns, resume_ns;
	uint64_t stop_ns[MF_DEVICES_MAX], run_ns[MF_DEVICES_MAX];
};
int bench_halt(struct bench *b, struct bench_halt *h);
int bench_go(struct bench *b, struct bench_halt *h);

/* read.c: one read of a started tracker. */
struct bench_read {
	uint64_t begun_ns, ended_ns; /* CLOCK_MONOTONIC */
	uint64_t pages, runs; /* of 4 KiB */
	double zero_share; /* of those pages */
	uint64_t digest_ns;
};
int bench_read(struct bench *b, const struct bench_tracker *k,
	       struct bench_read *ret);
/* What was reported since bench_seen_clear(), as one read would report it. */
void bench_seen(struct bench *b, struct bench_read *ret);
void bench_seen_clear(struct bench *b);

/* zeroes.c: @pages are in @set. */
double bench_zero_share(const struct bench *b,
			const struct spoor_bitmap_set *set, uint64_t pages);

/* poke.c: stores, while the guest is paused; the pages stored to. */
uint64_t bench_poke(struct bench *b, uint64_t nr, uint64_t step);

/* work.c */
struct bench_count {
	uint64_t ns;
	uint64_t nr[MF_DEVICES_MAX + 1];
};
void bench_count(struct bench *b, struct bench_count *ret);
/* A slice of work with nothing measured meanwhile; -ECANCELED. */
int bench_work_watch(struct bench *b, struct bench_work *w);
/* Each slice of @tracked lies between two of @alone. */
void bench_work_compare(struct bench *b, const struct bench_tracker *k,
			const struct bench_work *alone,
			const struct bench_work *tracked,
			struct spoor_figure *ret_slowdown,
			struct spoor_figure *ret_delay);
void bench_work_clear(struct bench_work *w);

/* The items: page.c, devices.c, memory.c, zeroes.c. */
int bench_one_page(struct bench *b, struct bench_tracker *k, uint64_t size);
int bench_devices(struct bench *b);
int bench_memory(struct bench *b);
int bench_zeroes(struct bench *b);

/* moves.c: devices in other spaces, to be measured there. */
#define BENCH_MOVES_MAX 16u
struct bench_moves {
	char *sets[BENCH_MOVES_MAX]; /* "dsa0.space=main,...", as --set */
	size_t nr;
	size_t nr_left_out;
};
/*
 * Those by which a device that nobody tracks, says @p, would be tracked.
 * -ENOMEM; clear it whatever is returned.
 */
int bench_moves_find(struct bench_moves *ret, const struct machine_file *mf,
		     const struct spoor_profile *p);
void bench_moves_clear(struct bench_moves *m);
/* Has @p all figures of spaces' trackers, devices being where @mf puts them? */
bool bench_moved_known(const struct machine_file *mf,
		       const struct spoor_profile *p);

/* child_bench.c */
enum spoor_origin bench_origin(const struct bench *b, size_t device);
/* false: the parent wants it to end. */
bool bench_wait(struct bench *b, uint64_t ns);
void bench_note(struct bench *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Formats b->error; returns @r. */
int bench_fail(struct bench *b, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* text.c: a profile for people, in the parent. */
void bench_text(const struct spoor_profile *p);
/* break_even.c: own trackers against shared ones. */
void bench_break_even(const struct spoor_profile *p,
		      const struct machine_file *mf);

/*
 * run.c: the whole of it, from the machine's start, and from its starts with
 * devices in other spaces, unless policy put them there.  0: @v says what came
 * of it, and *ret is what was measured, also if it was cut short, or NULL; the
 * session is still open.  Else an exit code, said on stderr.
 */
int bench_measure(struct session *s, struct spoor_profile **ret,
		  struct verdict *v);

#endif /* SPOOR_TOOL_BENCH_H */
