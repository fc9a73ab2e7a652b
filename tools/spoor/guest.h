/* SPDX-License-Identifier: MIT */
/*
 * The guest: its CPUs are threads of this process, each running a device
 * driver or a program that stores to memory.
 *
 * Invariant: everything a task knows is in guest memory (its control page),
 * brought up to date before each guest_checkpoint().  A paused guest has all
 * its tasks parked there, so the memory alone is enough to go on with, here
 * or elsewhere.
 *
 * Threads: guest_pause(), _resume() and _block() from the migration's thread;
 * the rest from tasks.
 */
#ifndef SPOOR_TOOL_GUEST_H
#define SPOOR_TOOL_GUEST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "machine.h"
#include "pace.h"
#include "stamps.h"

struct guest_task;

/* Loops, calling guest_checkpoint() until it says false. */
typedef void (*guest_task_fn)(struct guest_task *t);

struct guest_task {
	struct guest *g;
	guest_task_fn run;
	size_t index; /* of the device, or of the CPU's writer */
	pthread_t thread;
	bool started;
	bool booted; /* its device is set up; under g->lock */
	int refused; /* -errno of its last try to, or 0; under g->lock */
};

/* Keeps CPUs from one device's registers; bars.c. */
struct guest_gate {
	pthread_mutex_t access; /* held for each access */
	pthread_cond_t open;
	bool blocked;
};

struct guest {
	struct machine *m;
	const struct layout *layout;
	struct stamps *stamps; /* one a device, or NULL */
	/* A device's own news, e.g. its UDP port. */
	void (*announce)(void *opaque, size_t device, uint16_t port);
	void *opaque;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* CLOCK_MONOTONIC */
	atomic_bool paused, quit;
	bool boot_only; /* under lock: drivers boot, and wait before work */
	unsigned int nr_parked, nr_running_tasks;
	int kick; /* eventfd, readable while paused */
	struct guest_task *tasks;
	size_t nr_tasks;
	struct guest_gate *gates; /* one a device */
};

/* All tasks made and parked.  0 or -errno. */
int guest_new(struct guest **ret, struct machine *m,
	      const struct layout *layout, struct stamps *stamps);
void guest_pause(struct guest *g);
void guest_resume(struct guest *g);
/*
 * Empties the drivers' pages and runs drivers until every device is set up,
 * and no further: nothing is at work yet.  Then guest_work() lets them.
 * 0, or -errno: why the device @ret_device refuses, -ETIMEDOUT when it does
 * not say.  What no retry can cure is not waited for.
 */
int guest_boot(struct guest *g, uint64_t timeout_ns, size_t *ret_device);
void guest_work(struct guest *g);
struct guest *guest_free(struct guest *g);

/* Tasks: park here while paused; false: end. */
bool guest_checkpoint(struct guest *g);
/* Returns early when paused. */
void guest_sleep_until(struct guest *g, uint64_t ns);
/* Until @fd is readable, the time, or paused; takes the eventfd's count. */
void guest_wait_fd(struct guest *g, int fd, uint64_t until_ns);
void guest_booted(struct guest_task *t);
/* A try to set its device up failed with @err; it will try again. */
void guest_refused(struct guest_task *t, int err);

/* What the CPU sees at a guest address; NULL: not in one region. */
void *guest_at(struct guest *g, uint64_t iova, uint64_t len);

/*
 * Access to a device's registers.  Waits while it is blocked; -EAGAIN: the
 * guest is being paused, do it again after the checkpoint.
 */
int guest_mmio(struct guest *g, size_t device, unsigned int region,
	       uint64_t offset, void *buf, size_t len, bool write);
int guest_write32(struct guest *g, size_t device, uint64_t reg, uint32_t v);
int guest_write64(struct guest *g, size_t device, uint64_t reg, uint64_t v);
int guest_read32(struct guest *g, size_t device, uint64_t reg, uint32_t *ret);
int guest_read64(struct guest *g, size_t device, uint64_t reg, uint64_t *ret);
/* PCI COMMAND: memory and bus master. */
int guest_enable_device(struct guest *g, size_t device);
int guest_gates_init(struct guest *g);
void guest_gates_free(struct guest *g);
/* Wakes tasks that wait for a blocked device. */
void guest_gates_wake(struct guest *g);
void guest_block(struct guest *g, size_t device, bool blocked);

/* The drivers, and the CPU's programs. */
void guest_nic_run(struct guest_task *t);
void guest_dsa_run(struct guest_task *t);
void guest_mdev_run(struct guest_task *t);
void guest_plain_run(struct guest_task *t);
void guest_edu_run(struct guest_task *t);
void guest_cpu_run(struct guest_task *t);

/* Pages that a program of the guest has stored so far. */
uint64_t guest_cpu_pages(struct guest *g, size_t writer);

uint64_t guest_now(void);

/* A deterministic sequence; its state lives in guest memory. */
static inline uint64_t guest_random(uint64_t *state)
{
	uint64_t x = *state;

	pace_random(&x);
	__atomic_store_n(state, x, __ATOMIC_RELAXED);
	return x;
}

/* As pace_place(), the state in guest memory. */
uint64_t guest_next_place(unsigned int pattern, uint64_t n, uint64_t nr,
			  uint64_t *state);

/* Guest stores are atomic: others read memory meanwhile. */
#define guest_load(p)	  __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define guest_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#endif /* SPOOR_TOOL_GUEST_H */
