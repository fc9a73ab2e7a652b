/* SPDX-License-Identifier: MIT */
/*
 * Inside the device side: what one device keeps, and who calls whom.
 *
 * Invariant: nothing of a device outlives its last close but its model and
 * the model's counters; the next open finds it fresh.
 *
 * Threads: each part below has its own lock.  Order, outermost first:
 * open.lock, lock (migration and logging), truth.c's, config.lock, attach_lock;
 * irq.lock and states.lock are leaves.  sv_watch_lock is inside open.lock and
 * outside irq.lock and what a BAR write takes; it never meets `lock`.  The model's DMA takes attach_lock for
 * reading and nothing else, so a caller may wait for a device to stop while it
 * holds `lock`.
 */
#ifndef SOFTVFIO_DEVICE_PRIV_H
#define SOFTVFIO_DEVICE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/uapi_vfio.h"
#include "softvfio/device.h"

#define SV_REGION_SHIFT	  40
#define SV_NR_STATES	  8u
#define SV_MAX_VECTORS	  128u /* MSI-X: half a page of table */
#define SV_MSIX_ENTRY_LEN 16u

struct sv_session;
struct sv_ioeventfd;

/* Within what a program points to, which may be NULL: no pointer arithmetic. */
static inline void *sv_user_at(const void *user, uint64_t offset)
{
	return (void *)((uintptr_t)user + (uintptr_t)offset);
}

/* fsm.c: which states a set of SV_MIG_* has, and the way between them. */
bool sv_fsm_has_state(unsigned int caps, uint32_t state);
/* The next state on the way; -EINVAL: there is none. */
int sv_fsm_next(unsigned int caps, uint32_t from, uint32_t to, uint32_t *ret);

/* pci_config.c: the virtual configuration space. */
struct sv_pci_config {
	pthread_mutex_t lock;
	uint8_t bytes[SV_CONFIG_LEN];
	uint8_t writable[SV_CONFIG_LEN];
	unsigned int nr_vectors;
	bool msi; /* the vectors are MSI, not MSI-X */
	uint64_t bar_len[MODEL_NR_BARS];
	int msix_bar; /* the host's own BAR for the MSI-X table; -1: none */
	atomic_bool memory; /* COMMAND's memory enable, and not in D3hot */
};

/* eventfd.c: guarded by sv_watch_lock; zero: none. */
struct sv_watch {
	uint64_t id;
	int fd; /* a duplicate */
	void (*strike)(struct sv_watch *w);
	struct sv_watch *next;
};

/* irq.c: eventfds are duplicates of the program's. */
struct sv_irqs {
	pthread_mutex_t lock;
	int type; /* VFIO_PCI_INTX_IRQ_INDEX, message, or -1: none */
	int intx;
	bool masked, pending; /* INTx */
	bool blocked; /* COMMAND's INTx disable */
	struct sv_watch unmask; /* INTx; sv_watch_lock */
	/* Messages: MSI or MSI-X, whichever index the device has. */
	uint32_t message;
	int *vectors; /* nr_vectors of them, -1: none */
	unsigned int nr_vectors;
	unsigned int nr_enabled; /* MSI, 6.1: fixed when they are enabled */
	int req;
	_Atomic(uint64_t) signalled; /* by the device: eventfds written to */
};

/* logging.c: guarded by `lock`. */
struct sv_log_run {
	uint64_t iova, last;
};

struct sv_log {
	bool on;
	bool broken; /* a report failed: only STOP helps */
	uint64_t page_size; /* the tracker's own */
	/* Taken from the model and not yet in a program's bitmap. */
	struct sv_log_run *taken;
	size_t nr_taken, room;
};

/* migration.c: guarded by `lock`. */
struct sv_migration {
	uint32_t state;
	struct sv_session *session; /* of PRE_COPY*, STOP_COPY, RESUMING */
};

struct sv_states {
	pthread_mutex_t lock;
	struct sv_state_seen *seen;
	size_t nr, room;
	uint64_t nr_stopped;
	struct model_counters stopped; /* the last time */
};

/* truth.c: guarded by its lock. */
struct sv_truth {
	uint64_t loaded, checks, checked, lost, overwritten;
	uint64_t check_at, check_ns;
	bool pending; /* loaded, and neither checked nor run */
	uint64_t *lost_at; /* SV_LOST_MAX of them, made at first need */
	size_t nr_lost_at;
};

struct sv_device_state {
	struct sv_device *dev;
	struct {
		pthread_mutex_t lock;
		unsigned int count;
		bool by_group;
	} open;
	/* dev->attachment and bus_master; DMA holds it for reading. */
	pthread_rwlock_t attach_lock;
	bool bus_master;
	pthread_mutex_t lock;
	struct sv_migration mig;
	struct sv_log log;
	bool low_power; /* allowed to sleep, which it never does */
	struct sv_pci_config config;
	struct sv_irqs irqs;
	/* sv_watch_lock */
	struct sv_ioeventfd *ioeventfds;
	unsigned int nr_ioeventfds;
	struct sv_states states;
	struct sv_truth truth;
	bool unseen; /* loaded, and not seen RUNNING by the stats; `lock` */
	bool refuses; /* SV_CALL_RUN; `lock` */
	bool given; /* it was in STOP_COPY, and has not run since; `lock` */
	atomic_bool ran, ran_on; /* see struct sv_figures */
	_Atomic(uint64_t) state_saved, state_loaded, report_ns;
};

/* One open of a device, behind its file. */
struct sv_open_device {
	struct sv_device_state *st;
	bool by_group;
	atomic_bool granted; /* bound, or opened through the group */
	pthread_mutex_t pos_lock;
	uint64_t pos; /* of read() and write() */
};

static inline struct sv_device_state *sv_device_state(struct sv_device *dev)
{
	return dev->state;
}

static inline struct model *sv_model(const struct sv_device *dev)
{
	return __atomic_load_n(&dev->model, __ATOMIC_ACQUIRE);
}

/* What this device can migrate, by its configuration and the kernel played. */
unsigned int sv_device_caps(const struct sv_device *dev);
bool sv_device_has_log(const struct sv_device *dev);
bool sv_kernel_is_6_1(void);

/* device.c: with open.lock held.  Undo: sv_device_close(). */
int sv_device_first_open(struct sv_open_device *od);
void sv_device_close(struct sv_open_device *od);

/* device_ioctl.c */
long sv_device_ioctl(struct sv_file *f, unsigned long request, void *arg);
int sv_device_reset(struct sv_device_state *st);

/* feature.c */
long sv_device_feature(struct sv_device_state *st, void *arg);

/* logging.c */
int sv_log_start(struct sv_device_state *st, void *user);
int sv_log_report(struct sv_device_state *st, void *user);
int sv_log_stop(struct sv_device_state *st);
/* With `lock` held. */
void sv_log_off(struct sv_device_state *st);

/* migration.c.  set: *ret_file is a new data file, or NULL. */
int sv_migration_set(struct sv_device_state *st, uint32_t want,
		     struct sv_file **ret_file);
uint32_t sv_migration_get(struct sv_device_state *st);
/* As new: RUNNING, no session, no log, the model reset.  With `lock` held. */
int sv_migration_reset(struct sv_device_state *st);
void sv_states_add(struct sv_device_state *st, uint32_t state);

/* truth.c, with `lock` held: a state was taken over; is forgotten. */
void sv_truth_loaded(struct sv_device_state *st);
void sv_truth_forget(struct sv_device_state *st);
/* It is about to run, the first of all perhaps. */
void sv_truth_before_run(struct sv_device_state *st);

/* datafd.c: with `lock` held, but for the file's own operations. */
int sv_session_save(struct sv_device_state *st, bool pre_copy,
		    struct sv_session **ret, struct sv_file **ret_file);
int sv_session_load(struct sv_device_state *st, struct sv_session **ret,
		    struct sv_file **ret_file);
int sv_session_final(struct sv_session *s);
int sv_session_commit(struct sv_session *s);
/* Loading: has anything been written to it? */
bool sv_session_touched(struct sv_session *s);
/* Its file answers ENODEV from now on.  Returns NULL. */
struct sv_session *sv_session_end(struct sv_session *s);

/* pci_config.c */
void sv_config_init(struct sv_device_state *st);
ssize_t sv_config_rw(struct sv_device_state *st, void *buf, size_t len,
		     uint64_t pos, bool write);
uint64_t sv_bar_len(const struct sv_device_state *st, unsigned int bar);

/* region.c */
ssize_t sv_device_read(struct sv_file *f, void *buf, size_t len);
ssize_t sv_device_write(struct sv_file *f, const void *buf, size_t len);
ssize_t sv_device_pread(struct sv_file *f, void *buf, size_t len, off_t off);
ssize_t sv_device_pwrite(struct sv_file *f, const void *buf, size_t len,
			 off_t off);
int sv_device_mmap(struct sv_file *f, size_t len, int prot, int flags,
		   off_t off, int *ret_fd, off_t *ret_off);
/* The program is not there to be answered: -EIO where memory is disabled. */
int sv_bar_store(struct sv_device_state *st, unsigned int bar, const void *buf,
		 size_t len, uint64_t pos);
long sv_region_info(struct sv_device_state *st, void *arg);

/* irq.c */
/* As many as the device shows: MSI has powers of two. */
unsigned int sv_nr_vectors(const struct model_shape *shape);
int sv_irq_open(struct sv_device_state *st);
void sv_irq_close(struct sv_device_state *st);
void sv_irq_raise(struct sv_device_state *st, unsigned int vector);
void sv_irq_block_intx(struct sv_device_state *st, bool on);
bool sv_irq_messages_on(struct sv_device_state *st);
long sv_irq_info(struct sv_device_state *st, void *arg);
long sv_irq_set(struct sv_device_state *st, void *arg);

/* eventfd.c: a duplicate of a program's eventfd; -EBADF, -EINVAL. */
int sv_eventfd_dup(int fd);
/*
 * With sv_watch_lock held, and @strike called with it: so once a watch is
 * removed, nothing of it runs any more.  -EBUSY: it has an eventfd.
 */
extern pthread_mutex_t sv_watch_lock;
int sv_watch_add(struct sv_watch *w, int fd, void (*strike)(struct sv_watch *));
void sv_watch_remove(struct sv_watch *w);

/* ioeventfd.c */
long sv_ioeventfd(struct sv_device_state *st, void *user);
void sv_ioeventfd_close(struct sv_device_state *st);

/* host.c */
extern const struct model_host_ops sv_model_host;
void sv_set_bus_master(struct sv_device_state *st, bool on);

extern const struct sv_file_ops sv_device_file_ops;

#endif /* SOFTVFIO_DEVICE_PRIV_H */
