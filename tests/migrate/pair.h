/* SPDX-License-Identifier: MIT */
/*
 * Two machines without devices, a source and a destination, each run by a
 * thread of its own, and between them a link that can be cut, stalled or
 * corrupted at any frame.
 *
 * Threads: the test's own thread starts and joins everything.
 */
#ifndef TESTS_MIGRATE_PAIR_H
#define TESTS_MIGRATE_PAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/migration.h>

#define PAIR_REGIONS 2

enum fault { FAULT_NONE, FAULT_CUT, FAULT_STALL, FAULT_FLIP };

/* What happens to frame number `frame` in one direction. */
struct fault_plan {
	enum fault fault;
	unsigned int frame;
	unsigned int offset; /* FLIP: byte of the frame; CUT: bytes let by */
};

struct guest {
	struct spoor_memory *memory;
	struct spoor_machine *machine;
	int fds[PAIR_REGIONS];
	uint8_t *hva[PAIR_REGIONS];
	size_t len[PAIR_REGIONS];
	struct spoor_run_opts opts;
	struct spoor_plan plan;
	struct spoor_result result;
	int rc;

	/* CPUs: a thread that stores while it is not paused. */
	pthread_t cpu;
	bool has_cpu, ended;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool paused, idle; /* asked to pause; does so */
	bool quit;
	size_t working_set; /* bytes of region 0 that the CPU stores to */
	atomic_uint turns; /* of 64 stores each */

	/* Hooks fail with these. */
	int fail_pause, fail_resume, fail_save, fail_load, fail_verify;
	struct spoor_lost
		names; /* what the verify hook claims; len 0: nothing*/
	unsigned int nr_pause, nr_resume;
	char section[64];
	size_t section_len;
	/* Called from events. */
	void (*on_event)(struct guest *g, const struct spoor_event *event);
	unsigned int nr_events[16];
	char note[512];
	struct pair *pair;
};

struct pair {
	struct guest src, dst;
	struct fault_plan to_dst, to_src;
	unsigned int frames_to_dst, frames_to_src; /* seen */
	unsigned int types_to_dst[32]; /* by type */
	bool link; /* frames pass through the faulty link */
};

/* Memory of a few MiB, filled at the source. */
void pair_init(struct pair *p);
void pair_fini(struct pair *p);
/* Run both; returns when both have. */
void pair_run(struct pair *p);
bool pair_same_memory(const struct pair *p);
/* Is the CPU of this side free to run? */
bool guest_runs(struct guest *g);

#endif /* TESTS_MIGRATE_PAIR_H */
