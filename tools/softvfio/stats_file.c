/* SPDX-License-Identifier: MIT */
/*
 * Reading SOFTVFIO_STATS by tables; see stats_file.h and jpath.h.  What is
 * judged must be there: a missing key is an error, not a zero.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats_file.h"

#define NR(a)		  (sizeof(a) / sizeof((a)[0]))
#define MAX_DEVICES	  1000u
#define MAX_SPACES	  (1u << 20)
#define MAX_STATES	  (1u << 20)
#define MAX_LOST	  (1u << 20)
#define NUMBER(s, member) JP_FIELD(s, member, #member, jp_read_number)

const char *const sf_states[] = { "ERROR",     "STOP",	       "RUNNING",
				  "STOP_COPY", "RESUMING",     "RUNNING_P2P",
				  "PRE_COPY",  "PRE_COPY_P2P", "UNKNOWN",
				  NULL };

/* Every key of the table, once. */
static int whole(const struct jp *at, const struct jp_field *fields, size_t nr,
		 void *base)
{
	if (jp_object(at, fields, nr, base))
		return -EINVAL;
	for (size_t i = 0; i < nr; i++)
		if (!json_object_get(at->value, fields[i].key))
			return jp_fail(at, "\"%s\" is missing", fields[i].key);
	return 0;
}

/* An array into memory of its own, which @base's owner frees. */
static int array(const struct jp *at, size_t max, size_t size, void **ret,
		 size_t *ret_nr,
		 int (*each)(const struct jp *at, size_t i, void *ctx))
{
	size_t nr = json_array_size(at->value);

	/* More than that is refused before the first is read. */
	if (nr > max)
		nr = 0;
	*ret = calloc(nr + 1, size);
	if (!*ret)
		return jp_fail(at, "out of memory");
	/* Also of an entry that is half read the arrays are freed. */
	*ret_nr = nr;
	return jp_array(at, max, each, *ret);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a member's name takes none */
#define COUNTERS(where)                                                        \
	JP_FIELD(sf_device, where.dma_writes, "dma_writes", jp_read_number),   \
		JP_FIELD(sf_device, where.dma_bytes, "dma_bytes",              \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.marks, "marks", jp_read_number),     \
		JP_FIELD(sf_device, where.reports, "reports", jp_read_number), \
		JP_FIELD(sf_device, where.pages_reported, "pages_reported",    \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.discarded, "discarded",              \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.dropped, "dropped", jp_read_number), \
		JP_FIELD(sf_device, where.faults, "faults", jp_read_number),   \
		JP_FIELD(sf_device, where.violations, "violations",            \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.backlog_dropped, "backlog_dropped",  \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.peer_writes, "peer_writes",          \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.late_writes, "late_writes",          \
			 jp_read_number),                                      \
		JP_FIELD(sf_device, where.pages_saved, "pages_saved",          \
			 jp_read_number)
/* NOLINTEND(bugprone-macro-parentheses) */

/* A table of part of the device has no offset: @into is the device. */
static int read_stopped(const struct jp *at, const struct jp_field *f,
			void *into)
{
	static const struct jp_field fields[] = {
		COUNTERS(stopped),
		JP_FIELD(sf_device, times_stopped, "times", jp_read_number),
	};

	(void)f;
	return whole(at, fields, NR(fields), into);
}

static int read_bytes(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		JP_FIELD(sf_device, bytes_saved, "saved", jp_read_number),
		JP_FIELD(sf_device, bytes_loaded, "loaded", jp_read_number),
	};

	(void)f;
	return whole(at, fields, NR(fields), into);
}

static int read_page(const struct jp *at, size_t i, void *ctx)
{
	struct page {
		uint64_t iova, len;
	} page;
	static const struct jp_field fields[] = {
		JP_FIELD(page, iova, "iova", jp_read_address),
		JP_FIELD(page, len, "len", jp_read_number, .min = 4096,
			 .max = 4096),
	};

	if (whole(at, fields, NR(fields), &page))
		return -EINVAL;
	((uint64_t *)ctx)[i] = page.iova;
	return 0;
}

static int read_lost(const struct jp *at, const struct jp_field *f, void *into)
{
	struct sf_truth *t = (void *)((char *)into - f->offset);

	return array(at, MAX_LOST, sizeof(*t->lost), (void **)&t->lost,
		     &t->nr_lost, read_page);
}

static int read_truth(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		NUMBER(sf_truth, checks),
		NUMBER(sf_truth, checked),
		NUMBER(sf_truth, pages_lost),
		NUMBER(sf_truth, overwritten),
		NUMBER(sf_truth, check_at),
		NUMBER(sf_truth, check_ns),
		JP_FIELD(sf_truth, lost, "lost", read_lost),
	};

	(void)f;
	return whole(at, fields, NR(fields), into);
}

static int read_state(const struct jp *at, size_t i, void *ctx)
{
	const struct jp_field f = { .words = sf_states };
	unsigned int nr;

	if (jp_read_word(at, &f, &nr))
		return -EINVAL;
	((uint8_t *)ctx)[i] = (uint8_t)nr;
	return 0;
}

static int read_states(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	struct sf_device *d = (void *)((char *)into - f->offset);

	return array(at, MAX_STATES, 1, (void **)&d->states, &d->nr_states,
		     read_state);
}

static int read_time(const struct jp *at, size_t i, void *ctx)
{
	const struct jp_field f = { .max = UINT64_MAX };

	return jp_read_number(at, &f, (uint64_t *)ctx + i);
}

static int read_entered(const struct jp *at, const struct jp_field *f,
			void *into)
{
	struct sf_device *d = (void *)((char *)into - f->offset);

	return array(at, MAX_STATES, sizeof(*d->entered), (void **)&d->entered,
		     &d->nr_entered, read_time);
}

static int read_device(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(sf_device, name, "name", jp_read_text, .cap = 64),
		COUNTERS(now),
		NUMBER(sf_device, report_ns),
		NUMBER(sf_device, irqs),
		{ .key = "state_bytes", .read = read_bytes },
		{ .key = "stopped", .read = read_stopped },
		NUMBER(sf_device, loaded),
		JP_FIELD(sf_device, ran, "ran", jp_read_bool),
		JP_FIELD(sf_device, ran_on, "ran_on", jp_read_bool),
		JP_FIELD(sf_device, truth, "truth", read_truth),
		JP_FIELD(sf_device, states, "states", read_states),
		JP_FIELD(sf_device, entered, "entered_ns", read_entered),
	};

	return whole(at, fields, NR(fields), (struct sf_device *)ctx + i);
}

static int read_space(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(sf_space, name, "name", jp_read_text, .cap = 64),
		NUMBER(sf_space, marks),
		NUMBER(sf_space, dirty_reads),
		NUMBER(sf_space, pages_reported),
		NUMBER(sf_space, discarded),
		NUMBER(sf_space, write_faults),
		NUMBER(sf_space, read_ns),
	};

	return whole(at, fields, NR(fields), (struct sf_space *)ctx + i);
}

static int read_devices(const struct jp *at, const struct jp_field *f,
			void *into)
{
	struct stats_file *file = (void *)((char *)into - f->offset);

	return array(at, MAX_DEVICES, sizeof(*file->devices),
		     (void **)&file->devices, &file->nr_devices, read_device);
}

static int read_spaces(const struct jp *at, const struct jp_field *f,
		       void *into)
{
	struct stats_file *file = (void *)((char *)into - f->offset);

	return array(at, MAX_SPACES, sizeof(*file->spaces),
		     (void **)&file->spaces, &file->nr_spaces, read_space);
}

int stats_file_load(struct stats_file **ret, const char *path,
		    struct jp_error *error)
{
	static const struct jp_field fields[] = {
		JP_FIELD(stats_file, devices, "devices", read_devices),
		JP_FIELD(stats_file, spaces, "spaces", read_spaces),
	};
	struct stats_file *f;
	struct jp_error why = { "" };
	json_t *value;
	int r;

	if (jp_parse(path, &value, error))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	r = f ? whole(&(struct jp){ .value = value, .error = &why }, fields,
		      NR(fields), f)
	      : jp_error_set(&why, "out of memory");
	json_decref(value);
	if (r) {
		stats_file_free(f);
		return jp_error_set(error, "%s: %s", path, why.text);
	}
	*ret = f;
	return 0;
}

struct stats_file *stats_file_free(struct stats_file *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; f->devices && i < f->nr_devices; i++) {
		free(f->devices[i].truth.lost);
		free(f->devices[i].states);
		free(f->devices[i].entered);
	}
	free(f->devices);
	free(f->spaces);
	free(f);
	return NULL;
}

const struct sf_device *stats_file_device(const struct stats_file *f,
					  const char *name)
{
	for (size_t i = 0; i < f->nr_devices; i++)
		if (!strcmp(f->devices[i].name, name))
			return &f->devices[i];
	return NULL;
}
