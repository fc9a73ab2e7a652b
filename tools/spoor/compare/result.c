/* SPDX-License-Identifier: MIT */
/*
 * From the runs' results to the figures of each policy.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/spoor/cmd.h"

#include "compare.h"

static const char *const figures[] = { "downtime_ms",	  "total_ms",
				       "bytes_sent",	  "pages_sent",
				       "tracking_cpu_ms", "rounds" };
#define NR_FIGURES (sizeof(figures) / sizeof(figures[0]))

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static json_t *number(double v, bool whole)
{
	return whole ? json_integer((json_int_t)(v + 0.5)) : json_real(v);
}

/*
 * The median of @key over @objects, and if there are several their spread.
 * One that has no such number is passed over.
 */
static void put_figure(json_t *to, json_t *spread, const json_t *objects,
		       const char *key)
{
	const size_t all = json_array_size(objects);
	double *v = calloc(all + 1, sizeof(*v));
	bool whole = true;
	size_t nr = 0;

	for (size_t i = 0; v && i < all; i++) {
		const json_t *f =
			json_object_get(json_array_get(objects, i), key);

		if (!json_is_number(f))
			continue;
		whole &= json_is_integer(f);
		v[nr++] = json_number_value(f);
	}
	if (nr) {
		qsort(v, nr, sizeof(*v), by_size);
		json_object_set_new(
			to, key,
			number((v[(nr - 1) / 2] + v[nr / 2]) / 2, whole));
		json_object_set_new(spread, key,
				    json_pack("{s:o, s:o}", "min",
					      number(v[0], whole), "max",
					      number(v[nr - 1], whole)));
	} else if (v) {
		json_object_set_new(to, key, json_null());
	}
	free(v);
}

/* Where several were asked for, also if it was cut short after one. */
static void put_spread(json_t *to, json_t *spread, bool several)
{
	if (several)
		json_object_set(to, "spread", spread);
	json_decref(spread);
}

static json_t *device_json(const struct compared *p, const char *name,
			   bool several)
{
	static const char *const kept[] = { "tracker", "page_size", "space",
					    "suspend" };
	json_t *d = json_pack("{s:s}", "name", name), *found = json_array();
	json_t *spread = json_object(), *one, *r;
	size_t i;

	json_array_foreach(p->timed, i, r)
	{
		one = output_named(json_object_get(r, "devices"), name);
		if (one)
			json_array_append(found, one);
	}
	one = json_array_get(found, 0);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (json_object_get(one, kept[i]))
			json_object_set(d, kept[i],
					json_object_get(one, kept[i]));
	put_figure(d, spread, found, "service_gap_ms");
	put_spread(d, spread, several);
	one = output_named(json_object_get(p->predicted, "devices"), name);
	one = json_object_get(one, "predicted_service_gap_ms");
	if (one)
		json_object_set(d, "predicted_service_gap_ms", one);
	json_decref(found);
	return d;
}

static void put_predictions(json_t *to, const struct compared *p)
{
	static const struct {
		const char *from, *to;
	} keys[] = {
		{ "downtime_ms", "predicted_downtime_ms" },
		{ "total_ms", "predicted_total_ms" },
		{ "bytes_sent", "predicted_bytes_sent" },
		{ "tracking_cpu_ms", "predicted_tracking_cpu_ms" },
		{ "converged", "predicted_converged" },
	};
	const json_t *from = json_object_get(p->predicted, "predicted");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(from, keys[i].from))
			json_object_set(to, keys[i].to,
					json_object_get(from, keys[i].from));
}

/* Digests agreed where they were compared, and the truth every time. */
static bool verified(const struct compared *p)
{
	return !p->failed &&
	       json_is_true(json_object_get(p->checked, "verified"));
}

static bool converged(const struct compared *p)
{
	size_t i;
	json_t *r;

	json_array_foreach(p->timed, i, r)
	{
		if (json_is_false(json_object_get(r, "converged")))
			return false;
	}
	return true;
}

static void put_runs(json_t *to, const struct compared *p, bool several)
{
	json_t *devices = json_array(), *spread = json_object();

	json_object_set_new(to, "converged", json_boolean(converged(p)));
	if (!converged(p))
		json_object_set_new(to, "too_fast", json_string(p->too_fast));
	for (size_t i = 0; i < NR_FIGURES; i++)
		put_figure(to, spread, p->timed, figures[i]);
	put_spread(to, spread, several);
	put_predictions(to, p);
	for (size_t i = 0; i < p->mf->nr_devices; i++)
		json_array_append_new(
			devices,
			device_json(p, p->mf->devices[i].name, several));
	json_object_set_new(to, "devices", devices);
}

static json_t *policy_json(const struct compared *p, bool several)
{
	json_t *to = json_pack("{s:s}", "policy", p->policy);
	const size_t nr = json_array_size(p->timed);

	if (p->refused) {
		json_object_set_new(to, "refused", json_string(p->why));
		return to;
	}
	json_object_set_new(to, "verified", json_boolean(verified(p)));
	json_object_set_new(to, "repetitions", json_integer((json_int_t)nr));
	if (p->failed)
		json_object_set_new(to, "failed", json_string(p->why));
	if (p->lost)
		json_object_set(to, "lost", p->lost);
	if (json_array_size(p->notes))
		json_object_set(to, "notes", p->notes);
	if (nr)
		put_runs(to, p, several);
	return to;
}

json_t *compare_json(const struct comparison *c, int exit_code)
{
	json_t *runs = json_array(), *r;
	size_t nr_failed = 0;

	for (size_t i = 0; i < c->nr; i++) {
		json_array_append_new(runs,
				      policy_json(&c->of[i], c->o->repeat > 1));
		nr_failed += c->of[i].failed;
	}
	r = json_pack("{s:s, s:b, s:i}", "event", "comparison", "ok",
		      exit_code == EXIT_DONE, "exit", exit_code);
	if (c->interrupted)
		json_object_set_new(r, "error", json_string("interrupted"));
	else if (exit_code)
		json_object_set_new(r, "error",
				    json_sprintf("%zu of %zu policies failed%s",
						 nr_failed, c->nr,
						 exit_code == EXIT_LOST
							 ? ": pages were "
							   "lost"
							 : ""));
	json_object_set_new(r, "runs", runs);
	return r;
}
