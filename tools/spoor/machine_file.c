/* SPDX-License-Identifier: MIT */
/*
 * Loading a machine file: the document's own keys, lists, files relative to
 * it.  The parts' keys are in machine_keys.c, what joins them in
 * machine_check.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine_file.h"
#include "units.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

/* Room for as many entries as the array has; an array is checked later. */
static void *room_for(const struct jp *at, size_t size)
{
	size_t nr = json_array_size(at->value);

	return calloc(nr ? nr : 1, size);
}

static int each_region(const struct jp *at, size_t i, void *ctx)
{
	struct machine_file *mf = ctx;

	mf->nr_memory = i + 1;
	return mf_read_region(at, &mf->memory[i]);
}

static int read_memory(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	struct machine_file *mf = (void *)((char *)into - f->offset);

	mf->memory = room_for(at, sizeof(*mf->memory));
	return mf->memory ? jp_array(at, 64, each_region, mf) : -ENOMEM;
}

static int each_space(const struct jp *at, size_t i, void *ctx)
{
	struct machine_file *mf = ctx;

	mf->nr_spaces = i + 1;
	return mf_read_space(at, &mf->spaces[i]);
}

static int read_spaces(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	struct machine_file *mf = (void *)((char *)into - f->offset);

	mf->spaces = room_for(at, sizeof(*mf->spaces));
	return mf->spaces ? jp_array(at, MF_DEVICES_MAX, each_space, mf)
			  : -ENOMEM;
}

static int each_device(const struct jp *at, size_t i, void *ctx)
{
	struct machine_file *mf = ctx;

	mf->nr_devices = i + 1;
	return mf_read_device(at, i, &mf->devices[i]);
}

static int read_devices(const struct jp *at, const struct jp_field *f,
			void *into)
{
	struct machine_file *mf = (void *)((char *)into - f->offset);

	mf->devices = room_for(at, sizeof(*mf->devices));
	return mf->devices ? jp_array(at, MF_DEVICES_MAX, each_device, mf)
			   : -ENOMEM;
}

static int each_writer(const struct jp *at, size_t i, void *ctx)
{
	struct machine_file *mf = ctx;

	mf->nr_writers = i + 1;
	return mf_read_writer(at, &mf->writers[i]);
}

static int read_writers(const struct jp *at, const struct jp_field *f,
			void *into)
{
	struct machine_file *mf = (void *)((char *)into - f->offset);

	mf->writers = room_for(at, sizeof(*mf->writers));
	return mf->writers ? jp_array(at, 64, each_writer, mf) : -ENOMEM;
}

static int read_cpu(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		{ .key = "writers",
		  .read = read_writers,
		  .offset = offsetof(struct machine_file, writers) },
	};

	return jp_object(at, fields, NR(fields), (char *)into - f->offset);
}

static int read_channels(const struct jp *at, const struct jp_field *f,
			 void *into)
{
	(void)f;
	if (json_integer_value(at->value) != 1)
		return jp_fail(at, "this version uses 1 channel");
	*(uint64_t *)into = 1;
	return 0;
}

static int read_link(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		{ .key = "rate",
		  .read = jp_read_link_rate,
		  .offset = offsetof(struct machine_file, link_rate) },
		{ .key = "latency_us",
		  .read = jp_read_number,
		  .max = 10000000,
		  .offset = offsetof(struct machine_file, link_latency_us) },
		{ .key = "channels",
		  .read = read_channels,
		  .offset = offsetof(struct machine_file, link_channels) },
	};

	return jp_object(at, fields, NR(fields), (char *)into - f->offset);
}

static int read_run(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		{ .key = "before_ms",
		  .read = jp_read_number,
		  .max = 86400000,
		  .offset = offsetof(struct machine_file, before_ms) },
		{ .key = "after_ms",
		  .read = jp_read_number,
		  .max = 86400000,
		  .offset = offsetof(struct machine_file, after_ms) },
	};

	return jp_object(at, fields, NR(fields), (char *)into - f->offset);
}

int machine_file_override(struct machine_file *mf, const char *key,
			  const char *value, const char *reason)
{
	struct mf_policy *p = &mf->policy;
	struct mf_override *o = NULL;

	for (size_t i = 0; i < p->nr_overrides && !o; i++)
		if (!strcmp(p->overrides[i].key, key))
			o = &p->overrides[i];
	if (!o) {
		o = reallocarray(p->overrides, p->nr_overrides + 1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		p->overrides = o;
		o = &p->overrides[p->nr_overrides++];
	}
	snprintf(o->key, sizeof(o->key), "%s", key);
	snprintf(o->value, sizeof(o->value), "%s", value);
	snprintf(o->reason, sizeof(o->reason), "%s", reason);
	return 0;
}

bool machine_policy_is_file(const char *policy)
{
	const size_t len = strlen(policy);

	return strchr(policy, '/') ||
	       (len > 5 && !strcmp(policy + len - 5, ".json"));
}

/* A policy's, or the file of a plan. */
static int read_policy_name(const struct jp *at, const struct jp_field *f,
			    void *into)
{
	struct mf_policy *p = (void *)((char *)into - f->offset);
	const struct jp_field path = { .cap = sizeof(p->file) };
	const struct jp_field name = { .cap = sizeof(p->name) };

	p->file[0] = 0;
	if (json_is_string(at->value) &&
	    machine_policy_is_file(json_string_value(at->value)))
		return jp_read_text(at, &path, p->file);
	return jp_read_text(at, &name, p->name);
}

static int each_gap_device(const struct jp *at, size_t i, void *ctx)
{
	const struct jp_field name = { .cap = MF_NAME_MAX };
	struct mf_policy *p = ctx;

	p->nr_gap_devices = i + 1;
	return jp_read_text(at, &name, p->gap_devices[i]);
}

static int read_gap_devices(const struct jp *at, const struct jp_field *f,
			    void *into)
{
	struct mf_policy *p = (void *)((char *)into - f->offset);

	p->gap_devices = room_for(at, sizeof(*p->gap_devices));
	return p->gap_devices ? jp_array(at, MF_DEVICES_MAX, each_gap_device, p)
			      : -ENOMEM;
}

static int read_limits(const struct jp *at, const struct jp_field *f,
		       void *into)
{
#define LIMIT(member, name)                                                    \
	JP_FIELD(mf_policy, member, name, jp_read_number, .min = 1,            \
		 .max = 86400000)
	static const struct jp_field fields[] = {
		LIMIT(limit_downtime_ms, "downtime_ms"),
		LIMIT(limit_total_ms, "total_ms"),
		LIMIT(limit_gap_ms, "service_gap_ms"),
	};

	return jp_object(at, fields, NR(fields), (char *)into - f->offset);
}

/* "nic0.page_size": a line of policy; the rest has fixed keys. */
static int read_policy(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	static const char *const objectives[] = { "downtime", "total", "bytes",
						  "service-gap", NULL };
	static const struct jp_field fields[] = {
		JP_FIELD(mf_policy, name, "name", read_policy_name),
		JP_FIELD(mf_policy, gap_devices, "gap_devices",
			 read_gap_devices),
		JP_FIELD(mf_policy, limit_downtime_ms, "limits", read_limits),
		{ .key = "objective",
		  .read = jp_read_word,
		  .words = objectives,
		  .offset = offsetof(struct mf_policy, objective) },
		{ .key = "downtime_ms",
		  .read = jp_read_number,
		  .min = 1,
		  .max = 3600000,
		  .offset = offsetof(struct mf_policy, downtime_ms) },
		{ .key = "max_rounds",
		  .read = jp_read_number,
		  .min = 1,
		  .max = 1000,
		  .offset = offsetof(struct mf_policy, max_rounds) },
		{ .key = "strict_downtime",
		  .read = jp_read_bool,
		  .offset = offsetof(struct mf_policy, strict_downtime) },
		{ .key = "allow_unsafe_p2p",
		  .read = jp_read_bool,
		  .offset = offsetof(struct mf_policy, allow_unsafe_p2p) },
	};
	struct machine_file *mf = (void *)((char *)into - f->offset);
	json_t *rest = json_object(), *value;
	const char *key;
	int r = 0;

	if (!rest)
		return -ENOMEM;
	if (!json_is_object(at->value)) {
		json_decref(rest);
		return jp_fail(at, "must be an object");
	}
	json_object_foreach((json_t *)at->value, key, value)
	{
		struct jp here = { at, key, 0, value, at->error };
		char text[64];

		if (!strchr(key, '.')) {
			r = json_object_set(rest, key, value) ? -ENOMEM : 0;
		} else {
			const struct jp_field line = { .cap = sizeof(text) };

			r = jp_read_text(&here, &line, text);
			if (!r)
				r = machine_file_override(mf, key, text, "");
		}
		if (r)
			break;
	}
	if (!r)
		r = jp_object(&(struct jp){ at->up, at->key, at->index, rest,
					    at->error },
			      fields, NR(fields), &mf->policy);
	json_decref(rest);
	return r;
}

static const struct jp_field file_fields[] = {
	{ .key = "memory",
	  .read = read_memory,
	  .offset = offsetof(struct machine_file, memory) },
	{ .key = "spaces",
	  .read = read_spaces,
	  .offset = offsetof(struct machine_file, spaces) },
	{ .key = "devices",
	  .read = read_devices,
	  .offset = offsetof(struct machine_file, devices) },
	{ .key = "cpu", .read = read_cpu },
	{ .key = "link", .read = read_link },
	{ .key = "policy",
	  .read = read_policy,
	  .offset = offsetof(struct machine_file, policy) },
	{ .key = "run", .read = read_run },
	{ .key = "seed",
	  .read = jp_read_number,
	  .offset = offsetof(struct machine_file, seed) },
};

static int default_space(struct machine_file *mf)
{
	if (mf->nr_spaces)
		return 0;
	free(mf->spaces);
	mf->spaces = calloc(1, sizeof(*mf->spaces));
	if (!mf->spaces)
		return -ENOMEM;
	mf->nr_spaces = 1;
	mf->spaces[0] = (struct mf_space){ .name = "main",
					   .backend = MF_IOMMUFD,
					   .iommu_page = MF_PAGE,
					   .dirty_tracking = true };
	return 0;
}

static struct machine_file *with_defaults(const char *path)
{
	struct machine_file *mf = calloc(1, sizeof(*mf));

	if (!mf)
		return NULL;
	snprintf(mf->path, sizeof(mf->path), "%s", path);
	snprintf(mf->policy.name, sizeof(mf->policy.name), "auto");
	mf->policy.downtime_ms = 300;
	mf->link_channels = 1;
	mf->before_ms = 1000;
	mf->after_ms = 1000;
	mf->seed = 1;
	return mf;
}

/* Files are relative to the machine file. */
static int resolve_files(struct machine_file *mf, struct jp_error *error)
{
	const char *slash = strrchr(mf->path, '/');

	for (size_t i = 0; i < mf->nr_memory && slash; i++) {
		struct mf_region *r = &mf->memory[i];
		char full[PATH_MAX];
		int n;

		if (r->contents != MF_CONTENTS_FILE || r->file[0] == '/')
			continue;
		n = snprintf(full, sizeof(full), "%.*s/%s",
			     (int)(slash - mf->path), mf->path, r->file);
		if (n < 0 || (size_t)n >= sizeof(full))
			return jp_error_set(error, "%s: %s", r->file,
					    "path too long");
		memcpy(r->file, full, (size_t)n + 1);
	}
	if (slash && mf->policy.file[0] && mf->policy.file[0] != '/') {
		char full[PATH_MAX];
		int n = snprintf(full, sizeof(full), "%.*s/%s",
				 (int)(slash - mf->path), mf->path,
				 mf->policy.file);

		if (n < 0 || (size_t)n >= sizeof(full))
			return jp_error_set(error, "%s: path too long",
					    mf->policy.file);
		memcpy(mf->policy.file, full, (size_t)n + 1);
	}
	return 0;
}

int machine_file_load(struct machine_file **ret, const char *path,
		      struct jp_error *error)
{
	struct machine_file *mf = NULL;
	struct jp_error why = { "" };
	json_t *root = NULL;
	int r;

	r = jp_parse(path, &root, error);
	if (r)
		return r;
	mf = with_defaults(path);
	r = mf ? jp_object(&(struct jp){ .value = root, .error = &why },
			   file_fields, NR(file_fields), mf)
	       : -ENOMEM;
	json_decref(root);
	if (!r)
		r = default_space(mf);
	if (!r)
		r = resolve_files(mf, &why);
	if (!r)
		r = machine_check(mf, &why);
	if (r) {
		machine_file_free(mf);
		return jp_error_set(error, "%s: %s", path,
				    r == -ENOMEM ? "out of memory" : why.text);
	}
	*ret = mf;
	return 0;
}

int machine_file_for_device(struct machine_file **ret, const char *spec)
{
	struct machine_file *mf = with_defaults(spec);
	const char *base = strrchr(spec, '/');

	if (!mf || default_space(mf))
		goto out_of_memory;
	/* A kernel without iommufd has groups and containers only. */
	if (access("/dev/iommu", F_OK))
		mf->spaces[0].backend = MF_TYPE1;
	mf->devices = calloc(1, sizeof(*mf->devices));
	/* Something to map: trackers are tried on it. */
	mf->memory = calloc(1, sizeof(*mf->memory));
	if (!mf->devices || !mf->memory)
		goto out_of_memory;
	mf->memory[0].size = 16 << 20;
	mf->nr_memory = 1;
	mf->nr_devices = 1;
	mf->devices[0] = (struct mf_device){ .model = MF_NO_MODEL };
	snprintf(mf->devices[0].name, MF_NAME_MAX, "%.63s",
		 base ? base + 1 : spec);
	snprintf(mf->devices[0].vfio, sizeof(mf->devices[0].vfio), "%s", spec);
	*ret = mf;
	return 0;

out_of_memory:
	machine_file_free(mf);
	return -ENOMEM;
}

bool machine_has_models(const struct machine_file *mf)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (mf->devices[i].model != MF_NO_MODEL)
			return true;
	return false;
}

struct machine_file *machine_file_free(struct machine_file *mf)
{
	if (!mf)
		return NULL;
	free(mf->memory);
	free(mf->spaces);
	free(mf->devices);
	free(mf->writers);
	free(mf->policy.overrides);
	free(mf->policy.gap_devices);
	free(mf);
	return NULL;
}
