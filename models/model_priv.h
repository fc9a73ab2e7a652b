/* SPDX-License-Identifier: MIT */
/*
 * Inside the models: what the parts of a device share, and the one ops table
 * that each kind of device fills.
 *
 * Locks, always taken in this order:
 *   control  one at a time: level, reset, log, streams, control registers
 *   lock     registers and pending work, level, parking of the worker
 *   dma_lock one DMA write with its mark and truth entry; the log pointer
 *   bar_lock BAR memory, and the level as its writers see it
 *   state.lock, stall_lock: leaves
 * The host is never called with lock, bar_lock or a leaf held; dma_write and
 * peek are called under dma_lock or control.  They may therefore enter another
 * model's model_peer_write() or model_bar_peek(), which take only that model's
 * bar_lock.
 *
 * The worker is the only thread that runs ops->work().  Whoever holds control
 * may stop it between two steps (model_pause()); then the device's private
 * state belongs to the holder.
 */
#ifndef MODELS_MODEL_PRIV_H
#define MODELS_MODEL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "models/model.h"

#define MODEL_PAGE	 4096u
#define MODEL_REGS_LEN	 4096u /* of BAR0, as much as has registers */
#define MODEL_MEM_BAR	 2u
#define MODEL_VENDOR	 0x1d55u
/* Stamps: index + 1 in the upper 16 bits, of which truth.c uses the top 4. */
#define MODEL_INDEX_MAX	 4094u
#define MODEL_SEQ_MASK	 ((UINT64_C(1) << 48) - 1)
/* DMA chunks of one step of work: bounds how long a pause has to wait. */
#define MODEL_STEP	 16u
#define MODEL_PRIV_STATE 1024u /* most bytes that ops->save() may need */

enum model_reg_kind {
	MODEL_REG_RO,
	MODEL_REG_RW,
	/* u32, written with the worker parked, no lock: may call the host. */
	MODEL_REG_CONTROL,
};

struct model_reg {
	uint16_t offset;
	uint8_t size; /* 4 or 8 */
	enum model_reg_kind kind;
};

enum model_work {
	MODEL_WORK_NONE, /* sleep until kicked or wait_fd is readable */
	MODEL_WORK_MORE,
	MODEL_WORK_HELD, /* the same, for DMA that this level forbids */
};

/* Bytes to or from a state, little-endian; sticky failure when they end. */
struct model_cursor {
	uint8_t *pos, *end;
	bool failed;
};

/* A kind of device.  Every op is called with control held, but as said. */
struct model_ops {
	const char *name;
	uint32_t magic; /* at offset 0 of BAR0 */
	uint16_t vendor_id; /* 0: MODEL_VENDOR */
	uint16_t device_id;
	unsigned int nr_vectors;
	bool msi; /* the vectors are MSI, not MSI-X */
	uint64_t regs_bar_len; /* BAR0, 0: MODEL_REGS_LEN */
	uint64_t mem_bar_len; /* BAR2, 0: none */
	bool mem_private; /* it is the device's own, and no BAR */
	bool migrates; /* else no state stream and no log */
	size_t priv_size;
	const struct model_reg *regs;
	unsigned int nr_regs;

	/* May the configuration be this?  Optional. */
	int (*check)(const struct model_config *config);
	/*
	 * As new: let go of pins and sockets, then private state and registers
	 * (both zeroed by the caller afterwards).  Worker parked.  Optional.
	 */
	void (*release)(struct model *m);
	/* After zeroing: values that are not 0.  Optional. */
	void (*init)(struct model *m);
	/*
	 * A register got its last byte.  RW: under lock, by any thread, 0.
	 * CONTROL: worker parked, no lock (take it to see registers); on
	 * failure the register keeps @old.
	 */
	int (*written)(struct model *m, unsigned int offset, uint64_t old);
	/*
	 * For devices that look at an access as a whole, instead of the
	 * table's kinds and written(): under lock, by any thread.
	 */
	void (*mmio_read)(struct model *m, uint64_t offset, void *buf,
			  size_t len);
	void (*mmio_write)(struct model *m, uint64_t offset, const void *buf,
			   size_t len);
	/* One bounded step, by the worker, no lock held. */
	enum model_work (*work)(struct model *m);
	/* Worker parked: leaving STOPPED, which may fail; entering it. */
	int (*resume)(struct model *m);
	void (*quiesce)(struct model *m);
	/* Private state; load checks all of it before it changes anything. */
	void (*save)(struct model *m, struct model_cursor *c);
	int (*load)(struct model *m, struct model_cursor *c);
};

struct truth_entry {
	uint64_t where; /* page | offset of the stamp */
	uint64_t stamp; /* top 4 bits: how many of its 8 bytes are missing */
};

/* truth.c: open addressing by page; power of two slots. */
struct model_truth {
	struct truth_entry *slots;
	size_t nr_slots, nr_used, nr_live; /* used: live and dead */
	bool incomplete; /* memory ran out: must not be saved */
};

/* state.c: device memory that migrates. */
struct model_state {
	pthread_mutex_t lock;
	uint8_t *bytes;
	uint8_t *flags; /* a block's MODEL_BLOCK_* */
	uint64_t nr_blocks;
	uint64_t ops; /* operations so far; drives the content */
};
#define MODEL_BLOCK_INITIAL 1u /* not read yet in this session */
#define MODEL_BLOCK_DIRTY   2u /* changed since it was read */

struct model_pin {
	uint64_t iova, nr_pages;
	bool held;
};
#define MODEL_NR_PINS 3u

/* deaf.c: granules by first mark; power of two slots. */
struct model_deaf {
	uint64_t *slots;
	size_t nr_slots;
	uint64_t distinct, unknown; /* unknown: found no room */
};

struct model_log;
struct model_stream;

struct model {
	struct model_config config;
	const struct model_ops *ops;
	const struct model_host_ops *host_ops;
	void *host;

	pthread_mutex_t control;

	pthread_mutex_t lock;
	pthread_cond_t cond; /* pause, parked, quit and level changed */
	_Atomic(int) level; /* written under control, lock and bar_lock */
	bool pause, parked, sleeping, kicked, quit;
	int wake_fd; /* eventfd */
	int wait_fd; /* the device's own, or -1: worker only, or parked */
	uint64_t wake_ns; /* sleep no longer, CLOCK_MONOTONIC; 0: any; same */
	pthread_t worker;
	uint8_t regs[MODEL_REGS_LEN];
	void *priv;

	pthread_mutex_t dma_lock;
	uint64_t seq, loaded_seq; /* loaded: as it came with a state */
	struct model_truth truth;
	/* MODEL_FAULT_DMA_IN_STOP: who saves reads truth without dma_lock. */
	struct model_truth late;
	struct model_log *log; /* control and dma_lock to change */
	struct model_log *kept_log; /* MODEL_FAULT_LOG_SURVIVES */
	_Atomic(uint64_t) late_ns; /* MODEL_FAULT_DMA_IN_STOP: until then */
	struct model_deaf deaf;
	uint64_t nr_reports; /* since it was new, for fail_after; control */

	pthread_mutex_t stall_lock;
	pthread_cond_t stall_cond;
	_Atomic(bool) stalled; /* the log's queue is full */

	pthread_mutex_t bar_lock;
	uint8_t *mem; /* BAR2, shared with whoever maps mem_fd */
	uint8_t *frozen_mem; /* as it was on entry to STOPPED */
	uint8_t *shadow_mem; /* while STOPPED: with peers' writes since */
	int mem_fd;

	struct model_state state;
	struct model_pin pins[MODEL_NR_PINS];
	struct model_stream *session; /* control; NULL: none is open */

	struct {
		_Atomic(uint64_t) dma_writes, dma_bytes, marks, reports,
			pages_reported, discarded, dropped, backlog_dropped,
			faults, violations, peer_writes, late_writes,
			pages_saved;
	} counters;
};

extern const struct model_ops model_nic, model_dsa, model_mdev, model_plain,
	model_edu;

/* errmsg.c: return -err with a text. */
int model_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline bool model_has_fault(const struct model *m, unsigned int fault)
{
	return m->config.faults & fault;
}

static inline void model_count(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/*
 * fd.c: a descriptor of the device's own; the number may change.  -1 is passed
 * through, errno is as it was.
 */
int model_keep_fd(struct model *m, int fd);
void model_end_fd(struct model *m, int fd);

/* model.c: private state and registers as new; under lock, worker parked. */
void model_renew(struct model *m);

/* worker.c */
int model_worker_start(struct model *m);
void model_worker_stop(struct model *m);
/* Under control: the worker is parked between two steps when this returns. */
void model_pause(struct model *m);
void model_unpause(struct model *m);
/* Under lock: there may be work. */
void model_kick(struct model *m);
bool model_level_quiet(const struct model *m, int level);
void model_spin_ns(uint64_t ns);
uint64_t model_now_ns(void); /* CLOCK_MONOTONIC */

/* bar.c; registers by offset, under lock (or worker parked) */
uint32_t model_reg32(const struct model *m, unsigned int offset);
uint64_t model_reg64(const struct model *m, unsigned int offset);
void model_set_reg32(struct model *m, unsigned int offset, uint32_t value);
void model_set_reg64(struct model *m, unsigned int offset, uint64_t value);
void model_ops_bar(const struct model_ops *ops, unsigned int bar,
		   struct model_bar *ret); /* without its descriptor */
void model_freeze_bars(struct model *m, enum model_level level);
/* Count what was stored through mappings while STOPPED. */
void model_check_bars(struct model *m);
/* BAR memory becomes that of a state, which is as long; NULL: zeroes. */
void model_fill_bars(struct model *m, const uint8_t *mem);

/*
 * dma.c.  -EAGAIN: the level forbids it (nothing was done: wait for the next);
 * else the first failure, of which those of the host are counted.
 */
bool model_dma_held(struct model *m, uint64_t iova, uint64_t len);
int model_dma_write(struct model *m, uint64_t iova, const void *buf,
		    size_t len);
int model_dma_read(struct model *m, uint64_t iova, void *buf, size_t len);
/* How many of @len bytes at @iova lie before the next 4 KiB boundary. */
static inline size_t model_chunk(uint64_t iova, uint64_t len)
{
	uint64_t room = MODEL_PAGE - (iova & (MODEL_PAGE - 1));

	return (size_t)(len < room ? len : room);
}
void model_irq(struct model *m, unsigned int vector);
/* Pin the pages of [iova, iova + len) in a slot of one's own. */
int model_pin(struct model *m, unsigned int slot, uint64_t iova, uint64_t len,
	      bool write);
void model_unpin(struct model *m, unsigned int slot);

/* truth.c, under dma_lock, or under control while STOPPED */
void truth_note(struct model_truth *t, uint64_t iova, uint64_t stamp,
		size_t len);
/* Take an entry as it was saved; false: impossible, or no memory. */
bool truth_load(struct model_truth *t, const struct truth_entry *e);
static inline bool truth_is_live(const struct truth_entry *e)
{
	return e->stamp && e->stamp != UINT64_MAX;
}
bool truth_holds(struct model *m, const struct truth_entry *e);
void truth_drop(struct model *m, struct model_truth *t, struct truth_entry *e);
void truth_drop_overwritten(struct model *m);
void truth_clear(struct model_truth *t);

/*
 * deaf.c, under dma_lock: the first mark of a granule gives it its turn; is it
 * one that is never reported?
 */
bool deaf_to(struct model *m, uint64_t granule, unsigned int shift);
void deaf_clear(struct model *m);

/* log.c, under dma_lock: mark the granules of a chunk */
void log_mark(struct model *m, uint64_t iova, size_t len);
/* The device waits here while the log's queue is full. */
void log_wait_room(struct model *m);
void log_drop(struct model *m); /* under control, worker parked */
/* MODEL_FAULT_LOG_LOST_AT_STOP: all is clean. */
void log_forget(struct model *m);
/* log_ranges.c: sort, and join the smallest gaps until at most @max are left;
 * returns how many are. */
struct log_span {
	uint64_t first, last;
};
size_t log_join_spans(struct log_span *spans, size_t nr, size_t max);
/* Least n with 2^n >= the total length; 0 spans: 0. */
unsigned int log_address_bits(const struct log_span *spans, size_t nr);

/* state.c */
int state_init(struct model_state *s, const struct model_config *config);
void state_reset(struct model_state *s, const struct model_config *config);
void state_free(struct model_state *s);
/* An operation of the device changed its memory. */
void state_touch(struct model *m, uint64_t value);
size_t state_block_len(const struct model *m, uint64_t block);

/* stream.c, under control: the device runs again, or was @reset. */
void stream_invalidate(struct model *m, bool reset);

/* cursor.c */
void cursor_put32(struct model_cursor *c, uint32_t value);
void cursor_put64(struct model_cursor *c, uint64_t value);
uint32_t cursor_get32(struct model_cursor *c);
uint64_t cursor_get64(struct model_cursor *c);
void cursor_put(struct model_cursor *c, const void *bytes, size_t len);
void cursor_get(struct model_cursor *c, void *bytes, size_t len);

#endif /* MODELS_MODEL_PRIV_H */
