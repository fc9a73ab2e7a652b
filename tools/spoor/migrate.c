/* SPDX-License-Identifier: MIT */
/*
 * The course of a migration; see migrate.h.
 */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "migrate.h"

#define RESUME_NS 30000000000ull

static bool over(const struct side *side)
{
	return side->failed || side->refused || !side->open;
}

static bool begun(const struct session *s)
{
	if ((s->has_source && over(&s->source)) ||
	    (s->has_destination && over(&s->destination)))
		return true;
	return (!s->has_source || s->source.ready) &&
	       (!s->has_destination || s->destination.ready);
}

bool migrate_someone_gone(const struct session *s)
{
	return (s->has_source && !s->source.open) ||
	       (s->has_destination && !s->destination.open);
}

/* Why a side could not begin. */
static void not_begun(const struct side *side, struct verdict *v)
{
	const char *error;
	char how[80];

	if (side->failed) {
		error = json_string_value(
			json_object_get(side->failed, "error"));
		v->exit = (int)json_integer_value(
			json_object_get(side->failed, "exit"));
		snprintf(v->error, sizeof(v->error), "%s", error ? error : "");
	} else {
		snprintf(v->error, sizeof(v->error), "%s: %s", side->name,
			 side_how_it_ended(side, how, sizeof(how)));
	}
}

static void refused(const struct session *s, struct verdict *v)
{
	const json_t *why = json_object_get(s->plan, "blockers");
	const char *first = json_string_value(json_array_get(why, 0));

	v->exit = EXIT_REFUSED;
	v->running = "source";
	snprintf(v->error, sizeof(v->error), "refused by plan: %s%s",
		 first ? first : "",
		 json_array_size(why) > 1 ? " (and more, see the plan)" : "");
}

bool migrate_begin(struct session *s, struct verdict *v)
{
	if (!session_wait(s, begun, UINT64_MAX, true)) {
		v->exit = EXIT_INTERRUPTED;
		v->running = s->has_source ? "source" : "none";
		snprintf(v->error, sizeof(v->error),
			 "interrupted before it began");
		return false;
	}
	if (s->has_source && s->source.refused) {
		refused(s, v);
		return false;
	}
	/* Who said why comes before who is merely gone. */
	if (s->source.failed || s->destination.failed)
		not_begun(s->source.failed ? &s->source : &s->destination, v);
	else if (s->has_source && !s->source.ready)
		not_begun(&s->source, v);
	else if (s->has_destination && !s->destination.ready)
		not_begun(&s->destination, v);
	else
		return true;
	return false;
}

static bool side_decided(const struct side *side)
{
	return side->result || !side->open;
}

static bool decided(const struct session *s)
{
	return (!s->has_source || side_decided(&s->source)) &&
	       (!s->has_destination || side_decided(&s->destination));
}

static bool answered(const struct session *s)
{
	return s->source.held_end || s->destination.held_end ||
	       migrate_someone_gone(s);
}

static bool holds(const struct side *side)
{
	return side->open && side->result &&
	       json_integer_value(json_object_get(side->result, "outcome")) ==
		       EXIT_UNKNOWN;
}

/* Told by a person: exactly one side may run it. */
static void obey(struct session *s, struct verdict *v, const char *order)
{
	struct side *here = holds(&s->source) ? &s->source : &s->destination;
	bool resume = !strcmp(order, "resume");
	const char *error;

	if (here == &s->source && holds(&s->destination))
		side_order(&s->destination, "discard");
	side_order(here, order);
	s->source.held_end = s->destination.held_end = NULL;
	session_wait(s, answered, session_now() + RESUME_NS, false);
	v->hold = false;
	if (!resume) {
		/* It runs there, by word of whoever said so. */
		v->running = here == &s->source ? "destination" : "source";
		v->exit = here == &s->source ? EXIT_DONE : EXIT_FAILED;
		snprintf(v->error, sizeof(v->error),
			 "held, then discarded by order");
		return;
	}
	error = json_string_value(json_object_get(here->held_end, "error"));
	v->running = here->name;
	v->exit = here == &s->source ? EXIT_FAILED : EXIT_DONE;
	if (!here->held_end)
		v->running = "none";
	snprintf(v->error, sizeof(v->error), "held, then resumed by order%s%s",
		 error && *error ? ": " : "", error ? error : "");
}

void migrate_watch(struct session *s, struct verdict *v)
{
	if (!session_wait(s, decided, UINT64_MAX, true)) {
		output_note(&s->out, "info", "interrupted: cancelling");
		side_order(s->has_source ? &s->source : &s->destination,
			   "cancel");
		session_wait(s, decided, UINT64_MAX, true);
	}
	/* What was said before a process ended is still in the socket. */
	verdict_of(s, v);
	if (!s->window.migration.end)
		s->window.migration.end = session_now();
	if (v->hold && !s->unattended) {
		const char *order = session_hold(s, v->error);

		if (order)
			obey(s, v, order);
		return;
	}
	/*
	 * The other side's word settles it: a held copy is forgotten.  So it
	 * is where the machine was run for its figures alone.
	 */
	v->hold = false;
	if (holds(&s->source))
		side_order(&s->source, "discard");
	if (holds(&s->destination))
		side_order(&s->destination, "discard");
}

static bool runner_gone(const struct session *s)
{
	const struct side *d = &s->destination, *r = &s->source;

	if (s->has_destination && d->result)
		return !d->open;
	return s->has_source && !r->open;
}

json_t *migrate_conclude(struct session *s, const struct verdict *v)
{
	bool here = (s->has_source && !strcmp(v->running, "source")) ||
		    !strcmp(v->running, "destination");
	bool began = v->exit != EXIT_USAGE && v->exit != EXIT_MISSING &&
		     v->exit != EXIT_REFUSED;

	if (here && began)
		session_wait(s, runner_gone,
			     session_now() + s->mf->after_ms * 1000000, true);
	s->window.observed_until = session_now();
	session_stop(s);
	return verdict_json(s, v);
}

int migrate_finish(struct session *s, const struct verdict *v)
{
	output_result(&s->out, migrate_conclude(s, v));
	if (!s->o->json && v->exit != EXIT_DONE && v->exit != EXIT_LOST)
		fprintf(stderr, "spoor: %s\n", v->error);
	return v->exit;
}
