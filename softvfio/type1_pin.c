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

/* Does a pin dirty by itself, while it lasts or when it ends? */
static bool pin_tells(const struct sv_attachment *a, bool write)
{
	const struct model_config *config = config_of(a);

	/* What IOMMU-backed devices write nobody sees: only pins tell. */
	if (!a->dev->config->emulated)
		return true;
	if (!write && config->read_pins_clean)
		return false;
	return config->pin_dirty != MODEL_PIN_MARK_ONCE;
}

static bool pins_late(const struct sv_attachment *a)
{
	return a->dev->config->emulated &&
	       config_of(a)->pin_dirty == MODEL_PIN_AT_UNPIN;
}

/* Each group counts its own: it must not end what another one holds. */
static struct sv_type1_pins *pins_of(const struct sv_type1_dma *dma,
				     const struct sv_group *g)
{
	struct sv_type1_pins *p = dma->pins;

	while (p && p->group != g)
		p = p->next;
	return p;
}

static struct sv_type1_pins *make_pins(struct sv_type1_dma *dma,
				       struct sv_attachment *a)
{
	const struct sv_group *g = (const struct sv_group *)a;
	struct sv_type1_pins *p = pins_of(dma, g);

	if (p)
		return p;
	p = calloc(1, sizeof(*p) + dma->nr_pages * sizeof(p->count[0]));
	if (!p)
		return NULL;
	p->group = g;
	p->late = pins_late(a);
	p->next = dma->pins;
	dma->pins = p;
	return p;
}

void sv_type1_free_pins(struct sv_type1_dma *dma)
{
	struct sv_type1_pins *p;

	while ((p = dma->pins)) {
		dma->pins = p->next;
		free(p);
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

static void set_pinned(struct sv_container *c, struct sv_type1_dma *dma,
		       const struct sv_type1_pins *p)
{
	for (uint64_t page = 0; page < dma->nr_pages; page++) {
		if (p->count[page])
			sv_type1_set(c, dma, page);
	}
}

void sv_type1_populate(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;

	for (const struct sv_type1_pins *p = dma->pins; p; p = p->next) {
		if (!p->late || late_pinner_stopped(c))
			set_pinned(c, dma, p);
	}
}

void sv_type1_end_pins(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;

	for (const struct sv_type1_pins *p = dma->pins; p; p = p->next) {
		if (p->late)
			set_pinned(c, dma, p);
	}
}

static bool holds_any(const struct sv_type1_dma *dma, const struct sv_group *g)
{
	const struct sv_type1_pins *p = pins_of(dma, g);

	for (uint64_t page = 0; p && page < dma->nr_pages; page++) {
		if (p->count[page])
			return true;
	}
	return false;
}

void sv_type1_lose_pins(struct sv_container *c, struct sv_area *area)
{
	for (struct sv_group *g = c->groups; g; g = g->next) {
		if (sv_group_physical(g) && holds_any(area->priv, g))
			g->pinned_scope = false;
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
	struct sv_type1_pins *pins;

	if (!pin_tells(a, write))
		return 0;
	pins = make_pins(dma, a);
	if (!pins)
		return -ENOMEM;
	if (pins->count[page] == UINT16_MAX)
		return -ENOSPC;
	pins->count[page]++;
	if (c->tracking && !pins->late)
		sv_type1_set(c, dma, page);
	return 0;
}

/* What was pinned for reading and stays clean was never counted. */
static void unpin_page(struct sv_attachment *a, uint64_t iova)
{
	struct sv_container *c = container_of(a);
	struct sv_area *area = sv_area_find(a->list, iova);
	struct sv_type1_dma *dma = area ? area->priv : NULL;
	struct sv_type1_pins *pins =
		dma ? pins_of(dma, (struct sv_group *)a) : NULL;
	uint64_t page;

	/* Unmapped meanwhile: the pins went with the mapping. */
	if (!pins)
		return;
	page = (iova - area->iova) / SV_PAGE_SIZE;
	if (!pins->count[page])
		return;
	pins->count[page]--;
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
	const struct sv_type1_pins *p = pins_of(dma, (struct sv_group *)a);

	(void)len;
	if (!a->dev->config->emulated || !dma->bitmap)
		return;
	if (p && p->late && p->count[(iova - area->iova) / SV_PAGE_SIZE])
		return;
	sv_type1_set(c, dma, (iova - area->iova) / SV_PAGE_SIZE);
}

const struct sv_attachment_ops sv_type1_attachment_ops = {
	.mark = mark,
	.pin = pin,
	.unpin = unpin,
};
