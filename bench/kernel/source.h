/* SPDX-License-Identifier: MIT */
/*
 * A source of dirty bits as the designs read it, one window after the other: a
 * device's tracker by its queue, the same by its bitmap, or what a container
 * knows of its pins.
 *
 * Threads: its owner's.  No lock of a space is held over a device's calls: DMA
 * that waits for it holds the device's.
 */
#ifndef BENCH_KERNEL_SOURCE_H
#define BENCH_KERNEL_SOURCE_H

#include "bench/kernel/designs.h"
#include "bench/kernel/window.h"
#include "softvfio/container.h"

/* A call on a container begins: it is counted and found, and sv_vfio_lock
 * held.  NULL: -EBADF, and nothing is. */
struct sv_container *call_begin(int container, struct sv_file **ret_file);
void call_end(struct sv_file *file);

struct source;

struct source_ops {
	/* OR what is dirty into the window; @forget it.  -errno: what was
	 * forgotten is in the window. */
	int (*read)(struct source *s, struct window *w, bool forget);
	/* Forget the bits of a window; NULL: it holds nothing back. */
	int (*clear)(struct source *s, const struct window *mask);
	int (*stop)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	struct sv_device *dev;
	struct sv_container *container; /* pins */
};

/* What a device's tracker offers: page sizes (bit n: 2^n bytes), or 0. */
uint64_t source_page_sizes(const struct sv_device *dev);
bool source_can_borrow(const struct sv_device *dev);

/* Start a device's tracker over exactly what @info says. */
int source_start_device(struct source *s, struct sv_device *dev, bool borrow,
			const struct design_info *info);
int source_start_pins(struct source *s, struct sv_container *c);
/*
 * Read it; a source that failed may have forgotten anything: then all of the
 * window is dirty.  -EBUSY: it is not quiet, and has forgotten nothing.
 */
int source_read(struct source *s, struct window *w, bool forget);
/* Pins: what is pinned now is dirty.  Once a read. */
void source_pins_populate(struct sv_container *c);

/* The program's bitmap, where it was pinned. */
struct outlet {
	const uint64_t *user;
	uint64_t *pinned; /* the same memory of ours, or NULL */
	uint64_t len;
	int alias;
};
/* No-op if it is.  -EINVAL: another one is. */
int outlet_pin(struct outlet *o, uint64_t *user,
	       const struct design_info *info);
void outlet_unpin(struct outlet *o);

/* The window that begins at bit @first, over @words. */
void window_at(struct window *w, const struct design_info *info, uint64_t first,
	       uint64_t *words);

/* The bitmap of all that is mapped, at info->page_size; -E2BIG, -EINVAL. */
int span_of(const struct sv_area_list *list, struct design_info *info);
/* -EFAULT: args or ret of the program are bad. */
int info_in(struct design_info *ret, const struct design_info *user);

#endif /* BENCH_KERNEL_SOURCE_H */
