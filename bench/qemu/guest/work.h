/* SPDX-License-Identifier: MIT */
/*
 * What the guest does: for each word a driver or a program, given its turn by
 * one loop.
 *
 * Invariant: a turn waits for nothing.
 */
#ifndef BENCH_QEMU_GUEST_WORK_H
#define BENCH_QEMU_GUEST_WORK_H

#include <stdint.h>

#include "bench/qemu/guest/hw.h"
#include "bench/qemu/guest/pci.h"
#include "bench/qemu/guest/status.h"
#include "bench/qemu/guest/words.h"
#include "models/dsa_regs.h"

/* The parts of "ctl". */
#define CTL_DESCRIPTORS 4096u
#define CTL_COMPLETIONS 8192u

/* A rate, and what came of it since @start. */
struct pace {
	uint64_t start, done, per_s;
};

struct dsa_state {
	uint64_t progress; /* when something last completed */
	uint64_t newest; /* the last request that completed */
	uint64_t rung[DSA_QUEUE]; /* when each was last submitted */
};

struct nic_state {
	uint32_t slots; /* of each ring */
	uint64_t watch; /* when to look after it next */
	uint64_t stuck; /* a packet that was announced and is not there */
};

struct work {
	const struct word *word;
	volatile struct guest_work *status;
	unsigned int index; /* among all works */
	struct pci_device pci;
	struct pace pace;
	uint64_t random; /* of works without a control page */
	union {
		struct dsa_state dsa;
		struct nic_state nic;
	};
};

/*
 * _start: @seed is this work's.  _turn: does what is due at @now, and returns
 * when it wants its next one, if no message comes first; @now: at once.
 */
void dsa_start(struct work *w, uint64_t seed);
uint64_t dsa_turn(struct work *w, uint64_t now);
void nic_start(struct work *w, uint64_t seed);
uint64_t nic_turn(struct work *w, uint64_t now);
void plain_start(struct work *w, uint64_t seed);
uint64_t plain_turn(struct work *w, uint64_t now);
void cpu_start(struct work *w, uint64_t seed);
uint64_t cpu_turn(struct work *w, uint64_t now);

/* What has nothing to do looks in this often. */
#define WORK_IDLE_NS 10000000ull

/* @unit: bytes of one event. */
void pace_set(struct pace *p, uint64_t rate, uint64_t unit);
/*
 * When the next event is due, at or before @now if it is.  What was missed for
 * longer than @catch_up is not made up.
 */
uint64_t pace_next(struct pace *p, uint64_t now, uint64_t catch_up);

#endif /* BENCH_QEMU_GUEST_WORK_H */
