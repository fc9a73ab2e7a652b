/* SPDX-License-Identifier: MIT */
/*
 * Conformance of a VFIO device and its driver: rules out of the kernel's own
 * interface (include/uapi/linux/vfio.h), each tried with plain ioctls.
 *
 * A rule promises one thing, blames for nothing else, and starts with the
 * device as it was opened: RUNNING, its log off, no work under way.  What a
 * rule has done to get there is kept as text, the calls that show what is
 * broken.
 *
 * Threads: one checks; nothing is shared.
 */
#ifndef SPOOR_TOOL_CHECK_H
#define SPOOR_TOOL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <spoor/device.h>
#include <spoor/space.h>

#include "src/base/uapi_vfio.h"

#define CHECK_PAGE	  4096ull
/* Guest memory: what exercisers need, and what devices are made to write. */
#define CHECK_CONTROL	  0x1000000ull
#define CHECK_CONTROL_LEN 0x100000ull
#define CHECK_DATA	  0x2000000ull
#define CHECK_DATA_LEN	  0x2000000ull
#define CHECK_NR_PAGES	  (CHECK_DATA_LEN / CHECK_PAGE)
/* Where a peer's BAR is mapped: within 28 bits, as all of the above. */
#define CHECK_PEER	  0x8000000ull

#define CHECK_NR_CALLS	   24u
#define CHECK_CALL_LEN	   120u
#define CHECK_BITMAP_WORDS (CHECK_NR_PAGES / 64)

enum check_verdict {
	CHECK_HOLDS,
	CHECK_BROKEN,
	CHECK_NOT_APPLICABLE,
};

struct exerciser;

struct check {
	/* how it is opened */
	const char *spec, *peer_spec;
	unsigned int backend; /* enum spoor_space_backend */
	bool have_backend; /* asked for, not chosen */

	struct spoor_memory *memory;
	struct spoor_space *space;
	struct spoor_device *dev, *peer;
	int fd;
	int data_fd; /* of the session that a rule has open, -1: none */
	uint32_t caps; /* VFIO_MIGRATION_*; 0: it does not migrate */
	uint32_t begin_state; /* when it was opened first */
	bool has_log, can_reset;
	char log_why[200]; /* why logging cannot be checked, or "" */
	char peer_why[200]; /* why there is no peer */
	uint8_t *control, *data; /* memory, as the CPU sees it */
	volatile uint8_t *peer_bar;
	uint64_t peer_bar_len;

	const struct exerciser *ex; /* NULL: nobody knows how to make it DMA */
	struct {
		uint64_t next, end, count, wanted; /* each its own meaning */
		uint64_t serial; /* of what is written; never the same twice */
		int socket;
		bool ready;
	} at;
	uint64_t dma_ns; /* one small DMA takes so long */

	char calls[CHECK_NR_CALLS][CHECK_CALL_LEN];
	size_t nr_calls; /* ever made in this rule */
	char why[400];
};

struct check_rule {
	const char *id;
	const char *from; /* where in vfio.h */
	const char *text; /* what it asks */
	unsigned int needs; /* CHECK_NEEDS_* */
	enum check_verdict (*run)(struct check *c);
};

#define CHECK_NEEDS_MIGRATION (1u << 0)
#define CHECK_NEEDS_P2P	      (1u << 1)
#define CHECK_NEEDS_PRE_COPY  (1u << 2)
#define CHECK_NEEDS_LOG	      (1u << 3)
#define CHECK_NEEDS_DMA	      (1u << 4)
#define CHECK_NEEDS_RESET     (1u << 5)
#define CHECK_NEEDS_PEER      (1u << 6)

extern const struct check_rule check_rules[];
extern const size_t check_nr_rules;

/* run.c: one rule; c->why and c->calls say why. */
enum check_verdict check_run(struct check *c, const struct check_rule *rule);
enum check_verdict check_holds(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
enum check_verdict check_broken(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
enum check_verdict check_skip(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* What a rule needed first did not work: its own rule says so. */
enum check_verdict check_cannot(struct check *c, const char *what, int err);

/* open.c: 0, or -errno with c->why. */
int check_open(struct check *c);
void check_close(struct check *c);
/* As it was opened; with the exerciser ready. */
int check_recover(struct check *c);
int check_fresh(struct check *c);
/* Config space: memory and bus master, as a guest would. */
int check_enable(struct check *c, struct spoor_device *dev);

/*
 * calls.c: the ioctls, kept as text.  All return 0 (or a count) or -errno.
 */
void check_note(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int check_feature(struct check *c, uint32_t flags, void *payload, size_t len);
int check_get(struct check *c, uint32_t *ret_state);
/* @ret_fd may be NULL: then it is closed.  -1: none was given. */
int check_set(struct check *c, uint32_t state, int *ret_fd);
/* Closes what c->data_fd was, keeps what comes. */
int check_go(struct check *c, uint32_t state);
ssize_t check_read(struct check *c, int fd, void *buf, size_t len);
ssize_t check_write(struct check *c, int fd, const void *buf, size_t len);
int check_precopy_info(struct check *c, int fd, uint32_t argsz,
		       struct vfio_precopy_info *ret);
int check_reset(struct check *c);
int check_log_start(struct check *c,
		    const struct vfio_device_feature_dma_logging_range *ranges,
		    uint32_t nr, uint64_t page_size, uint64_t *ret_page_size);
int check_log_stop(struct check *c);
/* Bits of 4 KiB pages; through STOP where it is read only while quiet. */
int check_log_report(struct check *c, uint64_t iova, uint64_t len,
		     uint64_t *bitmap);
/* START of all data in 4 KiB pages. */
int check_log_all(struct check *c, uint64_t *ret_page_size);
void check_drop_fd(struct check *c);

/* stream.c: the state of a device that is on its way; free() it. */
struct check_stream {
	uint8_t *bytes;
	size_t len, room;
};
int check_save(struct check *c, struct check_stream *s);
/* Appends what @fd gives until its end, pieces of @piece; 0 or -errno. */
int check_drain(struct check *c, int fd, struct check_stream *s, size_t piece);
/* RESUMING, all of it, STOP; -errno of whatever refused. */
int check_load(struct check *c, const uint8_t *bytes, size_t len, size_t piece);

/* bits.c: sets of pages of the data. */
bool check_test(const uint64_t *bits, uint64_t page);
void check_mark(uint64_t *bits, uint64_t page);
size_t check_count(const uint64_t *bits);
/* First page that is in @a and not in @b; CHECK_NR_PAGES: none. */
uint64_t check_only_in(const uint64_t *a, const uint64_t *b);
/* The pages of all granules that hold a page of the set. */
void check_widen(uint64_t *bits, uint64_t granule);

/* exercise.c */
struct exerciser {
	const char *name;
	uint16_t vendor, device;
	bool peers; /* it can be pointed at a peer */
	/* After open and reset: idle, and ready for start(). */
	int (*setup)(struct check *c);
	/* Ask for all 4 KiB pages of [iova, iova + len) to be written. */
	int (*start)(struct check *c, uint64_t iova, uint64_t len);
	/* 1: they are, 0: not yet; drives what takes several steps. */
	int (*done)(struct check *c);
	/* As much as it can be given at once, to be cut short by a stop. */
	int (*flood)(struct check *c, uint64_t iova, uint64_t len);
	/* Looking at memory alone: what flood() gave is not all done. */
	bool (*undone)(struct check *c);
	/* Something to lose: registers, or (work) what flood() gives. */
	int (*remember)(struct check *c);
	bool work;
	int (*recalls)(struct check *c); /* 1: it is there, or was done */
	int (*forget)(struct check *c); /* where a reset is not to be had */
};
extern const struct exerciser exercise_edu, exercise_dsa, exercise_mdev,
	exercise_nic, exercise_plain;

void check_find_exerciser(struct check *c);
/* Written and done; -ETIMEDOUT. */
int check_dma(struct check *c, uint64_t iova, uint64_t len);
int check_dma_wait(struct check *c);
/* One page each. */
int check_dma_pages(struct check *c, const uint64_t *pages, size_t nr);

int check_reg_write(struct check *c, uint64_t reg, uint64_t v, size_t len);
int check_reg_read(struct check *c, uint64_t reg, uint64_t *ret, size_t len);
void *check_at(struct check *c, uint64_t iova);
/* A state that the device has, by its capabilities. */
bool check_has_state(const struct check *c, uint32_t state);
uint64_t check_now(void);
void check_sleep_ms(unsigned int ms);
/* Longer than a DMA that was under way could take. */
void check_linger(struct check *c);

/* The areas' rules. */
enum check_verdict check_fsm_caps(struct check *c);
enum check_verdict check_fsm_begin(struct check *c);
enum check_verdict check_fsm_arcs(struct check *c);
enum check_verdict check_fsm_ways(struct check *c);
enum check_verdict check_fsm_same(struct check *c);
enum check_verdict check_fsm_refuses(struct check *c);
enum check_verdict check_fsm_data_fd(struct check *c);
enum check_verdict check_fsm_data_size(struct check *c);
enum check_verdict check_stream_end(struct check *c);
enum check_verdict check_stream_pieces(struct check *c);
enum check_verdict check_stream_old_fd(struct check *c);
enum check_verdict check_stream_direction(struct check *c);
enum check_verdict check_resume_whole(struct check *c);
enum check_verdict check_resume_state(struct check *c);
enum check_verdict check_resume_cut(struct check *c);
enum check_verdict check_resume_corrupt(struct check *c);
enum check_verdict check_precopy_begin(struct check *c);
enum check_verdict check_precopy_counts(struct check *c);
enum check_verdict check_precopy_pause(struct check *c);
enum check_verdict check_precopy_states(struct check *c);
enum check_verdict check_precopy_argsz(struct check *c);
enum check_verdict check_precopy_whole(struct check *c);
enum check_verdict check_log_order(struct check *c);
enum check_verdict check_log_twice(struct check *c);
enum check_verdict check_log_off(struct check *c);
enum check_verdict check_log_fresh(struct check *c);
enum check_verdict check_log_or(struct check *c);
enum check_verdict check_log_clear(struct check *c);
enum check_verdict check_log_outside(struct check *c);
enum check_verdict check_log_bounds(struct check *c);
enum check_verdict check_log_complete(struct check *c);
enum check_verdict check_log_exact(struct check *c);
enum check_verdict check_log_last_page(struct check *c);
enum check_verdict check_log_ranges(struct check *c);
enum check_verdict check_log_page_size(struct check *c);
enum check_verdict check_log_at_stop(struct check *c);
enum check_verdict check_stop_dma(struct check *c);
enum check_verdict check_p2p_peer(struct check *c);
enum check_verdict check_reset_states(struct check *c);
enum check_verdict check_reset_error(struct check *c);
enum check_verdict check_reset_clean(struct check *c);

#endif /* SPOOR_TOOL_CHECK_H */
