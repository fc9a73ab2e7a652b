/* SPDX-License-Identifier: MIT */
/*
 * /dev/vfio/vfio: which type, which groups; the type's own calls go to
 * type1.c.  See container.h for locks and lifetimes.
 */
#include "softvfio/container.h"

#include <errno.h>
#include <stdlib.h>

#include "base/uapi_vfio.h"

pthread_mutex_t sv_vfio_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int nr_made;

bool sv_container_physical(const struct sv_container *c)
{
	for (const struct sv_group *g = c->groups; g; g = g->next) {
		if (sv_group_physical(g))
			return true;
	}
	return false;
}

bool sv_container_all_dirty(const struct sv_container *c)
{
	for (const struct sv_group *g = c->groups; g; g = g->next) {
		if (!g->pinned_scope)
			return true;
	}
	return false;
}

void sv_container_put(struct sv_container *c)
{
	if (--c->refs)
		return;
	sv_area_list_destroy(&c->list);
	free(c);
}

/* Has the container, or while it is empty the machine, one without IOMMU? */
static bool is_noiommu(const struct sv_container *c)
{
	const struct sv_config *config = sv_config();

	if (c->groups)
		return c->groups->dev->config->noiommu;
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		if (config->devices[i].noiommu)
			return true;
	}
	return false;
}

static long check_extension(struct sv_container *c, unsigned long ext)
{
	if (ext == VFIO_NOIOMMU_IOMMU)
		return is_noiommu(c);
	/* No type1 beside it; an empty container may still become either. */
	if (c->groups && is_noiommu(c))
		return 0;
	switch (ext) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_TYPE1_NESTING_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return c->type && !sv_container_physical(c);
	case VFIO_UPDATE_VADDR:
		/* Only if no driver holds addresses of its own. */
		if (!c->type)
			return 0;
		for (struct sv_group *g = c->groups; g; g = g->next) {
			if (!sv_group_physical(g))
				return 0;
		}
		return 1;
	default:
		return 0;
	}
}

/* The IOMMU drivers are asked in turn; the last one's error counts. */
static int check_type(const struct sv_container *c, unsigned long type)
{
	if (is_noiommu(c))
		return type == VFIO_NOIOMMU_IOMMU ? 0 : -ENODEV;
	if (type == VFIO_TYPE1_NESTING_IOMMU || type == VFIO_UNMAP_ALL)
		return -EINVAL;
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -ENODEV;
	return 0;
}

static long set_iommu(struct sv_container *c, unsigned long type)
{
	int err;

	if (!c->groups || c->type)
		return -EINVAL;
	err = check_type(c, type);
	if (err)
		return err;
	c->type = (unsigned int)type;
	for (struct sv_group *g = c->groups; g; g = g->next) {
		err = sv_type1_attach(c, g);
		if (!err)
			continue;
		for (struct sv_group *u = c->groups; u != g; u = u->next)
			sv_type1_detach(c, u);
		sv_type1_release(c);
		return err;
	}
	return 0;
}

static long container_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	struct sv_container *c = f->priv;
	long ret;

	pthread_mutex_lock(&sv_vfio_lock);
	if (request == VFIO_GET_API_VERSION)
		ret = VFIO_API_VERSION;
	else if (request == VFIO_CHECK_EXTENSION)
		ret = check_extension(c, (unsigned long)arg);
	else if (request == VFIO_SET_IOMMU)
		ret = set_iommu(c, (unsigned long)arg);
	else if (!c->type)
		ret = -EINVAL;
	else if (c->type == VFIO_NOIOMMU_IOMMU)
		/* NOLINTNEXTLINE(bugprone-branch-clone): the order matters */
		ret = -ENOTTY;
	else if (request == VFIO_IOMMU_GET_INFO)
		ret = sv_type1_get_info(c, arg);
	else if (request == VFIO_IOMMU_MAP_DMA)
		ret = sv_type1_map(c, arg);
	else if (request == VFIO_IOMMU_UNMAP_DMA)
		ret = sv_type1_unmap(c, arg);
	else if (request == VFIO_IOMMU_DIRTY_PAGES)
		ret = sv_type1_dirty_pages(c, arg);
	else
		ret = -ENOTTY;
	pthread_mutex_unlock(&sv_vfio_lock);
	return ret;
}

static int container_mmap(struct sv_file *f, size_t len, int prot, int flags,
			  off_t off, int *ret_fd, off_t *ret_off)
{
	(void)f;
	(void)len;
	(void)prot;
	(void)flags;
	(void)off;
	(void)ret_fd;
	(void)ret_off;
	return -ENODEV;
}

static void container_release(struct sv_file *f)
{
	pthread_mutex_lock(&sv_vfio_lock);
	sv_container_put(f->priv);
	pthread_mutex_unlock(&sv_vfio_lock);
}

static const struct sv_file_ops container_ops = {
	.name = "container",
	.ioctl = container_ioctl,
	.mmap = container_mmap,
	.release = container_release,
};

int sv_container_open(struct sv_file **ret)
{
	struct sv_container *c = calloc(1, sizeof(*c));
	struct sv_file *f;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	sv_area_list_init(&c->list);
	f = sv_file_new(&container_ops, c);
	if (!f) {
		sv_area_list_destroy(&c->list);
		free(c);
		return -ENOMEM;
	}
	pthread_mutex_lock(&sv_vfio_lock);
	c->number = ++nr_made;
	pthread_mutex_unlock(&sv_vfio_lock);
	*ret = f;
	return 0;
}

struct sv_container *sv_container_of_fd(int fd, struct sv_file **ret_file)
{
	struct sv_file *f = sv_file_get(fd);

	if (f && f->ops == &container_ops) {
		*ret_file = f;
		return f->priv;
	}
	if (f)
		sv_file_put(f);
	return NULL;
}

int sv_container_add_group(struct sv_container *c, struct sv_group *g)
{
	int err;

	/* Without an IOMMU there is nothing to share. */
	if (c->groups &&
	    c->groups->dev->config->noiommu != g->dev->config->noiommu)
		return -EPERM;
	/* DMA and pins look for it from the attachment on. */
	g->container = c;
	err = c->type ? sv_type1_attach(c, g) : 0;
	if (err) {
		g->container = NULL;
		return err;
	}
	g->next = c->groups;
	c->groups = g;
	c->refs++;
	return 0;
}

void sv_container_remove_group(struct sv_container *c, struct sv_group *g)
{
	struct sv_group **at = &c->groups;

	/* First: DMA and pins in flight look for the container. */
	if (g->attached)
		sv_type1_detach(c, g);
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	g->next = NULL;
	g->container = NULL;
	if (!c->groups && c->type)
		sv_type1_release(c);
	sv_container_put(c);
}
