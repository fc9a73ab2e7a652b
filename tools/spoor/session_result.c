/* SPDX-License-Identifier: MIT */
/*
 * What came of it: of what one side said, or of what is true of both.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <spoor/migration.h>

#include "cmd.h"
#include "session.h"

/* A side's outcome; -1: its process ended without one. */
static int outcome(const struct side *side)
{
	if (!side->result)
		return -1;
	return (int)json_integer_value(
		json_object_get(side->result, "outcome"));
}

static const char *error_of(const json_t *result)
{
	const char *s = json_string_value(json_object_get(result, "error"));

	return s ? s : "";
}

__attribute__((format(printf, 5, 6))) static void
set(struct verdict *v, int code, const char *running, const json_t *base,
    const char *fmt, ...)
{
	va_list ap;

	v->exit = code;
	v->running = running;
	v->base = base;
	v->hold = code == EXIT_UNKNOWN;
	va_start(ap, fmt);
	vsnprintf(v->error, sizeof(v->error), fmt, ap);
	va_end(ap);
}

static int exit_of(int outcome)
{
	switch (outcome) {
	case SPOOR_MOVED:
		return EXIT_DONE;
	case SPOOR_REFUSED:
		return EXIT_REFUSED;
	case SPOOR_LOST:
		return EXIT_LOST;
	case SPOOR_UNKNOWN:
		return EXIT_UNKNOWN;
	case SPOOR_MOVED_BROKEN:
		return EXIT_BROKEN;
	case SPOOR_CANCELLED:
		return EXIT_INTERRUPTED;
	default:
		return EXIT_FAILED;
	}
}

static bool moved(int outcome)
{
	return outcome == SPOOR_MOVED || outcome == SPOOR_MOVED_BROKEN;
}

/* One side's word is all there is. */
static void one_side(struct verdict *v, const struct side *side)
{
	const char *running;
	char how[80];

	if (outcome(side) < 0) {
		set(v, EXIT_FAILED,
		    !strcmp(side->name, "source") ? "none" : "unknown", NULL,
		    "%s: %s", side->name,
		    side_how_it_ended(side, how, sizeof(how)));
		return;
	}
	running = json_string_value(json_object_get(side->result, "running"));
	set(v, exit_of(outcome(side)), running ? running : "unknown",
	    side->result, "%s", error_of(side->result));
}

/* The source holds, or is dead; the destination knows more, or nobody. */
static void without_source(struct verdict *v, const struct session *s)
{
	const struct side *src = &s->source, *dst = &s->destination;
	bool src_held = outcome(src) == SPOOR_UNKNOWN;
	char how[80] = "it discarded the machine";

	if (moved(outcome(dst))) {
		set(v, exit_of(outcome(dst)), "destination",
		    src_held ? src->result : dst->result, "%s",
		    error_of(dst->result));
		return;
	}
	if (outcome(dst) < 0)
		side_how_it_ended(dst, how, sizeof(how));
	if (src_held || outcome(dst) == SPOOR_UNKNOWN) {
		set(v, EXIT_UNKNOWN, "none",
		    src_held ? src->result : dst->result,
		    "the hand-over was cut short: %s; destination: %s",
		    src_held ? error_of(src->result)
			     : "the source's process is gone",
		    outcome(dst) == SPOOR_UNKNOWN ? "it holds the machine too"
						  : how);
		return;
	}
	side_how_it_ended(src, how, sizeof(how));
	set(v, EXIT_FAILED, "none", NULL, "source: %s", how);
}

__attribute__((format(printf, 2, 3))) static void append(struct verdict *v,
							 const char *fmt, ...)
{
	size_t len = strlen(v->error);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->error + len, sizeof(v->error) - len, fmt, ap);
	va_end(ap);
}

/* The destination's own reason, where the source has only "it ended". */
static void add_destination(const struct session *s, struct verdict *v)
{
	const char *why = error_of(s->destination.result);
	char how[80];

	if (!s->has_source || v->exit != EXIT_FAILED || !s->source.result)
		return;
	if (s->o->to)
		append(v, " (the destination: %s)", s->o->to);
	if (!s->has_destination)
		return;
	if (s->destination.result && why[0] && !strstr(v->error, why))
		append(v, "; destination: %s", why);
	else if (!s->destination.result)
		append(v, "; destination: %s",
		       side_how_it_ended(&s->destination, how, sizeof(how)));
}

void verdict_of(const struct session *s, struct verdict *v)
{
	if (!s->has_destination)
		/* NOLINTNEXTLINE(bugprone-branch-clone): the order matters */
		one_side(v, &s->source);
	else if (!s->has_source)
		one_side(v, &s->destination);
	else if (outcome(&s->source) >= 0 &&
		 outcome(&s->source) != SPOOR_UNKNOWN)
		one_side(v, &s->source);
	else
		without_source(v, s);
	add_destination(s, v);
}

/* Only where both ends of a service's silence were seen by one clock. */
static void add_gap(const struct session *s, size_t i, json_t *d)
{
	const size_t nr = s->mf->nr_devices;
	const struct stamps *const both[] = { &s->stamps[i],
					      &s->stamps[nr + i] };
	bool seen = s->has_source &&
		    (s->has_destination || s->mf->devices[i].clients);
	struct gap gap;

	if (!seen || !s->window.migration.begin ||
	    !gaps_service_gap(both, 2, &s->window, &gap)) {
		json_object_set_new(d, "service_gap_ms", json_null());
		return;
	}
	/* How long nobody has seen the end of is no gap. */
	json_object_set_new(d, "service_gap_ms",
			    gap.after ? json_real(gap.ms) : json_null());
	json_object_set_new(d, "served_after",
			    json_integer((json_int_t)gap.after));
	json_object_set_new(d, "service_gap_begin_ms", json_real(gap.begin_ms));
	json_object_set_new(d, "service_gap_end_ms",
			    gap.after ? json_real(gap.end_ms) : json_null());
}

/* The plan's proof held only until the tracker failed. */
static void say_all_dirty(json_t *d)
{
	const char *by = json_string_value(json_object_get(d, "covered_by"));
	json_t *text;

	if (!by || !json_is_true(json_object_get(d, "all_dirty")))
		return;
	text = json_sprintf("%s, until that failed; since then all-dirty: all "
			    "it can reach was sent after the stop",
			    by);
	if (text)
		json_object_set_new(d, "covered_by", text);
}

static json_t *device_json(const struct session *s, const struct verdict *v,
			   size_t i)
{
	const char *name = s->mf->devices[i].name;
	const json_t *line =
		output_named(json_object_get(s->plan, "devices"), name);
	const json_t *figures =
		output_named(json_object_get(v->base, "devices"), name);
	json_t *d = line ? json_deep_copy(line) : json_object();

	if (!d)
		return NULL;
	json_object_set_new(d, "name", json_string(name));
	if (figures)
		json_object_update(d, (json_t *)figures);
	say_all_dirty(d);
	add_gap(s, i, d);
	if (s->mf->devices[i].clients)
		json_object_set_new(
			d, "clients",
			json_pack("{s:I, s:I, s:I}", "sent",
				  (json_int_t)s->counts[i].sent, "answered",
				  (json_int_t)s->counts[i].answered, "late",
				  (json_int_t)s->counts[i].late));
	return d;
}

static void copy(json_t *to, const json_t *from, const char *key)
{
	json_t *v = json_object_get(from, key);

	if (v)
		json_object_set(to, key, v);
}

/* What only a source knows, a receiver's result does not make up. */
static void unknown_to_destination(const struct session *s,
				   const struct verdict *v, json_t *r)
{
	static const char *const keys[] = { "converged", "downtime_ms",
					    "tracking_cpu_ms" };

	if (!s->has_source)
		json_object_set_new(r, "policy", json_null());
	if (!v->base || v->base != s->destination.result)
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(r, keys[i], json_null());
}

static json_t *since_begin(const struct session *s, uint64_t ns)
{
	if (!ns)
		return json_null();
	return json_real(((double)ns - (double)s->window.migration.begin) /
			 1e6);
}

/* When it stood still, and of that was verified, by the host's one clock. */
static json_t *pause_json(const struct session *s)
{
	const struct gaps_interval *v = s->window.verify;
	const bool second =
		v[1].begin && (!v[0].begin || v[1].begin < v[0].begin);
	const uint64_t end = v[1].end > v[0].end ? v[1].end : v[0].end;

	return json_pack("{s:o, s:o, s:o, s:o}", "begin_ms",
			 since_begin(s, s->paused_ns), "end_ms",
			 since_begin(s, s->running_ns), "verify_begin_ms",
			 since_begin(s, v[second].begin), "verify_end_ms",
			 since_begin(s, end));
}

json_t *verdict_json(struct session *s, const struct verdict *v)
{
	static const char *const figures[] = { "converged",	 "memory_bytes",
					       "bytes_sent",	 "pages_sent",
					       "rounds",	 "total_ms",
					       "downtime_ms",	 "verify_ms",
					       "tracking_cpu_ms" };
	bool ok = v->exit == EXIT_DONE || v->exit == EXIT_BROKEN;
	json_t *r = json_pack("{s:s, s:b}", "event", "result", "ok", ok);
	json_t *devices = json_array(), *lost;

	if (!ok || v->error[0])
		json_object_set_new(r, "error", json_string(v->error));
	json_object_set_new(r, "exit", json_integer(v->exit));
	json_object_set_new(r, "verified",
			    json_boolean(ok && json_is_true(json_object_get(
						       v->base, "verified"))));
	json_object_set_new(r, "policy", json_string(s->mf->policy.name));
	json_object_set_new(r, "running", json_string(v->running));
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		copy(r, v->base, figures[i]);
	unknown_to_destination(s, v, r);
	if (s->paused_ns)
		json_object_set_new(r, "pause", pause_json(s));
	lost = json_object_get(v->base, "lost");
	if (json_array_size(lost))
		json_object_set(r, "lost", lost);
	for (size_t i = 0; i < s->mf->nr_devices; i++)
		json_array_append_new(devices, device_json(s, v, i));
	json_object_set_new(r, "devices", devices);
	return r;
}
