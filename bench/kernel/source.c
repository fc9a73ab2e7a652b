/* SPDX-License-Identifier: MIT */
/* Sources of dirty bits; see source.h. */
#include "bench/kernel/source.h"

#include <errno.h>

#include "bench/kernel/count.h"
#include "bench/kernel/log_words.h"
#include "softvfio/device_priv.h"

/* type1's own limit of a bitmap. */
#define MAX_BITS (UINT64_C(1) << 31)

struct sv_container *call_begin(int container, struct sv_file **ret_file)
{
	struct sv_container *c = sv_container_of_fd(container, ret_file);

	count_call();
	if (c)
		pthread_mutex_lock(&sv_vfio_lock);
	return c;
}

void call_end(struct sv_file *file)
{
	pthread_mutex_unlock(&sv_vfio_lock);
	sv_file_put(file);
}

void window_at(struct window *w, const struct design_info *info, uint64_t first,
	       uint64_t *words)
{
	uint64_t left = info->nr_bits - first;

	w->first = first;
	w->nr_bits = left < WINDOW_BITS ? left : WINDOW_BITS;
	w->shift = (unsigned int)__builtin_ctzll(info->page_size);
	w->iova = info->base + (first << w->shift);
	w->touched = 0;
	w->words = words;
}

int span_of(const struct sv_area_list *list, struct design_info *info)
{
	uint64_t page = info->page_size, last;

	if (!list->nr)
		return -EINVAL;
	info->base = list->areas[0]->iova & -page;
	last = list->areas[list->nr - 1]->last;
	info->nr_bits = (last - info->base) / page + 1;
	return info->nr_bits > MAX_BITS ? -E2BIG : 0;
}

int info_in(struct design_info *ret, const struct design_info *user)
{
	if (sv_copy_in(ret, user, sizeof(*ret)))
		return -EFAULT;
	if (ret->page_size < SV_PAGE_SIZE ||
	    ret->page_size & (ret->page_size - 1))
		return -EINVAL;
	return 0;
}

int outlet_pin(struct outlet *o, uint64_t *user, const struct design_info *info)
{
	void *pinned;
	int err;

	if (o->pinned)
		return user == o->user ? 0 : -EINVAL;
	o->len = (info->nr_bits + 63) / 64 * 8;
	err = sv_alias_map(user, o->len, 1, &pinned, &o->alias);
	if (err)
		return err;
	o->user = user;
	o->pinned = pinned;
	return 0;
}

void outlet_unpin(struct outlet *o)
{
	if (o->pinned && o->alias)
		sv_alias_unmap(o->pinned, o->len);
	o->pinned = NULL;
}

uint64_t source_page_sizes(const struct sv_device *dev)
{
	const struct model_log_config *log = &dev->config->model.log;

	if (!log->present)
		return 0;
	/* Powers of two from the smallest to the largest. */
	return ((log->max_page << 1) - 1) & -log->min_page;
}

bool source_can_borrow(const struct sv_device *dev)
{
	const struct model *m = sv_model(dev);

	return m && log_words_readable(m);
}

static int queue_read(struct source *s, struct window *w, bool forget)
{
	struct model *m = sv_model(s->dev);

	/* Its report forgets. */
	if (!m || !forget)
		return -EINVAL;
	return model_log_report(m, w->iova, w->nr_bits << w->shift, window_set,
				w);
}

static int words_read(struct source *s, struct window *w, bool forget)
{
	struct model *m = sv_model(s->dev);
	int err;

	if (!m)
		return -ENODEV;
	err = log_words_read(m, w->first / 64, (w->nr_bits + 63) / 64, w->words,
			     forget);
	if (!err)
		window_look(w);
	return err;
}

static int words_clear(struct source *s, const struct window *mask)
{
	struct model *m = sv_model(s->dev);
	uint64_t nr_words = (mask->nr_bits + 63) / 64, word, nr;
	int err = 0;

	for (unsigned int page = 0; m && !err && page < WINDOW_PAGES; page++) {
		if (!(mask->touched >> page & 1))
			continue;
		word = (uint64_t)page * WORDS_PER_PAGE;
		nr = nr_words - word;
		if (nr > WORDS_PER_PAGE)
			nr = WORDS_PER_PAGE;
		err = log_words_clear(m, mask->first / 64 + word, nr,
				      mask->words + word);
	}
	return m ? err : -ENODEV;
}

static int device_stop(struct source *s)
{
	struct model *m = sv_model(s->dev);

	return m ? model_log_stop(m) : -ENODEV;
}

static const struct source_ops queue_ops = {
	.read = queue_read,
	.stop = device_stop,
};

static const struct source_ops words_ops = {
	.read = words_read,
	.clear = words_clear,
	.stop = device_stop,
};

int source_start_device(struct source *s, struct sv_device *dev, bool borrow,
			const struct design_info *info)
{
	struct model_range all = { .iova = info->base,
				   .len = info->nr_bits * info->page_size };
	struct model *m = sv_model(dev);
	uint64_t page;
	int err;

	if (!m)
		return -ENODEV;
	err = model_log_start(m, &all, 1, info->page_size, &page);
	if (err)
		return err;
	*s = (struct source){ .ops = &queue_ops, .dev = dev };
	if (page != info->page_size) {
		model_log_stop(m);
		return -EINVAL;
	}
	if (borrow && log_words_readable(m))
		s->ops = &words_ops;
	return 0;
}

int source_read(struct source *s, struct window *w, bool forget)
{
	int err = s->ops->read(s, w, forget);

	if (err && err != -EBUSY)
		window_fill(w, 0, w->nr_bits);
	return err;
}
