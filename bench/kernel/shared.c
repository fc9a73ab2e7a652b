/* SPDX-License-Identifier: MIT */
/*
 * Shared bitmaps: one for a container, in a file that the program maps too.
 * Whoever writes memory marks there, and the program takes the bits: there is
 * no call to read.
 *
 * Only what marks each write as it is done can take part: a log that is a
 * bitmap in memory, and emulated devices that mark once.  Pages that are dirty
 * as long as they are pinned would need somebody to set them anew.
 *
 * Threads: sv_vfio_lock held.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/kernel/count.h"
#include "bench/kernel/log_words.h"
#include "bench/kernel/source.h"
#include "softvfio/device_priv.h"
#include "softvfio/real.h"

struct shared {
	struct sv_container *container;
	struct design_info info;
	uint64_t *words;
	uint64_t len; /* bytes */
	struct source *sources; /* the devices' */
	unsigned int nr_sources;
	struct source pins;
	size_t nr_areas; /* mappings that mark in the words */
	struct shared *next;
};

static struct shared *all;

static struct shared **find(const struct sv_container *c)
{
	struct shared **at = &all;

	while (*at && (*at)->container != c)
		at = &(*at)->next;
	return at;
}

/* Who takes part, and what granule all of them have. */
static int check(const struct sv_container *c, struct design_info *info,
		 bool *ret_pins)
{
	uint64_t sizes = UINT64_MAX & -SV_PAGE_SIZE;

	for (const struct sv_group *g = c->groups; g; g = g->next) {
		const struct model_config *config = &g->dev->config->model;

		if (source_page_sizes(g->dev)) {
			if (!source_can_borrow(g->dev))
				return -EOPNOTSUPP;
			sizes &= source_page_sizes(g->dev);
		} else if (g->dev->config->emulated) {
			if (config->pin_dirty != MODEL_PIN_MARK_ONCE)
				return -EOPNOTSUPP;
			*ret_pins = true;
			sizes &= SV_PAGE_SIZE;
		}
	}
	sizes &= -info->page_size;
	if (!sizes)
		return -EOPNOTSUPP;
	info->page_size = sizes & -sizes;
	return 0;
}

/* Of each mapping: the shared words, which must begin where it does. */
static int share_pins(struct shared *s)
{
	struct sv_area_list *list = &s->container->list;
	int err = source_start_pins(&s->pins, s->container);

	if (err)
		return err;
	pthread_rwlock_wrlock(&list->lock);
	for (size_t i = 0; i < list->nr && !err; i++) {
		struct sv_type1_dma *dma = list->areas[i]->priv;
		uint64_t bit =
			(list->areas[i]->iova - s->info.base) / SV_PAGE_SIZE;

		if (bit % 64) {
			err = -EOPNOTSUPP;
			break;
		}
		free(dma->bitmap);
		dma->bitmap = s->words + bit / 64;
		s->nr_areas++;
	}
	pthread_rwlock_unlock(&list->lock);
	return err;
}

static int share_logs(struct shared *s)
{
	int err = 0;

	for (struct sv_group *g = s->container->groups; g && !err;
	     g = g->next) {
		if (!source_page_sizes(g->dev))
			continue;
		err = source_start_device(&s->sources[s->nr_sources], g->dev,
					  true, &s->info);
		if (err)
			break;
		s->nr_sources++;
		err = log_words_share(sv_model(g->dev), s->words);
	}
	return err;
}

/* Nobody marks in the words any more when this returns. */
static int stop(struct shared *s)
{
	struct sv_area_list *list = &s->container->list;
	int ret = 0, err;

	for (unsigned int i = 0; i < s->nr_sources; i++) {
		struct model *m = sv_model(s->sources[i].dev);

		err = m ? log_words_share(m, NULL) : -ENODEV;
		if (!err)
			err = s->sources[i].ops->stop(&s->sources[i]);
		if (!ret)
			ret = err;
	}
	/* They have none now, which STOP takes. */
	pthread_rwlock_wrlock(&list->lock);
	for (size_t i = 0; i < s->nr_areas && i < list->nr; i++)
		((struct sv_type1_dma *)list->areas[i]->priv)->bitmap = NULL;
	pthread_rwlock_unlock(&list->lock);
	if (s->pins.ops) {
		err = s->pins.ops->stop(&s->pins);
		if (!ret)
			ret = err;
	}
	if (s->words) {
		REAL(munmap)(s->words, s->len);
		count_mapped(-(int64_t)s->len);
	}
	sv_container_put(s->container);
	free(s->sources);
	free(s);
	return ret;
}

static int map_words(struct shared *s, int fd)
{
	void *words;

	/* A log may have a word more than there are bits for. */
	s->len = ((s->info.nr_bits + 63) / 64 + 1) * 8;
	if (ftruncate(fd, (off_t)s->len))
		return -errno;
	words = REAL(mmap)(NULL, s->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   0);
	if (words == MAP_FAILED)
		return -errno;
	s->words = words;
	count_mapped((int64_t)s->len);
	return 0;
}

static int start(struct shared *s, struct design_info *user, int fd)
{
	unsigned int nr = 0;
	bool pins = false;
	int err = info_in(&s->info, user);

	for (const struct sv_group *g = s->container->groups; g; g = g->next)
		nr++;
	/* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): it has */
	s->sources = calloc(nr, sizeof(*s->sources));
	if (!s->sources)
		return -ENOMEM;
	if (!err)
		err = check(s->container, &s->info, &pins);
	if (!err)
		err = span_of(&s->container->list, &s->info);
	if (!err)
		err = map_words(s, fd);
	if (!err)
		err = share_logs(s);
	if (!err && pins)
		err = share_pins(s);
	return err ? err : sv_copy_out(user, &s->info, sizeof(s->info));
}

static int start_locked(struct sv_container *c, struct design_info *info,
			int fd)
{
	struct shared *s;
	int err;

	if (!c->type || !c->groups)
		return -EINVAL;
	if (*find(c) || c->tracking)
		return -EBUSY;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->container = c;
	c->refs++;
	err = start(s, info, fd);
	if (err) {
		stop(s);
		return err;
	}
	s->next = all;
	all = s;
	return 0;
}

int shared_start(int container, struct design_info *info, int *ret_fd)
{
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	int err, fd;

	if (!c)
		return -EBADF;
	fd = memfd_create("dirty", MFD_CLOEXEC);
	err = fd < 0 ? -errno : start_locked(c, info, fd);
	call_end(file);
	if (!err)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return err;
}

int shared_stop(int container)
{
	struct sv_file *file;
	struct sv_container *c = call_begin(container, &file);
	struct shared **at, *s;
	int err = -EINVAL;

	if (!c)
		return -EBADF;
	at = find(c);
	s = *at;
	if (s) {
		*at = s->next;
		err = stop(s);
	}
	call_end(file);
	return err;
}
