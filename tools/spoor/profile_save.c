/* SPDX-License-Identifier: MIT */
/*
 * Writing a profile; see profile_file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "profile_file.h"

void profile_tracker_say(char *buf, size_t len, const char *name,
			 char (*attached)[64], size_t nr)
{
	size_t used = (size_t)snprintf(buf, len, "%s", name);

	for (size_t i = 0; i < nr && used < len; i++)
		used += (size_t)snprintf(buf + used, len - used, "%s%s",
					 i ? ", " : " with ", attached[i]);
}

/* Adds to an object; once something failed, nothing more is. */
static void put(json_t *to, const char *key, json_t *value, int *err)
{
	if (json_object_set_new(to, key, value) && !*err)
		*err = -EINVAL;
}

static void put_text(json_t *to, const char *key, const char *text, int *err)
{
	if (text[0])
		put(to, key, json_string(text), err);
}

static void put_number(json_t *to, const char *key, uint64_t v, int *err)
{
	put(to, key, v > INT64_MAX ? NULL : json_integer((json_int_t)v), err);
}

static void put_figure(json_t *to, const char *key,
		       const struct spoor_figure *f, int *err)
{
	if (f->origin == SPOOR_UNMEASURED)
		return;
	/* No NaN: json_real() does not take one. */
	put(to, key,
	    json_pack("{s:o, s:o, s:o, s:I, s:s}", "median",
		      json_real(f->median), "min", json_real(f->min), "max",
		      json_real(f->max), "samples", (json_int_t)f->samples,
		      "origin", profile_origin_name(f->origin)),
	    err);
}

static json_t *page_json(const struct spoor_profile_page *p, int *err)
{
	json_t *o = json_object(), *dirty = json_array();

	put_number(o, "page_size", p->page_size, err);
	put_figure(o, "start_ns", &p->start_ns, err);
	put_figure(o, "stop_ns", &p->stop_ns, err);
	put_figure(o, "read_clean_ns", &p->read_clean_ns, err);
	put_figure(o, "read_page_ns", &p->read_page_ns, err);
	put_figure(o, "read_run_ns", &p->read_run_ns, err);
	put_figure(o, "still_bytes", &p->still_bytes, err);
	put_figure(o, "digest_ns", &p->digest_ns, err);
	put_figure(o, "slowdown", &p->slowdown, err);
	put_figure(o, "delay", &p->delay, err);
	for (size_t i = 0; i < p->nr_dirty; i++) {
		json_t *point = json_object();

		put_number(point, "interval_ns", p->dirty[i].interval_ns, err);
		put_figure(point, "bytes", &p->dirty[i].bytes, err);
		put_figure(point, "runs", &p->dirty[i].runs, err);
		put_figure(point, "zero_share", &p->dirty[i].zero_share, err);
		if (json_array_append_new(dirty, point) && !*err)
			*err = -ENOMEM;
	}
	put(o, "dirty", dirty, err);
	return o;
}

static json_t *tracker_json(const struct spoor_profile_tracker *t, int *err)
{
	json_t *o = json_object(), *pages = json_array();
	json_t *attached = t->nr_attached ? json_array() : NULL;

	put_text(o, "name", t->name, err);
	put_text(o, "kind", spoor_tracker_kind_name(t->kind), err);
	if (t->set_bytes)
		put_number(o, "set_bytes", t->set_bytes, err);
	for (size_t i = 0; i < t->nr_attached; i++)
		if (json_array_append_new(attached,
					  json_string(t->attached[i])))
			*err = -ENOMEM;
	if (attached)
		put(o, "attached", attached, err);
	for (size_t i = 0; i < t->nr_pages; i++)
		if (json_array_append_new(pages, page_json(&t->pages[i], err)))
			*err = -ENOMEM;
	put(o, "pages", pages, err);
	return o;
}

static json_t *device_json(const struct spoor_profile_device *d, int *err)
{
	json_t *o = json_object();

	put_text(o, "name", d->name, err);
	put_number(o, "reach_bytes", d->reach_bytes, err);
	put_figure(o, "state_bytes", &d->state_bytes, err);
	put_figure(o, "stop_ns", &d->stop_ns, err);
	put_figure(o, "save_ns", &d->save_ns, err);
	put_figure(o, "load_ns", &d->load_ns, err);
	put_figure(o, "run_ns", &d->run_ns, err);
	put_figure(o, "period_ns", &d->period_ns, err);
	return o;
}

static void put_taken(json_t *to, uint64_t taken_s, int *err)
{
	time_t t = (time_t)taken_s;
	char text[40];
	struct tm tm;

	if (!t || !gmtime_r(&t, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return;
	put(to, "taken", json_string(text), err);
}

static void put_hash(json_t *to, uint64_t hash, int *err)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, hash);
	if (hash)
		put(to, "machine_hash", json_string(text), err);
}

static json_t *zeroes_json(const struct spoor_profile *p, int *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nr_zero_later; i++) {
		json_t *point = json_object();

		put_number(point, "after_ns", p->zero_later[i].after_ns, err);
		put_figure(point, "share", &p->zero_later[i].share, err);
		if (json_array_append_new(list, point) && !*err)
			*err = -ENOMEM;
	}
	return list;
}

static json_t *profile_json(const struct spoor_profile *p, int *err)
{
	json_t *o = json_object();
	json_t *trackers = json_array(), *devices = json_array();

	put_number(o, "spoor_profile", PROFILE_VERSION, err);
	put_text(o, "host", p->host, err);
	put_text(o, "kernel", p->kernel, err);
	put_text(o, "cpu", p->cpu, err);
	put_taken(o, p->taken_s, err);
	put_text(o, "machine", p->machine, err);
	put_hash(o, p->machine_hash, err);
	put_number(o, "memory_bytes", p->memory_bytes, err);
	put_figure(o, "zero_share", &p->zero_share, err);
	if (p->nr_zero_later)
		put(o, "zero_later", zeroes_json(p, err), err);
	put_figure(o, "send_bytes_per_s", &p->send_bytes_per_s, err);
	put_figure(o, "zero_bytes_per_s", &p->zero_bytes_per_s, err);
	put_figure(o, "resend_bytes_per_s", &p->resend_bytes_per_s, err);
	put_figure(o, "send_run_ns", &p->send_run_ns, err);
	put_figure(o, "handover_ns", &p->handover_ns, err);
	put_figure(o, "pause_ns", &p->pause_ns, err);
	put_figure(o, "resume_ns", &p->resume_ns, err);
	for (size_t i = 0; i < p->nr_trackers; i++)
		if (json_array_append_new(trackers,
					  tracker_json(&p->trackers[i], err)))
			*err = -ENOMEM;
	for (size_t i = 0; i < p->nr_devices; i++)
		if (json_array_append_new(devices,
					  device_json(&p->devices[i], err)))
			*err = -ENOMEM;
	put(o, "trackers", trackers, err);
	put(o, "devices", devices, err);
	return o;
}

static json_t *or_none(json_t *o, int err)
{
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}

json_t *profile_file_json(const struct spoor_profile *p)
{
	int err = 0;
	json_t *o = profile_json(p, &err);

	return or_none(o, err);
}

json_t *profile_page_json(const struct spoor_profile_page *p)
{
	int err = 0;
	json_t *o = page_json(p, &err);

	return or_none(o, err);
}

json_t *profile_device_json(const struct spoor_profile_device *d)
{
	int err = 0;
	json_t *o = device_json(d, &err);

	return or_none(o, err);
}

static int write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	int r = 0;

	if (!file)
		return -errno;
	errno = 0;
	if (fputs(text, file) < 0 || fputc('\n', file) < 0 || fflush(file))
		r = errno ? -errno : -EIO;
	/* Its name is to be had by what is whole; pipes have nothing to sync. */
	if (!r && fsync(fileno(file)) && errno != EINVAL && errno != EROFS)
		r = -errno;
	if (fclose(file) && !r)
		r = errno ? -errno : -EIO;
	return r;
}

/* Where it is written first, and the name it gets then: not a link's. */
struct names {
	char real[PATH_MAX], fresh[PATH_MAX + 16];
};

static int name_them(struct names *n, const char *path)
{
	if (!realpath(path, n->real) && snprintf(n->real, sizeof(n->real), "%s",
						 path) >= (int)sizeof(n->real))
		return -ENAMETOOLONG;
	snprintf(n->fresh, sizeof(n->fresh), "%s.new", n->real);
	return 0;
}

int profile_file_can_save(const char *path)
{
	struct names n;
	struct stat st;
	int fd, r;

	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	r = name_them(&n, path);
	if (r)
		return r;
	fd = open(n.fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	close(fd);
	unlink(n.fresh);
	return 0;
}

/* Beside it, then in its place. */
static int replace(const char *path, const char *text)
{
	struct names n;
	struct stat st;
	int r = name_them(&n, path);

	if (r)
		return r;
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return write_text(path, text);
	r = write_text(n.fresh, text);
	if (!r && rename(n.fresh, n.real))
		r = -errno;
	if (r)
		unlink(n.fresh);
	return r;
}

int profile_file_save(const struct spoor_profile *p, const char *path)
{
	json_t *json = profile_file_json(p);
	char *text = NULL;
	int r = -EINVAL;

	if (json) {
		text = json_dumps(json,
				  JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		r = text ? replace(path, text) : -ENOMEM;
	}
	json_decref(json);
	free(text);
	return r;
}
