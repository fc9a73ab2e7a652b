/* SPDX-License-Identifier: MIT */
/*
 * What is mapped in a DMA address space: areas, sorted, disjoint, each backed
 * by pinned memory (a second mapping of the program's pages) or by a peer's
 * BAR.  Shared by iommufd (IOAS) and type1 (container); what they keep per
 * area beyond that, dirty bits above all, is theirs.
 *
 * Threads: the list is guarded by the space's rwlock: DMA and dirty reads hold
 * it for reading, map and unmap for writing.  So unmapping waits for DMA in
 * flight.
 */
#ifndef SOFTVFIO_AREA_H
#define SOFTVFIO_AREA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softvfio/file.h"
#include "softvfio/iommu.h"

#define SV_PAGE_SIZE 4096ull
#define SV_PAGE_MASK (SV_PAGE_SIZE - 1)

#define SV_PROT_READ  1u
#define SV_PROT_WRITE 2u

/* Pinned memory, or a BAR.  Shared by areas that were copied. */
struct sv_backing {
	atomic_uint refs;
	uint8_t *ptr; /* our own mapping; NULL for a BAR */
	bool alias; /* ptr is a second mapping, ours to unmap */
	uint64_t len;
	uint64_t va; /* the program's address, or the offset in its file */
	struct sv_bar_mapping bar; /* bar.dev NULL: memory */
};

struct sv_area {
	uint64_t iova, last; /* inclusive */
	unsigned int prot; /* SV_PROT_* */
	struct sv_backing *backing; /* one reference; NULL: not pinned yet */
	uint64_t offset; /* of iova in the backing */
	uint64_t va; /* where the program has it, for pinning later */
	void *priv; /* IOAS or type1: whatever they keep per area */
};

struct sv_area_list {
	pthread_rwlock_t lock;
	struct sv_area **areas; /* by iova */
	size_t nr, room;
};

/*
 * Pin [va, va+len) of this process.  -EFAULT: not all mapped, or not
 * writable and @prot asks for it.  @allow_bar: a peer's BAR is taken too,
 * otherwise it is -EFAULT.
 */
int sv_backing_pin(struct sv_backing **ret, const void *va, uint64_t len,
		   unsigned int prot, bool allow_bar);
/* Pin a piece of a file (IOAS_MAP_FILE). */
int sv_backing_pin_file(struct sv_backing **ret, int fd, uint64_t start,
			uint64_t len, unsigned int prot);
/*
 * Write lock held.  Pin what was mapped without (no device was there to need
 * it); no-op if it is pinned.
 */
int sv_area_pin(struct sv_area *area, bool allow_bar);
struct sv_backing *sv_backing_ref(struct sv_backing *b);
void sv_backing_put(struct sv_backing *b);

void sv_area_list_init(struct sv_area_list *l);
void sv_area_list_destroy(struct sv_area_list *l); /* empty */
/* Lock held.  The area that holds iova, or NULL. */
struct sv_area *sv_area_find(const struct sv_area_list *l, uint64_t iova);
/* Lock held.  Index of the first area with last >= iova; nr if none. */
size_t sv_area_index(const struct sv_area_list *l, uint64_t iova);
/* Lock held.  Does any area touch [iova, last]? */
bool sv_area_overlaps(const struct sv_area_list *l, uint64_t iova,
		      uint64_t last);
/* Write lock held.  Takes @area; -ENOMEM: not taken.  Must not overlap. */
int sv_area_insert(struct sv_area_list *l, struct sv_area *area);
/* Write lock held.  The next @more inserts do not fail; -ENOMEM. */
int sv_area_insert_room(struct sv_area_list *l, size_t more);
/* Write lock held.  Out of the list; the caller frees it. */
struct sv_area *sv_area_remove_at(struct sv_area_list *l, size_t index);
void sv_area_free(struct sv_area *area);

/* A device's way into a space.  iommufd and type1 embed it. */
struct sv_attachment_ops {
	/*
	 * List read-locked: the page(s) of [iova, iova+len), all in @area,
	 * were (or with mark_first: will be) written by the device.
	 */
	void (*mark)(struct sv_attachment *a, struct sv_area *area,
		     uint64_t iova, size_t len);
	/*
	 * NULL: what may be written at all always can be.  List read-locked:
	 * can it now?  Not locked: see to it that it can, as far as it will.
	 */
	bool (*writable)(struct sv_attachment *a, struct sv_area *area,
			 uint64_t iova);
	void (*write_fault)(struct sv_attachment *a, uint64_t iova);
	int (*pin)(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages,
		   bool write);
	int (*unpin)(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages);
};

struct sv_attachment {
	const struct sv_attachment_ops *ops;
	struct sv_device *dev;
	struct sv_area_list *list;
	bool allow_bar; /* areas pinned at first use may be BARs (type1) */
};

#endif /* SOFTVFIO_AREA_H */
