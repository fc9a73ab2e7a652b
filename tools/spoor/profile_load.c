/* SPDX-License-Identifier: MIT */
/*
 * Reading a profile: tables of keys, and what single keys cannot tell (order,
 * spread, names that are there twice); see profile_file.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "profile_file.h"

#define NR(a)	   (sizeof(a) / sizeof((a)[0]))
#define SIZE_LIMIT (1ull << 62)

static const char *const origins[] = { "assumed", "measured-sw", "measured-hw",
				       NULL };
/* As enum spoor_tracker_kind, from DEVICE. */
static const char *const kinds[] = { "device", "iommu", "pinned", "process",
				     NULL };

const char *profile_origin_name(enum spoor_origin origin)
{
	return origin == SPOOR_UNMEASURED ? "unmeasured"
					  : origins[origin - SPOOR_ASSUMED];
}

static int fail_at(const struct jp *at, const char *key, const char *text)
{
	return jp_fail(&(struct jp){ at, key, 0,
				     json_object_get(at->value, key),
				     at->error },
		       "%s", text);
}

static int needs(const struct jp *at, const char *key)
{
	if (json_object_get(at->value, key))
		return 0;
	return jp_fail(at, "\"%s\" is missing", key);
}

bool profile_tracker_lists(const struct spoor_profile_tracker *t,
			   const char *name)
{
	for (size_t i = 0; i < t->nr_attached; i++)
		if (!strcmp(t->attached[i], name))
			return true;
	return false;
}

bool profile_tracker_same(const struct spoor_profile_tracker *a,
			  const struct spoor_profile_tracker *b)
{
	if (strcmp(a->name, b->name) != 0 || a->nr_attached != b->nr_attached)
		return false;
	for (size_t i = 0; i < a->nr_attached; i++)
		if (!profile_tracker_lists(b, a->attached[i]))
			return false;
	return true;
}

/* As in the file; a figure that is given by hand may be its median alone. */
struct figure {
	double median, min, max;
	uint64_t samples;
	unsigned int origin;
};

static int read_figure(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	static const struct jp_field fields[] = {
		JP_FIELD(figure, median, "median", jp_read_real),
		JP_FIELD(figure, min, "min", jp_read_real),
		JP_FIELD(figure, max, "max", jp_read_real),
		JP_FIELD(figure, samples, "samples", jp_read_number, .min = 1,
			 .max = 1000000000),
		JP_FIELD(figure, origin, "origin", jp_read_word,
			 .words = origins),
	};
	struct figure v = { .samples = 1 };

	(void)f;
	if (jp_object(at, fields, NR(fields), &v) || needs(at, "median") ||
	    needs(at, "origin"))
		return -EINVAL;
	if (!json_object_get(at->value, "min"))
		v.min = v.median;
	if (!json_object_get(at->value, "max"))
		v.max = v.median;
	if (v.min > v.median)
		return fail_at(at, "min", "must not be above \"median\"");
	if (v.max < v.median)
		return fail_at(at, "max", "must not be below \"median\"");
	*(struct spoor_figure *)into = (struct spoor_figure){
		.median = v.median,
		.min = v.min,
		.max = v.max,
		.samples = (unsigned int)v.samples,
		.origin = SPOOR_ASSUMED + v.origin,
	};
	return 0;
}

static int each_point(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(spoor_dirty_point, interval_ns, "interval_ns",
			 jp_read_number, .min = 1, .max = 1000000000000000000),
		JP_FIELD(spoor_dirty_point, bytes, "bytes", read_figure),
		JP_FIELD(spoor_dirty_point, runs, "runs", read_figure),
		JP_FIELD(spoor_dirty_point, zero_share, "zero_share",
			 read_figure),
	};
	struct spoor_profile_page *page = ctx;
	struct spoor_dirty_point *p = &page->dirty[i];

	page->nr_dirty = i + 1;
	if (jp_object(at, fields, NR(fields), p) || needs(at, "interval_ns") ||
	    needs(at, "bytes"))
		return -EINVAL;
	if (i && p->interval_ns <= p[-1].interval_ns)
		return fail_at(at, "interval_ns",
			       "must be above that of the entry before");
	return 0;
}

/* Room for as many entries as the array has; what is none is refused later. */
static int room_for(const struct jp *at, size_t size, void *ret)
{
	size_t nr = json_array_size(at->value);
	void *room = calloc(nr ? nr : 1, size);

	if (!room)
		return -ENOMEM;
	free(*(void **)ret);
	*(void **)ret = room;
	return 0;
}

static int read_dirty(const struct jp *at, const struct jp_field *f, void *into)
{
	struct spoor_profile_page *page = (void *)((char *)into - f->offset);
	int r = room_for(at, sizeof(*page->dirty), into);

	return r ? r : jp_array(at, PROFILE_POINTS_MAX, each_point, page);
}

static int each_zero(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(spoor_zero_point, after_ns, "after_ns", jp_read_number,
			 .min = 1, .max = 1000000000000000000),
		JP_FIELD(spoor_zero_point, share, "share", read_figure),
	};
	struct spoor_profile *p = ctx;
	struct spoor_zero_point *z = &p->zero_later[i];

	p->nr_zero_later = i + 1;
	if (jp_object(at, fields, NR(fields), z) || needs(at, "after_ns") ||
	    needs(at, "share"))
		return -EINVAL;
	if (i && z->after_ns <= z[-1].after_ns)
		return fail_at(at, "after_ns",
			       "must be above that of the entry before");
	return 0;
}

static int read_zeroes(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	struct spoor_profile *p = (void *)((char *)into - f->offset);
	int r = room_for(at, sizeof(*p->zero_later), into);

	return r ? r : jp_array(at, PROFILE_POINTS_MAX, each_zero, p);
}

static int read_page_size(const struct jp *at, const struct jp_field *f,
			  void *into)
{
	uint64_t v;

	if (jp_read_size(at, f, &v))
		return -EINVAL;
	if (v & (v - 1))
		return jp_fail(at, "must be a power of two");
	*(uint64_t *)into = v;
	return 0;
}

#define PAGE_FIGURE(member)                                                    \
	JP_FIELD(spoor_profile_page, member, #member, read_figure)

static int each_page(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(spoor_profile_page, page_size, "page_size",
			 read_page_size, .min = 4096, .max = SIZE_LIMIT),
		PAGE_FIGURE(start_ns),
		PAGE_FIGURE(stop_ns),
		PAGE_FIGURE(read_clean_ns),
		PAGE_FIGURE(read_page_ns),
		PAGE_FIGURE(read_run_ns),
		PAGE_FIGURE(still_bytes),
		PAGE_FIGURE(digest_ns),
		PAGE_FIGURE(slowdown),
		PAGE_FIGURE(delay),
		JP_FIELD(spoor_profile_page, dirty, "dirty", read_dirty),
	};
	struct spoor_profile_tracker *t = ctx;
	struct spoor_profile_page *p = &t->pages[i];
	int r;

	t->nr_pages = i + 1;
	r = jp_object(at, fields, NR(fields), p);
	if (r || needs(at, "page_size"))
		return r ? r : -EINVAL;
	if (i && p->page_size <= p[-1].page_size)
		return fail_at(at, "page_size",
			       "must be above that of the entry before");
	return 0;
}

static int read_pages(const struct jp *at, const struct jp_field *f, void *into)
{
	struct spoor_profile_tracker *t = (void *)((char *)into - f->offset);
	int r = room_for(at, sizeof(*t->pages), into);

	return r ? r : jp_array(at, PROFILE_POINTS_MAX, each_page, t);
}

static int read_kind(const struct jp *at, const struct jp_field *f, void *into)
{
	unsigned int word;

	if (jp_read_word(at, f, &word))
		return -EINVAL;
	*(enum spoor_tracker_kind *)into = SPOOR_TRACKER_DEVICE + word;
	return 0;
}

static int each_attached(const struct jp *at, size_t i, void *ctx)
{
	const struct jp_field name = {
		.cap = sizeof(*((struct spoor_profile_tracker *)0)->attached)
	};
	struct spoor_profile_tracker *t = ctx;

	t->nr_attached = i + 1;
	if (jp_read_text(at, &name, t->attached[i]))
		return -EINVAL;
	for (size_t k = 0; k < i; k++)
		if (!strcmp(t->attached[k], t->attached[i]))
			return jp_fail(at, "is there twice");
	return 0;
}

static int read_attached(const struct jp *at, const struct jp_field *f,
			 void *into)
{
	struct spoor_profile_tracker *t = (void *)((char *)into - f->offset);
	int r = room_for(at, sizeof(*t->attached), into);

	return r ? r : jp_array(at, PROFILE_DEVICES_MAX, each_attached, t);
}

static int each_tracker(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(spoor_profile_tracker, name, "name", jp_read_text,
			 .cap = sizeof(
				 ((struct spoor_profile_tracker *)0)->name)),
		JP_FIELD(spoor_profile_tracker, kind, "kind", read_kind,
			 .words = kinds),
		JP_FIELD(spoor_profile_tracker, set_bytes, "set_bytes",
			 jp_read_size, .max = SIZE_LIMIT),
		JP_FIELD(spoor_profile_tracker, attached, "attached",
			 read_attached),
		JP_FIELD(spoor_profile_tracker, pages, "pages", read_pages),
	};
	struct spoor_profile *p = ctx;
	struct spoor_profile_tracker *t = &p->trackers[i];
	int r;

	p->nr_trackers = i + 1;
	r = jp_object(at, fields, NR(fields), t);
	if (r || needs(at, "name") || needs(at, "kind"))
		return r ? r : -EINVAL;
	for (size_t k = 0; k < i; k++)
		if (profile_tracker_same(&p->trackers[k], t))
			return fail_at(at, "name", "is there twice");
	return 0;
}

static int read_trackers(const struct jp *at, const struct jp_field *f,
			 void *into)
{
	struct spoor_profile *p = (void *)((char *)into - f->offset);
	int r = room_for(at, sizeof(*p->trackers), into);

	return r ? r : jp_array(at, PROFILE_TRACKERS_MAX, each_tracker, p);
}

#define DEVICE_FIGURE(member)                                                  \
	JP_FIELD(spoor_profile_device, member, #member, read_figure)

static int each_device(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(spoor_profile_device, name, "name", jp_read_text,
			 .cap = sizeof(
				 ((struct spoor_profile_device *)0)->name)),
		JP_FIELD(spoor_profile_device, reach_bytes, "reach_bytes",
			 jp_read_size, .max = SIZE_LIMIT),
		DEVICE_FIGURE(state_bytes),
		DEVICE_FIGURE(stop_ns),
		DEVICE_FIGURE(save_ns),
		DEVICE_FIGURE(load_ns),
		DEVICE_FIGURE(run_ns),
		DEVICE_FIGURE(period_ns),
	};
	struct spoor_profile *p = ctx;
	struct spoor_profile_device *d = &p->devices[i];

	p->nr_devices = i + 1;
	if (jp_object(at, fields, NR(fields), d) || needs(at, "name"))
		return -EINVAL;
	for (size_t k = 0; k < i; k++)
		if (!strcmp(p->devices[k].name, d->name))
			return fail_at(at, "name", "is there twice");
	return 0;
}

static int read_devices(const struct jp *at, const struct jp_field *f,
			void *into)
{
	struct spoor_profile *p = (void *)((char *)into - f->offset);
	int r = room_for(at, sizeof(*p->devices), into);

	return r ? r : jp_array(at, PROFILE_DEVICES_MAX, each_device, p);
}

static int read_taken(const struct jp *at, const struct jp_field *f, void *into)
{
	const char *s = json_string_value(at->value), *end;
	struct tm tm = { 0 };
	time_t t;

	(void)f;
	end = s ? strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	t = end && !*end ? timegm(&tm) : -1;
	if (t < 0)
		return jp_fail(at, "must be a time, as "
				   "\"2026-11-26T10:00:00Z\"");
	*(uint64_t *)into = (uint64_t)t;
	return 0;
}

/* Before anything else: another version's keys may be others. */
static int read_version(const struct jp *at, const struct jp_field *f,
			void *into)
{
	(void)f;
	(void)into;
	if (json_is_integer(at->value) &&
	    json_integer_value(at->value) == PROFILE_VERSION)
		return 0;
	return jp_fail(at, "must be %d, the version that is read here",
		       PROFILE_VERSION);
}

#define TEXT(member)                                                           \
	JP_FIELD(spoor_profile, member, #member, jp_read_text,                 \
		 .cap = sizeof(((struct spoor_profile *)0)->member))
#define FIGURE(member) JP_FIELD(spoor_profile, member, #member, read_figure)

static const struct jp_field profile_fields[] = {
	JP_FIELD(spoor_profile, host, "spoor_profile", read_version),
	TEXT(host),
	TEXT(kernel),
	TEXT(cpu),
	JP_FIELD(spoor_profile, taken_s, "taken", read_taken),
	TEXT(machine),
	JP_FIELD(spoor_profile, machine_hash, "machine_hash", jp_read_address),
	JP_FIELD(spoor_profile, memory_bytes, "memory_bytes", jp_read_size,
		 .max = SIZE_LIMIT),
	FIGURE(zero_share),
	JP_FIELD(spoor_profile, zero_later, "zero_later", read_zeroes),
	FIGURE(send_bytes_per_s),
	FIGURE(zero_bytes_per_s),
	FIGURE(resend_bytes_per_s),
	FIGURE(send_run_ns),
	FIGURE(handover_ns),
	FIGURE(pause_ns),
	FIGURE(resume_ns),
	JP_FIELD(spoor_profile, trackers, "trackers", read_trackers),
	JP_FIELD(spoor_profile, devices, "devices", read_devices),
};

static int read_profile(const struct jp *at, struct spoor_profile *p)
{
	const json_t *version = json_object_get(at->value, "spoor_profile");

	if (json_is_object(at->value) && !version)
		return jp_fail(at, "\"spoor_profile\" is missing: it is no "
				   "profile");
	if (version && read_version(&(struct jp){ at, "spoor_profile", 0,
						  version, at->error },
				    NULL, NULL))
		return -EINVAL;
	return jp_object(at, profile_fields, NR(profile_fields), p);
}

int profile_file_read(struct spoor_profile **ret, const json_t *json,
		      struct jp_error *error)
{
	struct spoor_profile *p = calloc(1, sizeof(*p));
	int r;

	r = p ? read_profile(&(struct jp){ .value = json, .error = error }, p)
	      : -ENOMEM;
	if (r == -ENOMEM)
		jp_error_set(error, "out of memory");
	if (r) {
		profile_file_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int profile_file_load(struct spoor_profile **ret, const char *path,
		      struct jp_error *error)
{
	struct jp_error why = { "" };
	json_t *root = NULL;
	int r = jp_parse(path, &root, error);

	if (r)
		return r;
	r = profile_file_read(ret, root, &why);
	json_decref(root);
	if (r)
		jp_error_set(error, "%s: %s", path, why.text);
	return r;
}

struct spoor_profile *profile_file_free(struct spoor_profile *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->nr_trackers; i++) {
		struct spoor_profile_tracker *t = &p->trackers[i];

		for (size_t k = 0; k < t->nr_pages; k++)
			free(t->pages[k].dirty);
		free(t->pages);
		free(t->attached);
	}
	free(p->trackers);
	free(p->devices);
	free(p->zero_later);
	free(p);
	return NULL;
}
