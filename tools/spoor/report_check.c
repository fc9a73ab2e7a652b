/* SPDX-License-Identifier: MIT */
/*
 * What the page relies on, held against a file: the tables below are all that
 * its JavaScript reads, so that it need not look again.
 *
 * Threads: none shared.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "report.h"
#include "units.h"

enum kind {
	TEXT,
	BOOL,
	COUNT, /* a whole number, 0 or more */
	AMOUNT, /* a number, 0 or more */
	TIME, /* a number: before the migration's begin it is negative */
	SIZE, /* bytes, or as a machine file has them */
	ADDRESS,
	OBJECT,
	OBJECTS,
	TEXTS,
	COUNTS,
	KINDS,
};

#define NEEDED	 1u
#define NULLABLE 2u

struct shape {
	const char *key; /* NULL: the last */
	enum kind kind;
	unsigned int flags;
	size_t max; /* of an array */
	const struct shape *of;
	int (*also)(const struct jp *at); /* of each object */
};

#define DEVICES_MAX 4096u
#define BUCKETS_MAX 65536u

static const struct shape suspend[] = {
	{ "when", TEXT, 0, 0, NULL, NULL },
	{ "how", TEXT, 0, 0, NULL, NULL },
	{ 0 },
};

/* Of a plan, a result, and a run of a comparison. */
static const struct shape device[] = {
	{ "name", TEXT, NEEDED, 0, NULL, NULL },
	{ "tracker", TEXT, 0, 0, NULL, NULL },
	{ "page_size", COUNT, NULLABLE, 0, NULL, NULL },
	{ "space", TEXT, 0, 0, NULL, NULL },
	{ "suspend", OBJECT, 0, 0, suspend, NULL },
	{ "covered_by", TEXT, 0, 0, NULL, NULL },
	{ "reason", TEXT, 0, 0, NULL, NULL },
	{ "dirty_pages", COUNT, 0, 0, NULL, NULL },
	{ "state_bytes", COUNT, 0, 0, NULL, NULL },
	{ "service_gap_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "service_gap_begin_ms", TIME, NULLABLE, 0, NULL, NULL },
	{ "service_gap_end_ms", TIME, NULLABLE, 0, NULL, NULL },
	{ "predicted_service_gap_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ 0 },
};

static const struct shape plan[] = {
	{ "policy", TEXT, NULLABLE, 0, NULL, NULL },
	{ "stop_copy", BOOL, 0, 0, NULL, NULL },
	{ "devices", OBJECTS, NEEDED, DEVICES_MAX, device, NULL },
	{ "blockers", TEXTS, 0, DEVICES_MAX, NULL, NULL },
	{ 0 },
};

static const struct shape dirty[] = {
	{ "tracker", TEXT, NEEDED, 0, NULL, NULL },
	{ "pages", COUNT, NEEDED, 0, NULL, NULL },
	{ "read_ms", AMOUNT, 0, 0, NULL, NULL },
	{ 0 },
};

/* As many counts as the region has buckets. */
static int check_area(const struct jp *at)
{
	const json_t *pages = json_object_get(at->value, "pages");
	const struct jp here = { at, "pages", 0, pages, at->error };
	const json_int_t len =
		json_integer_value(json_object_get(at->value, "len"));
	const json_int_t bucket =
		json_integer_value(json_object_get(at->value, "bucket"));
	const size_t nr = json_array_size(pages);

	if (len <= 0 || bucket < 4096)
		return jp_fail(at, "len must be above 0, bucket 4096 or more");
	if (nr != (uint64_t)((len - 1) / bucket) + 1)
		return jp_fail(&here,
			       "%zu counts: must be one for each bucket of len",
			       nr);
	return 0;
}

static const struct shape area[] = {
	{ "iova", ADDRESS, NEEDED, 0, NULL, NULL },
	{ "len", COUNT, NEEDED, 0, NULL, NULL },
	{ "bucket", COUNT, NEEDED, 0, NULL, NULL },
	{ "pages", COUNTS, NEEDED, BUCKETS_MAX, NULL, NULL },
	{ 0 },
};

static const struct shape round_shape[] = {
	{ "n", COUNT, NEEDED, 0, NULL, NULL },
	{ "ms", AMOUNT, NEEDED, 0, NULL, NULL },
	{ "bytes", COUNT, NEEDED, 0, NULL, NULL },
	{ "rate", AMOUNT, 0, 0, NULL, NULL },
	{ "dirty", OBJECTS, NEEDED, DEVICES_MAX, dirty, NULL },
	{ "begin_ms", AMOUNT, 0, 0, NULL, NULL },
	{ "stopped", BOOL, 0, 0, NULL, NULL },
	{ "map", OBJECTS, 0, BUCKETS_MAX, area, check_area },
	{ 0 },
};

static const struct shape state[] = {
	{ "side", TEXT, NEEDED, 0, NULL, NULL },
	{ "device", TEXT, NEEDED, 0, NULL, NULL },
	{ "from", TEXT, NEEDED, 0, NULL, NULL },
	{ "to", TEXT, NEEDED, 0, NULL, NULL },
	{ "ms", AMOUNT, NEEDED, 0, NULL, NULL },
	{ 0 },
};

static const struct shape note[] = {
	{ "level", TEXT, 0, 0, NULL, NULL },
	{ "text", TEXT, NEEDED, 0, NULL, NULL },
	{ 0 },
};

static const struct shape pause_shape[] = {
	{ "begin_ms", TIME, NULLABLE, 0, NULL, NULL },
	{ "end_ms", TIME, NULLABLE, 0, NULL, NULL },
	{ "verify_begin_ms", TIME, NULLABLE, 0, NULL, NULL },
	{ "verify_end_ms", TIME, NULLABLE, 0, NULL, NULL },
	{ 0 },
};

static const struct shape lost[] = {
	{ "iova", ADDRESS, NEEDED, 0, NULL, NULL },
	{ "len", COUNT, NEEDED, 0, NULL, NULL },
	{ "writer", TEXT, 0, 0, NULL, NULL },
	{ 0 },
};

static const struct shape result[] = {
	{ "ok", BOOL, NEEDED, 0, NULL, NULL },
	{ "error", TEXT, 0, 0, NULL, NULL },
	{ "policy", TEXT, NULLABLE, 0, NULL, NULL },
	{ "verified", BOOL, 0, 0, NULL, NULL },
	{ "running", TEXT, 0, 0, NULL, NULL },
	{ "converged", BOOL, NULLABLE, 0, NULL, NULL },
	{ "memory_bytes", COUNT, 0, 0, NULL, NULL },
	{ "bytes_sent", COUNT, 0, 0, NULL, NULL },
	{ "pages_sent", COUNT, 0, 0, NULL, NULL },
	{ "rounds", COUNT, 0, 0, NULL, NULL },
	{ "total_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "downtime_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "verify_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "tracking_cpu_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "pause", OBJECT, 0, 0, pause_shape, NULL },
	{ "lost", OBJECTS, 0, REPORT_EVENTS_MAX, lost, NULL },
	{ "devices", OBJECTS, 0, DEVICES_MAX, device, NULL },
	{ 0 },
};

static const struct shape run[] = {
	{ "policy", TEXT, NEEDED, 0, NULL, NULL },
	{ "refused", TEXT, NULLABLE, 0, NULL, NULL },
	{ "failed", TEXT, NULLABLE, 0, NULL, NULL },
	{ "verified", BOOL, NULLABLE, 0, NULL, NULL },
	{ "downtime_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "predicted_downtime_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "total_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "predicted_total_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "bytes_sent", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "predicted_bytes_sent", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "tracking_cpu_ms", AMOUNT, NULLABLE, 0, NULL, NULL },
	{ "devices", OBJECTS, 0, DEVICES_MAX, device, NULL },
	{ 0 },
};

static const struct shape comparison[] = {
	{ "ok", BOOL, 0, 0, NULL, NULL },
	{ "runs", OBJECTS, NEEDED, DEVICES_MAX, run, NULL },
	{ 0 },
};

static const struct shape figure[] = {
	{ "median", AMOUNT, NEEDED, 0, NULL, NULL },
	{ "min", AMOUNT, 0, 0, NULL, NULL },
	{ "max", AMOUNT, 0, 0, NULL, NULL },
	{ "origin", TEXT, 0, 0, NULL, NULL },
	{ 0 },
};

static const struct shape point[] = {
	{ "interval_ns", AMOUNT, NEEDED, 0, NULL, NULL },
	{ "bytes", OBJECT, 0, 0, figure, NULL }, /* unmeasured: absent */
	{ 0 },
};

static const struct shape page[] = {
	{ "page_size", SIZE, NEEDED, 0, NULL, NULL },
	{ "dirty", OBJECTS, 0, DEVICES_MAX, point, NULL },
	{ 0 },
};

static const struct shape tracker[] = {
	{ "name", TEXT, NEEDED, 0, NULL, NULL },
	{ "kind", TEXT, 0, 0, NULL, NULL },
	{ "set_bytes", SIZE, 0, 0, NULL, NULL },
	{ "attached", TEXTS, 0, DEVICES_MAX, NULL, NULL },
	{ "pages", OBJECTS, NEEDED, 64, page, NULL },
	{ 0 },
};

static int check_version(const struct jp *at)
{
	const json_t *version = json_object_get(at->value, "spoor_profile");
	const struct jp here = { at, "spoor_profile", 0, version, at->error };

	return json_integer_value(version) == 1 ? 0
						: jp_fail(&here, "must be 1");
}

static const struct shape profile[] = {
	{ "spoor_profile", COUNT, NEEDED, 0, NULL, NULL },
	{ "host", TEXT, NULLABLE, 0, NULL, NULL },
	{ "kernel", TEXT, NULLABLE, 0, NULL, NULL },
	{ "cpu", TEXT, NULLABLE, 0, NULL, NULL },
	{ "trackers", OBJECTS, NEEDED, DEVICES_MAX, tracker, NULL },
	{ 0 },
};

static const struct {
	const char *name;
	const struct shape *shape;
} events[] = {
	{ "plan", plan },     { "round", round_shape },
	{ "state", state },   { "note", note },
	{ "result", result }, { "comparison", comparison },
};

static int check_shape(const struct jp *at, const struct shape *s);

static int check_text(const struct jp *at)
{
	return json_is_string(at->value) ? 0 : jp_fail(at, "must be a string");
}

static int check_bool(const struct jp *at)
{
	return json_is_boolean(at->value)
		       ? 0
		       : jp_fail(at, "must be true or false");
}

static int check_count(const struct jp *at)
{
	if (json_is_integer(at->value) && json_integer_value(at->value) >= 0)
		return 0;
	return jp_fail(at, "must be a whole number, 0 or more");
}

static int check_time(const struct jp *at)
{
	if (json_is_number(at->value) && isfinite(json_number_value(at->value)))
		return 0;
	return jp_fail(at, "must be a number");
}

static int check_amount(const struct jp *at)
{
	if (!check_time(at) && json_number_value(at->value) >= 0)
		return 0;
	return jp_fail(at, "must be a number, 0 or more");
}

static int check_size(const struct jp *at)
{
	uint64_t v = 0;

	if (json_is_integer(at->value) && json_integer_value(at->value) > 0)
		return 0;
	if (json_is_string(at->value) &&
	    !units_size(json_string_value(at->value), &v) && v)
		return 0;
	return jp_fail(at, "must be a size in bytes, as 4096 or \"64K\"");
}

static int check_address(const struct jp *at)
{
	uint64_t v;

	if (json_is_string(at->value) &&
	    !units_address(json_string_value(at->value), &v))
		return 0;
	return jp_fail(at, "must be an address, as \"0x100000000\"");
}

static int (*const scalars[KINDS])(const struct jp *at) = {
	[TEXT] = check_text,	   [BOOL] = check_bool, [COUNT] = check_count,
	[AMOUNT] = check_amount,   [TIME] = check_time, [SIZE] = check_size,
	[ADDRESS] = check_address,
};

struct elements {
	const struct shape *of;
	enum kind kind;
	int (*also)(const struct jp *at);
};

static int check_element(const struct jp *at, size_t i, void *ctx)
{
	const struct elements *e = ctx;
	int r;

	(void)i;
	if (e->kind != OBJECTS)
		return scalars[e->kind == TEXTS ? TEXT : COUNT](at);
	r = check_shape(at, e->of);
	return r || !e->also ? r : e->also(at);
}

static int check_member(const struct jp *at, const struct shape *s)
{
	struct elements e = { s->of, s->kind, s->also };

	if ((s->flags & NULLABLE) && json_is_null(at->value))
		return 0;
	if (s->kind == OBJECT)
		return check_shape(at, s->of);
	if (s->kind < OBJECT)
		return scalars[s->kind](at);
	return jp_array(at, s->max, check_element, &e);
}

static int check_shape(const struct jp *at, const struct shape *s)
{
	if (!json_is_object(at->value))
		return jp_fail(at, "must be an object");
	for (; s->key; s++) {
		const json_t *value = json_object_get(at->value, s->key);
		const struct jp here = { at, s->key, 0, value, at->error };
		int r = 0;

		if (value)
			r = check_member(&here, s);
		else if (s->flags & NEEDED)
			r = jp_fail(&here, "is missing");
		if (r)
			return r;
	}
	return 0;
}

static const struct shape *shape_of(const char *name)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (!strcmp(events[i].name, name))
			return events[i].shape;
	return NULL;
}

bool report_shows(const char *name)
{
	return shape_of(name);
}

int report_check_event(const json_t *event, struct jp_error *error)
{
	const json_t *name = json_object_get(event, "event");
	const struct jp root = { .value = event, .error = error };
	const struct jp at = { &root, "event", 0, name, error };
	const struct shape *s;

	if (!json_is_object(event))
		return jp_fail(&root, "must be an object");
	if (!name)
		return jp_fail(&at, "is missing");
	if (check_text(&at))
		return -EINVAL;
	s = shape_of(json_string_value(name));
	return s ? check_shape(&root, s) : 0;
}

int report_check_profile(const json_t *document, struct jp_error *error)
{
	const struct jp root = { .value = document, .error = error };
	int r = check_shape(&root, profile);

	return r ? r : check_version(&root);
}
