/* SPDX-License-Identifier: MIT */
/* Verdicts for people, and as JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "units.h"
#include "verdict.h"

#define PAGE	  4096u
#define MAX_SHOWN 20u /* states, ranges */

/* -- text --------------------------------------------------------------- */

static void put_states(const char *side, const struct sf_device *d)
{
	size_t i = d && d->nr_states > MAX_SHOWN ? d->nr_states - MAX_SHOWN : 0;

	if (!d)
		return;
	printf("  %-12s%s", side, i ? "..., " : "");
	for (size_t first = i; i < d->nr_states; i++)
		printf("%s%s", i > first ? ", " : "", sf_states[d->states[i]]);
	putchar('\n');
}

static void put_lost(const struct sf_truth *t)
{
	size_t shown = 0, i, end;

	for (i = 0; i < t->nr_lost && shown < MAX_SHOWN; i = end, shown++) {
		for (end = i + 1; end < t->nr_lost; end++)
			if (t->lost[end] != t->lost[end - 1] + PAGE)
				break;
		printf("  lost        0x%" PRIx64 "-0x%" PRIx64 ", %zu pages\n",
		       t->lost[i], t->lost[end - 1] + (PAGE - 1), end - i);
	}
	if (t->pages_lost > i)
		printf("  lost        and %" PRIu64 " pages more\n",
		       t->pages_lost - i);
}

static void put_moved(const struct judged *j)
{
	const struct sf_device *s = j->source, *d = j->destination;
	char saved[24], loaded[24];

	if (d)
		printf("  pages       %" PRIu64 " written, %" PRIu64 " lost\n",
		       d->truth.checked, d->truth.pages_lost);
	if (s)
		printf("  log         %" PRIu64 " marks, %" PRIu64
		       " reported in %" PRIu64 " reports, %" PRIu64
		       " discarded\n",
		       s->now.marks, s->now.pages_reported, s->now.reports,
		       s->now.discarded);
	if (s && d)
		printf("  state       %s read, %s written\n",
		       units_format_bytes(saved, sizeof(saved), s->bytes_saved),
		       units_format_bytes(loaded, sizeof(loaded),
					  d->bytes_loaded));
}

static void put_device(const struct judged *j)
{
	printf("%s: %s\n", j->name, verdict_name(j->verdict));
	if (j->verdict == VERDICT_UNUSED)
		return;
	for (size_t i = 0; i < j->nr_reasons; i++)
		printf("  because     %s\n", j->reasons[i]);
	for (size_t i = 0; i < j->nr_notes; i++)
		printf("  note        %s\n", j->notes[i]);
	put_moved(j);
	if (j->destination)
		put_lost(&j->destination->truth);
	put_states("source", j->source);
	put_states("destination", j->destination);
}

void verdict_text(const struct judged *all, size_t nr,
		  const struct stats_file *source)
{
	for (size_t i = 0; i < nr; i++)
		put_device(&all[i]);
	for (size_t i = 0; i < source->nr_spaces; i++) {
		const struct sf_space *s = &source->spaces[i];

		printf("space %s: %" PRIu64 " marks, %" PRIu64
		       " reported in %" PRIu64 " reads, %" PRIu64
		       " discarded\n",
		       s->name, s->marks, s->pages_reported, s->dirty_reads,
		       s->discarded);
	}
}

/* -- JSON --------------------------------------------------------------- */

static void put_line(json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	puts(text ? text
		  : "{\"event\":\"result\",\"ok\":false,"
		    "\"error\":\"out of memory\"}");
	free(text);
	json_decref(line);
}

static json_t *strings(const char (*texts)[200], size_t nr)
{
	json_t *list = json_array();

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *states(const struct sf_device *d)
{
	json_t *list = json_array();

	for (size_t i = 0; d && i < d->nr_states; i++)
		json_array_append_new(list,
				      json_string(sf_states[d->states[i]]));
	return list;
}

static json_t *device_event(const struct judged *j)
{
	static const struct sf_device none;
	const struct sf_device *s = j->source ? j->source : &none;
	const struct sf_device *d = j->destination ? j->destination : &none;

	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:o, s:o}",
		"event", "device", "name", j->name, "verdict",
		verdict_name(j->verdict), "why",
		strings(j->reasons, j->nr_reasons), "notes",
		strings(j->notes, j->nr_notes), "pages_written",
		(json_int_t)d->truth.checked, "pages_lost",
		(json_int_t)d->truth.pages_lost, "marks",
		(json_int_t)s->now.marks, "reports", (json_int_t)s->now.reports,
		"pages_reported", (json_int_t)s->now.pages_reported,
		"discarded", (json_int_t)s->now.discarded, "state_bytes_saved",
		(json_int_t)s->bytes_saved, "state_bytes_loaded",
		(json_int_t)d->bytes_loaded, "source_states", states(s),
		"destination_states", states(d));
}

static void add_lost(json_t *list, const struct judged *j)
{
	const struct sf_truth *t = &j->destination->truth;

	for (size_t i = 0; i < t->nr_lost; i++) {
		char iova[24];

		snprintf(iova, sizeof(iova), "0x%" PRIx64, t->lost[i]);
		json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "iova",
						      iova, "len", (int)PAGE,
						      "writer", j->name));
	}
}

/* The first reason there is, with its device. */
static json_t *error_of(const struct judged *all, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (all[i].nr_reasons)
			return json_sprintf("%s: %s", all[i].name,
					    all[i].reasons[0]);
	return json_string("no device was migrated");
}

void verdict_json(const struct judged *all, size_t nr, enum verdict worst)
{
	bool ok = worst == VERDICT_VERIFIED;
	json_t *lost = json_array(), *result;
	uint64_t pages_lost = 0;

	for (size_t i = 0; i < nr; i++) {
		put_line(device_event(&all[i]));
		if (all[i].verdict != VERDICT_LOST)
			continue;
		add_lost(lost, &all[i]);
		pages_lost += all[i].destination->truth.pages_lost;
	}
	result = json_pack("{s:s, s:b, s:b, s:I, s:o}", "event", "result", "ok",
			   ok, "verified", ok, "pages_lost",
			   (json_int_t)pages_lost, "lost", lost);
	if (worst < VERDICT_VERIFIED || worst == VERDICT_NOT_COMPARABLE)
		json_object_set_new(result, "error", error_of(all, nr));
	put_line(result);
}
