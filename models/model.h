/* SPDX-License-Identifier: MIT */
/*
 * Software devices, seen by whoever hosts them (softvfio today, a vfio-user
 * server tomorrow).  A model is a device: registers and doorbells, DMA, a log
 * of what it wrote, and a state that can be saved and loaded.  It knows
 * nothing of VFIO, file descriptors or page tables; the host gives it DMA and
 * interrupts through struct model_host_ops.
 *
 * Invariants: data is written before it is marked, in the log and in the host;
 * after model_set_level() has returned, no DMA that the new level forbids is
 * in flight.
 *
 * Threads: each model has one worker thread of its own; every function here
 * may be called from any other thread.
 *
 * Depends on libc only.
 */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "models/model_faults.h"

#define MODEL_NAME_MAX 64
#define MODEL_NR_BARS  6

struct model;

/* What the device may do. */
enum model_level {
	MODEL_STOPPED = 0, /* nothing; touching it is a violation */
	MODEL_P2P = 1, /* no DMA to peers; if p2p_stops_all, none at all */
	MODEL_RUNNING = 2,
};

/* When type1 hears of an emulated device's writes. */
enum model_pin_dirty {
	MODEL_PIN_WHILE_PINNED = 0, /* as Linux does */
	MODEL_PIN_AT_UNPIN = 1,
	MODEL_PIN_MARK_ONCE = 2,
};

/* The device's own DMA log; modelled on mlx5's. */
struct model_log_config {
	bool present;
	uint64_t min_page, max_page; /* bytes; a wish is clamped to these */
	uint32_t max_ranges; /* more are combined into fewer, larger ones */
	uint32_t address_bits_min, address_bits_max; /* of the total length */
	uint32_t queue; /* entries; full holds the device back, loses nothing */
	bool read_while_running; /* false: reports only while quiet */
	uint64_t fail_after; /* N: reports fail from the Nth on; 0: never */
	uint64_t deaf; /* N: every Nth distinct granule is never reported */
	uint64_t cost_mark_ns, cost_report_page_ns; /* assumed, for bench */
};

struct model_config {
	char name[MODEL_NAME_MAX];
	char model[16]; /* "nic", "dsa", "mdev", "plain", "edu" */
	unsigned int index; /* number of the device: upper bits of its stamps */
	bool p2p_stops_all;
	bool pre_copy;
	uint64_t state_size; /* bytes of device memory that migrate */
	uint64_t stop_ms; /* to stop takes so long, at work meanwhile */
	struct model_log_config log;
	char udp[64]; /* nic: "127.0.0.1:9000", port 0: kernel's choice */
	uint64_t dma_us; /* edu: one DMA takes so long */
	uint32_t dma_bits; /* edu: addresses are cut to these; 0: 28 */
	/* pinning: sizes are the guest driver's business, not the device's */
	enum model_pin_dirty pin_dirty;
	bool read_pins_clean;
	bool pins_gratuitous;
	unsigned int faults; /* MODEL_FAULT_* */
};

/* What the host does for a model.  All return 0 or -errno. */
struct model_host_ops {
	/* Never crosses a 4 KiB boundary; -EFAULT: an IOMMU fault. */
	int (*dma_read)(void *host, uint64_t iova, void *buf, size_t len);
	int (*dma_write)(void *host, uint64_t iova, const void *buf,
			 size_t len);
	/* As dma_read, but nothing is counted: for the truth table. */
	int (*peek)(void *host, uint64_t iova, void *buf, size_t len);
	/* Does this address lead into another device's BAR? */
	bool (*is_peer)(void *host, uint64_t iova);
	/* Emulated devices, and gratuitous pinning: hold pages. */
	int (*pin)(void *host, uint64_t iova, uint64_t nr_pages, bool write);
	int (*unpin)(void *host, uint64_t iova, uint64_t nr_pages);
	void (*irq)(void *host, unsigned int vector);
	void (*note)(void *host, const char *text); /* e.g. the UDP port */
	/*
	 * Optional, both or none.  A descriptor of the model's own: returns
	 * the one to use instead of it, until end_fd() closes that.
	 */
	int (*keep_fd)(void *host, int fd);
	void (*end_fd)(void *host, int fd);
};

/* All counters since creation; marks and pages_reported in log granules. */
struct model_counters {
	uint64_t dma_writes, dma_bytes, marks, reports, pages_reported;
	/* marks that went with a log that was stopped or reset */
	uint64_t discarded;
	uint64_t dropped; /* truth entries overwritten by others at STOP */
	uint64_t backlog_dropped; /* nic: packets in the socket at STOP */
	uint64_t faults; /* DMA the host refused */
	uint64_t violations; /* touched while stopped */
	uint64_t peer_writes; /* of others, into its BAR memory */
	uint64_t late_writes; /* its own DMA while it was stopped */
	uint64_t pages_saved; /* truth entries in the state last saved */
};

struct model_bar {
	uint64_t size; /* 0: no such BAR */
	bool memory; /* plain memory, mmap-able, written by peers: @fd */
	int fd; /* memory: its memfd, owned by the model */
};

/* Why a model cannot be made or run: text for humans, thread-local. */
const char *model_errmsg(void);

int model_create(struct model **ret, const struct model_config *config,
		 const struct model_host_ops *ops, void *host);
struct model *model_destroy(struct model *m);

const struct model_config *model_config(const struct model *m);
void model_bar(const struct model *m, unsigned int bar, struct model_bar *ret);

/* What all devices of a kind have, before one is made. */
struct model_shape {
	uint16_t vendor_id, device_id;
	unsigned int nr_vectors;
	bool msi; /* instead of MSI-X */
	struct model_bar bars[MODEL_NR_BARS]; /* without a descriptor */
};

/* false: there is no such kind; *ret is all zeros then. */
bool model_shape(const char *kind, struct model_shape *ret);

/* Registers and doorbells.  Short accesses past the end are cut. */
ssize_t model_bar_read(struct model *m, unsigned int bar, uint64_t offset,
		       void *buf, size_t len);
ssize_t model_bar_write(struct model *m, unsigned int bar, uint64_t offset,
			const void *buf, size_t len);
/*
 * A peer's DMA into this device's BAR memory.  0: the bytes landed, also if it
 * is stopped and this was a violation; -EFAULT: not all inside BAR memory.
 */
int model_peer_write(struct model *m, unsigned int bar, uint64_t offset,
		     const void *buf, size_t len);
/* A peer's DMA out of it; a violation if it is stopped. */
int model_peer_read(struct model *m, unsigned int bar, uint64_t offset,
		    void *buf, size_t len);
/* BAR memory as it is, stopped or not, nothing counted: for the host's peek. */
int model_bar_peek(struct model *m, unsigned int bar, uint64_t offset,
		   void *buf, size_t len);

/*
 * Change what the device may do; returns when it holds.  Going to STOPPED
 * freezes the state and drops truth entries that others have overwritten;
 * leaving it may fail (a UDP port is taken): then it is still STOPPED.
 */
int model_set_level(struct model *m, enum model_level level);
enum model_level model_level(const struct model *m);
/* Entering STOP_COPY from STOP: drop overwritten truth entries again. */
void model_freeze(struct model *m);
/* As new: registers, pending work, log, truth; level RUNNING. */
int model_reset(struct model *m);

/* The device's log.  The caller has checked what the kernel checks. */
struct model_range {
	uint64_t iova, len;
};
/* -EOPNOTSUPP: address space too wide; -EINVAL: started already. */
int model_log_start(struct model *m, const struct model_range *ranges,
		    size_t nr, uint64_t page_size, uint64_t *ret_page_size);
/*
 * Read and clear: calls @set for each dirty granule of the tracker that lies
 * in or touches the range (bytes; may reach beyond it); none where nothing is
 * tracked.  -EINVAL: not started; -EBUSY: only while quiet; -EIO: it fails, for
 * good.
 */
int model_log_report(struct model *m, uint64_t iova, uint64_t len,
		     int (*set)(void *ctx, uint64_t iova, uint64_t len),
		     void *ctx);
int model_log_stop(struct model *m);

/* Saving: one session.  Reading pre-copy data while the device runs. */
struct model_stream;
int model_stream_save(struct model *m, bool pre_copy,
		      struct model_stream **ret);
/* Bytes, 0 at the end (frozen), -ENOMSG nothing more while it still runs. */
ssize_t model_stream_read(struct model_stream *s, void *buf, size_t len);
int model_stream_precopy_info(struct model_stream *s, uint64_t *ret_initial,
			      uint64_t *ret_dirty);
/* The device was stopped: from here on the rest, then the end. */
int model_stream_final(struct model_stream *s);
uint64_t model_stop_copy_length(struct model *m);
/* Loading. */
int model_stream_load(struct model *m, struct model_stream **ret);
ssize_t model_stream_write(struct model_stream *s, const void *buf, size_t len);
/* All of it arrived and fits: take it over.  -EINVAL otherwise. */
int model_stream_commit(struct model_stream *s);
struct model_stream *model_stream_free(struct model_stream *s);

/*
 * The truth: pages whose memory does not hold the device's last write.
 * Returns how many it looked at.
 */
uint64_t model_truth_check(struct model *m,
			   void (*lost)(void *ctx, uint64_t iova), void *ctx);
/* Was the page's last write of this device made here, not before it came? */
bool model_truth_wrote(struct model *m, uint64_t iova);

void model_counters(struct model *m, struct model_counters *ret);

/* Tests: DMA as if the device had decided it, from the calling thread. */
int model_poke_dma(struct model *m, uint64_t iova, const void *buf, size_t len);

#endif /* MODELS_MODEL_H */
