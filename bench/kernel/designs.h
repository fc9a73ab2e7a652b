/* SPDX-License-Identifier: MIT */
/*
 * The designs that are measured against each other, as calls into softvfio.
 * They have no uAPI: bench/ and its tests call them here, in a copy of softvfio
 * that nothing else uses.  Each call stands for one ioctl: it takes a
 * descriptor or a device's name and pointers of the program, which it reads
 * and writes as the kernel does.
 *
 *   split    each device is read by itself, and ORs into the caller's bitmap
 *   funnel   the container reads all of its devices, and copies once
 *   shared   devices mark in a bitmap that both sides have mapped
 *
 * All return 0 or -errno.  After a failed read the caller's bitmap may hold
 * bits, which must be sent; what is in no bitmap yet is reported by a later
 * read.  A tracker that failed makes everything dirty; one that is read only
 * while quiet, and is not, is passed over with -EBUSY; others are read.
 *
 * Threads: any; one call at a time per container or device.  What is mapped
 * must not change between START and STOP.
 */
#ifndef BENCH_KERNEL_DESIGNS_H
#define BENCH_KERNEL_DESIGNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESIGN_API __attribute__((visibility("default")))

/* How the bits of a bitmap stand for memory; START answers it. */
struct design_info {
	uint64_t page_size; /* bytes; in: the finest that is wanted */
	uint64_t base; /* IOVA of bit 0, a multiple of page_size */
	uint64_t nr_bits;
};

/* Trackers that have their dirty bits as a bitmap are read there, without
 * their queue. */
#define DESIGN_BORROW	    1u
/* The program's bitmap is pinned by the first read, until STOP, and must then be
 * the same at each; trackers OR into it there.  Else it is reached by copies. */
#define DESIGN_PIN	    2u
/* funnel: a read forgets nothing, funnel_clear() does.  Not with PIN. */
#define DESIGN_HOLD	    4u
/* funnel: devices that nobody tracks do not make everything dirty. */
#define DESIGN_TRACKED_ONLY 8u

/* split: a device's own tracker; START is given what is mapped for it. */
DESIGN_API int split_start(const char *device, unsigned int flags,
			   struct design_info *info);
/* OR into words, of which there are nr_bits / 64, rounded up. */
DESIGN_API int split_read(const char *device, uint64_t *words);
DESIGN_API int split_stop(const char *device);

/* What the container knows of a device. */
#define FUNNEL_OWN	 1u /* it has a tracker of its own */
#define FUNNEL_CONTAINER 2u /* it tells the container, by its pins */
#define FUNNEL_STORAGE	 4u /* its tracker's bitmap can be borrowed */
DESIGN_API int funnel_caps(int container, const char *device,
			   unsigned int *ret);
DESIGN_API int funnel_start(int container, unsigned int flags,
			    struct design_info *info);
/* Copy to words, which are zero. */
DESIGN_API int funnel_read(int container, uint64_t *words);
/* HOLD: forget what @words, the last read's, have. */
DESIGN_API int funnel_clear(int container, const uint64_t *words);
DESIGN_API int funnel_stop(int container);

/* shared: *ret_fd is to be mapped; closing it is the caller's. */
DESIGN_API int shared_start(int container, struct design_info *info,
			    int *ret_fd);
DESIGN_API int shared_stop(int container);

/*
 * For measurements: mark as written, without data, @nr runs of @run pages of
 * 4 KiB, whose first pages are @step pages apart, from @iova on.
 */
DESIGN_API int design_mark(const char *device, uint64_t iova, uint64_t nr,
			   uint64_t run, uint64_t step);

/* What this side did and has, since the process began. */
struct design_counts {
	uint64_t calls; /* into the designs above */
	uint64_t copies, bytes; /* from and to the program */
	uint64_t allocated, peak; /* bytes now, and at most since the last */
};
DESIGN_API void design_counts(struct design_counts *ret);

#endif /* BENCH_KERNEL_DESIGNS_H */
