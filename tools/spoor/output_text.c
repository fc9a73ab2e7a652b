/* SPDX-License-Identifier: MIT */
/*
 * Events and results for people.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "units.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static uint64_t number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static double real_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *bold(const struct output *out)
{
	return out->colour ? "\033[1m" : "";
}

static const char *plain(const struct output *out)
{
	return out->colour ? "\033[0m" : "";
}

/* "device 16K", "none" */
static void tracker_of(const json_t *d, char *buf, size_t len)
{
	char page[16];
	uint64_t size = number_of(d, "page_size");

	snprintf(buf, len, "%s%s%s", text_of(d, "tracker"), size ? " " : "",
		 size ? units_format_page(page, sizeof(page), size) : "");
}

static void show_predicted(const json_t *p)
{
	char bytes[24];

	if (!p)
		return;
	printf("  predicted (%s): downtime %.1f ms, total %.1f ms, %s in "
	       "%" PRIu64 " rounds, tracking %.1f ms of CPU%s\n",
	       text_of(p, "origin"), real_of(p, "downtime_ms"),
	       real_of(p, "total_ms"),
	       units_format_bytes(bytes, sizeof(bytes),
				  number_of(p, "bytes_sent")),
	       number_of(p, "rounds"), real_of(p, "tracking_cpu_ms"),
	       json_is_true(json_object_get(p, "converged"))
		       ? ""
		       : ", does not converge");
}

static void show_plan(const struct output *out, const json_t *e)
{
	size_t i;
	json_t *d;

	printf("%sPlan%s, policy %s%s\n", bold(out), plain(out),
	       text_of(e, "policy"),
	       json_is_true(json_object_get(e, "stop_copy"))
		       ? ": nothing is tracked, everything stops first"
		       : "");
	json_array_foreach(json_object_get(e, "devices"), i, d)
	{
		const json_t *s = json_object_get(d, "suspend");
		char tracker[32];

		tracker_of(d, tracker, sizeof(tracker));
		printf("  %-10s %-12s space %-8s suspended %s (%s)\n",
		       text_of(d, "name"), tracker, text_of(d, "space"),
		       text_of(s, "when"), text_of(s, "how"));
		printf("  %10s covered: %s\n", "", text_of(d, "covered_by"));
		printf("  %10s because: %s\n", "", text_of(d, "reason"));
		if (json_object_get(d, "predicted_service_gap_ms"))
			printf("  %10s predicted: service gap %.1f ms\n", "",
			       real_of(d, "predicted_service_gap_ms"));
	}
	json_array_foreach(json_object_get(e, "blockers"), i, d)
		printf("  blocker: %s\n", json_string_value(d));
	show_predicted(json_object_get(e, "predicted"));
}

static void show_round(const json_t *e)
{
	char bytes[24], rate[24];
	size_t i;
	json_t *t;

	printf("Round %2" PRIu64 ": %s in %.0f ms, %s/s", number_of(e, "n"),
	       units_format_bytes(bytes, sizeof(bytes), number_of(e, "bytes")),
	       real_of(e, "ms"),
	       units_format_bytes(rate, sizeof(rate), number_of(e, "rate")));
	json_array_foreach(json_object_get(e, "dirty"), i, t)
		printf("%s%s %" PRIu64,
		       i ? ", " : "; dirty pages: ", text_of(t, "tracker"),
		       number_of(t, "pages"));
	putchar('\n');
}

static void show_track(const json_t *e)
{
	size_t i;
	json_t *t;

	printf("%8.1f s", real_of(e, "ms") / 1000);
	json_array_foreach(json_object_get(e, "dirty"), i, t)
		printf("  %s %.0f pages/s", text_of(t, "tracker"),
		       real_of(t, "pages_per_s"));
	putchar('\n');
}

static void show_device(const struct output *out, const json_t *e)
{
	size_t i, k;
	json_t *t, *size;

	printf("%s%s%s  %s  space %s\n  states:", bold(out), text_of(e, "name"),
	       plain(out), text_of(e, "address"), text_of(e, "space"));
	json_array_foreach(json_object_get(e, "states"), i, t)
		printf(" %s", json_string_value(t));
	putchar('\n');
	json_array_foreach(json_object_get(e, "trackers"), i, t)
	{
		printf("  %-7s %s", text_of(t, "kind"),
		       json_is_true(json_object_get(t, "usable")) ? "yes"
								  : "no ");
		json_array_foreach(json_object_get(t, "page_sizes"), k, size)
			printf(" %s", json_string_value(size));
		printf("  %s\n", text_of(t, "why"));
	}
	if (text_of(e, "missing")[0])
		printf("  missing: %s\n", text_of(e, "missing"));
}

static void show_checking(const struct output *out, const json_t *e)
{
	printf("%s%s%s  %s%s%s%s%s\n", bold(out), text_of(e, "address"),
	       plain(out), text_of(e, "backend"),
	       json_is_true(json_object_get(e, "migrates"))
		       ? ", migrates"
		       : ", does not migrate",
	       json_is_true(json_object_get(e, "logs")) ? ", logs DMA" : "",
	       text_of(e, "exercised_as")[0] ? ", DMA as " : "",
	       text_of(e, "exercised_as"));
}

static void show_rule(const struct output *out, const json_t *e)
{
	const char *verdict = text_of(e, "verdict");
	bool broken = !strcmp(verdict, "broken");
	size_t i;
	json_t *call;

	if (!strcmp(verdict, "not-applicable"))
		verdict = "-";
	printf("  %s%-7s%s %-16s %s\n", broken ? bold(out) : "", verdict,
	       broken ? plain(out) : "", text_of(e, "id"),
	       text_of(e, text_of(e, "why")[0] ? "why" : "rule"));
	if (!broken)
		return;
	printf("  %24s asked by %s: %s\n", "", text_of(e, "from"),
	       text_of(e, "rule"));
	json_array_foreach(json_object_get(e, "calls"), i, call)
		printf("  %26s %s\n", "", json_string_value(call));
}

static void show_scalar(const json_t *v)
{
	if (json_is_string(v))
		printf("%s", json_string_value(v));
	else if (json_is_integer(v))
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else
		printf("%s", json_is_true(v)	? "yes"
			     : json_is_false(v) ? "no"
						: "none");
}

static void show_value(const char *key, const json_t *v)
{
	const char *inner;
	char both[64];
	size_t i;
	json_t *o;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)v, inner, o)
		{
			snprintf(both, sizeof(both), "%s.%s", key, inner);
			show_value(both, o);
		}
		return;
	}
	printf(" %s=", key);
	if (!json_is_array(v))
		show_scalar(v);
	json_array_foreach(v, i, o)
	{
		printf("%s", i ? "," : "");
		show_scalar(o);
	}
}

static void show_setting(const char *name, const json_t *o)
{
	const char *key;
	json_t *v;

	printf("  %-10s", name);
	json_object_foreach((json_t *)o, key, v)
	{
		if (strcmp(key, "name") != 0 || !strcmp(name, "policy"))
			show_value(key, v);
	}
	putchar('\n');
}

static void show_settings(struct output *out, const json_t *e)
{
	const char *key;
	json_t *v, *o;
	size_t i;

	printf("%sAs given, or by default%s\n", bold(out), plain(out));
	json_object_foreach((json_t *)e, key, v)
	{
		if (json_is_object(v))
			show_setting(key, v);
		else if (json_is_integer(v))
			printf("  %-10s %" JSON_INTEGER_FORMAT "\n", key,
			       json_integer_value(v));
		json_array_foreach(v, i, o) show_setting(
			json_object_get(o, "name") ? text_of(o, "name") : key,
			o);
	}
}

void output_text_event(struct output *out, const char *name, const json_t *e)
{
	if (!strcmp(name, "plan"))
		show_plan(out, e);
	else if (!strcmp(name, "round"))
		show_round(e);
	else if (!strcmp(name, "note"))
		printf("%s%s\n",
		       !strcmp(text_of(e, "level"), "info") ? "" : "Warning: ",
		       text_of(e, "text"));
	else if (!strcmp(name, "track"))
		show_track(e);
	else if (!strcmp(name, "device"))
		show_device(out, e);
	else if (!strcmp(name, "checking"))
		show_checking(out, e);
	else if (!strcmp(name, "rule"))
		show_rule(out, e);
	else if (!strcmp(name, "settings"))
		show_settings(out, e);
	/* States are for scripts: there are dozens. */
	fflush(stdout);
}

static void show_lost(const json_t *result)
{
	size_t i;
	json_t *l;

	json_array_foreach(json_object_get(result, "lost"), i, l)
	{
		if (i == 20) {
			printf("  and %zu more ranges\n",
			       json_array_size(
				       json_object_get(result, "lost")) -
				       i);
			return;
		}
		printf("  lost: %s, %" PRIu64 " bytes, last written by %s\n",
		       text_of(l, "iova"), number_of(l, "len"),
		       text_of(l, "writer"));
	}
}

static void show_times(const json_t *r)
{
	static const struct {
		const char *name, *key, *unit;
	} times[] = {
		{ "total", "total_ms", "" },
		{ "downtime", "downtime_ms", "" },
		{ "verifying", "verify_ms", "" },
		{ "tracking", "tracking_cpu_ms", " of CPU" },
	};
	const char *comma = "  ";

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const json_t *t = json_object_get(r, times[i].key);

		if (!json_is_number(t))
			continue;
		printf("%s%s %.1f ms%s", comma, times[i].name,
		       json_number_value(t), times[i].unit);
		comma = ", ";
	}
	putchar('\n');
}

static void show_figures(const json_t *r)
{
	char memory[24], sent[24];

	printf("  memory %s, sent %s (%" PRIu64 " pages) in %" PRIu64
	       " rounds%s\n",
	       units_format_bytes(memory, sizeof(memory),
				  number_of(r, "memory_bytes")),
	       units_format_bytes(sent, sizeof(sent),
				  number_of(r, "bytes_sent")),
	       number_of(r, "pages_sent"), number_of(r, "rounds"),
	       json_is_false(json_object_get(r, "converged"))
		       ? ", not converged"
		       : "");
	show_times(r);
}

static void show_devices(const json_t *r)
{
	size_t i;
	json_t *d;

	if (!json_array_size(json_object_get(r, "devices")))
		return;
	printf("  %-10s %-12s %12s %12s %14s\n", "device", "tracker",
	       "dirty pages", "state", "service gap");
	json_array_foreach(json_object_get(r, "devices"), i, d)
	{
		const json_t *gap = json_object_get(d, "service_gap_ms");
		char tracker[32], state[24], ms[24] = "-";

		tracker_of(d, tracker, sizeof(tracker));
		if (json_is_number(gap))
			snprintf(ms, sizeof(ms), "%.1f ms",
				 json_number_value(gap));
		else if (json_object_get(d, "served_after"))
			snprintf(ms, sizeof(ms), "not back");
		printf("  %-10s %-12s %12" PRIu64 " %12s %14s\n",
		       text_of(d, "name"), tracker, number_of(d, "dirty_pages"),
		       units_format_bytes(state, sizeof(state),
					  number_of(d, "state_bytes")),
		       ms);
	}
}

void output_text_result(struct output *out, const json_t *r)
{
	bool ok = json_is_true(json_object_get(r, "ok"));
	const char *running = text_of(r, "running");

	if (json_object_get(r, "not_applicable")) {
		printf("%s%s%s: %" PRIu64 " rules hold, %" PRIu64
		       " are broken, %" PRIu64 " do not apply\n",
		       bold(out), ok ? "Conforms" : "Does not conform",
		       plain(out), number_of(r, "holds"),
		       number_of(r, "broken"), number_of(r, "not_applicable"));
		return;
	}
	if (!json_object_get(r, "running")) {
		if (!ok)
			printf("Failed: %s\n", text_of(r, "error"));
		return;
	}
	if (ok)
		printf("%sMoved%s: the machine runs at the %s, %s\n", bold(out),
		       plain(out), running,
		       json_is_true(json_object_get(r, "verified"))
			       ? "verified"
			       : "not verified");
	else
		printf("%sNot moved%s: %s\n  running: %s\n", bold(out),
		       plain(out), text_of(r, "error"), running);
	if (ok && text_of(r, "error")[0])
		printf("  but: %s\n", text_of(r, "error"));
	show_lost(r);
	if (json_object_get(r, "memory_bytes"))
		show_figures(r);
	show_devices(r);
}
