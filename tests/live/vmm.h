/* SPDX-License-Identifier: MIT */
/*
 * The smallest VMM that tests need, over libspoor's public interface: memory,
 * spaces and softvfio's devices as SOFTVFIO_CONFIG has them, one CPU thread,
 * and device DMA as if guests had asked for it.
 */
#ifndef TESTS_LIVE_VMM_H
#define TESTS_LIVE_VMM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <spoor/migration.h>

#define VMM_MAX_DEVICES 4
#define VMM_NR_REGIONS	2

struct vmm_region {
	uint64_t iova, len;
};

struct vmm_config {
	struct vmm_region regions[VMM_NR_REGIONS]; /* len 0: not there */
	struct {
		const char *name; /* NULL: no such device */
		enum spoor_space_backend backend; /* one space per backend */
		bool p2p_stops_all;
		bool writes; /* DMA, while CPUs reach its BARs */
		bool writes_on; /* DMA until its state forbids it */
	} devices[VMM_MAX_DEVICES];
	bool cpu_writes;
	/*
	 * Each writer has pages of its own, so that no tracker of another
	 * makes up for what its own missed.
	 */
	bool apart;
	bool all_regions; /* DMA goes to all of them, not the first only */
};

struct vmm {
	const struct vmm_config *config;
	struct spoor_memory *memory;
	struct spoor_space *spaces[3]; /* by backend */
	struct spoor_device *devices[VMM_MAX_DEVICES];
	struct spoor_machine *machine;
	struct spoor_region regions[VMM_NR_REGIONS];
	/* writers: the CPU and devices' doings */
	pthread_t cpu, dma;
	atomic_bool quit;
	atomic_bool paused; /* the CPU is */
	atomic_bool blocked[VMM_MAX_DEVICES];
	pthread_mutex_t cpu_lock;
	bool have_cpu, have_dma;
	atomic_uint cpu_turns, dma_turns; /* each wrote, or was not let */
	atomic_uint nr_pause, nr_resume;
};

/* 0, or -errno with spoor_errmsg() set; then vmm_close() still wants calling */
int vmm_open(struct vmm *vmm, const struct vmm_config *config);
/* Begin to write: at the source before, at the destination after. */
int vmm_start_writers(struct vmm *vmm);
void vmm_stop_writers(struct vmm *vmm);
/* Until each has had a turn, from its beginning to its end. */
void vmm_let_writers_write(struct vmm *vmm);
void vmm_close(struct vmm *vmm);

/* For spoor_machine_new(). */
extern const struct spoor_hooks vmm_hooks;

/* Open descriptors and threads of this process, to find what is left. */
unsigned int vmm_count_fds(void);
unsigned int vmm_count_threads(void);
unsigned int vmm_count_mappings(void);

#endif /* TESTS_LIVE_VMM_H */
