/* SPDX-License-Identifier: MIT */
/*
 * Pinned pages: what an emulated device's driver, or a gratuitously pinning
 * one, holds of a container's memory.  Pinning dirties, whatever the
 * protection, at every read while it lasts.  The device's configuration may
 * ask for what Linux does not have: reads that stay clean, dirty once at the
 * unpin, dirty once a write (semantics: type1 pins).
 *
 * Locks: pin and unpin take the list's write lock.
 */
#include "softvfio/container.h"

#include <errno.h>
#include <stdlib.h>

static struct sv_container *container_of(struct sv_attachment *a)
{
	return ((struct sv_group *)a)->container;
}

static const struct model_config *config_of(const struct sv_attachment *a)
{
	return &a->dev->config->model;
}

/* Which counter a pin goes to; NULL: it dirties nothing by itself. */
static uint16_t **counter(const struct sv_attachment *a,
			  struct sv_type1_dma *dma, bool write)
{
	const struct model_config *config = config_of(a);

	/* What IOMMU-backed devices write nobody sees: only pins tell. */
	if (!a->dev->config->emulated)
		return &dma->pins;
	if (!write && config->read_pins_clean)
		return NULL;
	switch (config->pin_dirty) {
	case MODEL_PIN_AT_UNPIN:
		return &dma->late_pins;
	case MODEL_PIN_MARK_ONCE:
		return NULL;
	default:
		return &dma->pins;
	}
}

/*
 * Does a device that dirties at unpin stand still?  Then this may be the last
 * read.  In a P2P state it may be quiet already: when in doubt, dirty.
 */
static bool late_pinner_stopped(const struct sv_container *c)
{
	for (const struct sv_group *g = c->groups; g; g = g->next) {
		const struct model *m =
			__atomic_load_n(&g->dev->model, __ATOMIC_ACQUIRE);

		if (g->dev->config->model.pin_dirty == MODEL_PIN_AT_UNPIN &&
		    m && model_level(m) != MODEL_RUNNING)
			return true;
	}
	return false;
}

void sv_type1_populate(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;
	const bool late = dma->late_pins && late_pinner_stopped(c);

	if (!dma->pins && !late)
		return;
	for (uint64_t page = 0; page < dma->nr_pages; page++) {
		if ((dma->pins && dma->pins[page]) ||
		    (late && dma->late_pins[page]))
			sv_type1_set(c, dma, page);
	}
}

void sv_type1_end_pins(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;

	for (uint64_t page = 0; dma->late_pins && page < dma->nr_pages;
	     page++) {
		if (dma->late_pins[page])
			sv_type1_set(c, dma, page);
	}
}

static int check_pages(struct sv_attachment *a, uint64_t iova,
		       uint64_t nr_pages, bool write)
{
	const unsigned int prot = write ? SV_PROT_WRITE : SV_PROT_READ;

	for (uint64_t i = 0; i < nr_pages; i++) {
		struct sv_area *area =
			sv_area_find(a->list, iova + i * SV_PAGE_SIZE);
		int err;

		if (!area)
			return -EINVAL;
		if (!(area->prot & prot))
			return -EPERM;
		err = sv_area_pin(area, a->allow_bar);
		if (err)
			return err;
	}
	return 0;
}

static int pin_page(struct sv_attachment *a, uint64_t iova, bool write)
{
	struct sv_container *c = container_of(a);
	struct sv_area *area = sv_area_find(a->list, iova);
	struct sv_type1_dma *dma = area->priv;
	const uint64_t page = (iova - area->iova) / SV_PAGE_SIZE;
	uint16_t **pins = counter(a, dma, write);

	if (!pins)
		return 0;
	if (!*pins) {
		*pins = calloc(dma->nr_pages, sizeof(**pins));
		if (!*pins)
			return -ENOMEM;
	}
	if ((*pins)[page] == UINT16_MAX)
		return -ENOSPC;
	(*pins)[page]++;
	if (c->tracking && pins == &dma->pins)
		sv_type1_set(c, dma, page);
	return 0;
}

/* What was pinned for reading and stays clean was never counted. */
static void unpin_page(struct sv_attachment *a, uint64_t iova)
{
	struct sv_container *c = container_of(a);
	struct sv_area *area = sv_area_find(a->list, iova);
	struct sv_type1_dma *dma = area ? area->priv : NULL;
	uint16_t **pins = dma ? counter(a, dma, true) : NULL;
	uint64_t page;

	/* Unmapped meanwhile: the pins went with the mapping. */
	if (!pins || !*pins)
		return;
	page = (iova - area->iova) / SV_PAGE_SIZE;
	if (!(*pins)[page])
		return;
	(*pins)[page]--;
	/* It may have been written up to now. */
	if (c->tracking)
		sv_type1_set(c, dma, page);
}

static int pin(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages,
	       bool write)
{
	struct sv_group *g = (struct sv_group *)a;
	int err;

	if (iova & SV_PAGE_MASK)
		return -EINVAL;
	pthread_rwlock_wrlock(&a->list->lock);
	err = check_pages(a, iova, nr_pages, write);
	for (uint64_t i = 0; !err && i < nr_pages; i++) {
		err = pin_page(a, iova + i * SV_PAGE_SIZE, write);
		while (err && i--)
			unpin_page(a, iova + i * SV_PAGE_SIZE);
	}
	/* From its first pin on the group tells what it may write. */
	if (!err)
		g->pinned_scope = true;
	pthread_rwlock_unlock(&a->list->lock);
	return err;
}

static int unpin(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages)
{
	pthread_rwlock_wrlock(&a->list->lock);
	for (uint64_t i = 0; i < nr_pages; i++)
		unpin_page(a, iova + i * SV_PAGE_SIZE);
	pthread_rwlock_unlock(&a->list->lock);
	return 0;
}

/*
 * A write by the driver on the device's behalf (vfio_dma_rw) is reported once.
 * An IOMMU-backed device's DMA leaves no trace here; so does a write to a page
 * whose pin will tell.
 */
static void mark(struct sv_attachment *a, struct sv_area *area, uint64_t iova,
		 size_t len)
{
	struct sv_container *c = container_of(a);
	struct sv_type1_dma *dma = area->priv;

	(void)len;
	if (!a->dev->config->emulated || !dma->bitmap)
		return;
	if (config_of(a)->pin_dirty == MODEL_PIN_AT_UNPIN && dma->late_pins &&
	    dma->late_pins[(iova - area->iova) / SV_PAGE_SIZE])
		return;
	sv_type1_set(c, dma, (iova - area->iova) / SV_PAGE_SIZE);
}

const struct sv_attachment_ops sv_type1_attachment_ops = {
	.mark = mark,
	.pin = pin,
	.unpin = unpin,
};
