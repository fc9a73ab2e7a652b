/* SPDX-License-Identifier: MIT */
/*
 * The comparison as a table: figures under their heads, what was predicted in
 * parentheses behind what was measured.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/spoor/units.h"

#include "compare.h"

#define COLUMNS_MAX (5u + MF_DEVICES_MAX)

/* Rows of cells; the first has the heads. */
struct table {
	char cells[COMPARE_POLICIES_MAX + 1][COLUMNS_MAX][MF_NAME_MAX + 8];
	size_t nr_rows, nr_columns;
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void ms(char *cell, size_t len, const json_t *o, const char *measured,
	       const char *predicted)
{
	const json_t *m = json_object_get(o, measured);
	const json_t *p = json_object_get(o, predicted);
	int n;

	if (json_is_number(m))
		n = snprintf(cell, len, "%.1f", json_number_value(m));
	else
		n = snprintf(cell, len, "-");
	if (json_is_number(p) && n > 0 && (size_t)n < len)
		snprintf(cell + n, len - (size_t)n, " (%.1f)",
			 json_number_value(p));
}

#define CELL(t, row, column)                                                   \
	(t)->cells[row][column], sizeof((t)->cells[row][column])

static void heads(struct table *t, const struct machine_file *mf)
{
	static const char *const fixed[] = { "policy", "downtime ms",
					     "total ms", "sent",
					     "tracking ms" };

	for (size_t i = 0; i < 5; i++)
		snprintf(CELL(t, 0, i), "%s", fixed[i]);
	for (size_t i = 0; i < mf->nr_devices; i++)
		snprintf(CELL(t, 0, 5 + i), "gap %s", mf->devices[i].name);
	t->nr_columns = 5 + mf->nr_devices;
	t->nr_rows = 1;
}

static void row(struct table *t, const json_t *run)
{
	const size_t n = t->nr_rows++;
	size_t i;
	json_t *d;

	snprintf(CELL(t, n, 0), "%s", text_of(run, "policy"));
	ms(CELL(t, n, 1), run, "downtime_ms", "predicted_downtime_ms");
	ms(CELL(t, n, 2), run, "total_ms", "predicted_total_ms");
	units_format_bytes(CELL(t, n, 3),
			   (uint64_t)json_integer_value(
				   json_object_get(run, "bytes_sent")));
	ms(CELL(t, n, 4), run, "tracking_cpu_ms", NULL);
	json_array_foreach(json_object_get(run, "devices"), i, d)
		ms(CELL(t, n, 5 + i), d, "service_gap_ms",
		   "predicted_service_gap_ms");
}

static void print_table(const struct table *t, bool colour)
{
	int widths[COLUMNS_MAX] = { 0 };

	for (size_t r = 0; r < t->nr_rows; r++)
		for (size_t c = 0; c < t->nr_columns; c++)
			if ((int)strlen(t->cells[r][c]) > widths[c])
				widths[c] = (int)strlen(t->cells[r][c]);
	for (size_t r = 0; r < t->nr_rows; r++) {
		if (!r && colour)
			fputs("\033[1m", stdout);
		printf("  %-*s", widths[0], t->cells[r][0]);
		for (size_t c = 1; c < t->nr_columns; c++)
			printf("  %*s", widths[c], t->cells[r][c]);
		puts(!r && colour ? "\033[0m" : "");
	}
}

static void print_lost(const json_t *run)
{
	size_t i;
	json_t *l;

	json_array_foreach(json_object_get(run, "lost"), i, l)
	{
		if (i == 5) {
			printf("    and %zu more ranges\n",
			       json_array_size(json_object_get(run, "lost")) -
				       i);
			return;
		}
		printf("    lost: %s, %" PRIu64 " bytes, last written by %s\n",
		       text_of(l, "iova"),
		       (uint64_t)json_integer_value(json_object_get(l, "len")),
		       text_of(l, "writer"));
	}
}

/* What does not fit in a row. */
static void remarks(const json_t *run)
{
	const char *policy = text_of(run, "policy");
	size_t i;
	json_t *t;

	if (text_of(run, "refused")[0])
		printf("  %s: refused: %s\n", policy, text_of(run, "refused"));
	else if (text_of(run, "failed")[0])
		printf("  %s: failed: %s\n", policy, text_of(run, "failed"));
	else if (!json_integer_value(json_object_get(run, "repetitions")))
		printf("  %s: not measured\n", policy);
	else if (!json_is_true(json_object_get(run, "verified")))
		printf("  %s: not verified\n", policy);
	print_lost(run);
	if (json_is_false(json_object_get(run, "converged")))
		printf("  %s: not converged: %s\n", policy,
		       text_of(run, "too_fast"));
	json_array_foreach(json_object_get(run, "notes"), i, t)
		printf("  %s: %s\n", policy, json_string_value(t));
}

static bool any_predicted(const struct comparison *c)
{
	for (size_t i = 0; i < c->nr; i++)
		if (c->of[i].predicted)
			return true;
	return false;
}

void compare_text(const struct comparison *c, const json_t *result)
{
	const json_t *runs = json_object_get(result, "runs");
	static struct table t;
	size_t i;
	json_t *run;

	heads(&t, c->of[0].mf);
	json_array_foreach((json_t *)runs, i, run)
	{
		if (json_object_get(run, "downtime_ms"))
			row(&t, run);
	}
	if (c->o->repeat > 1)
		printf("Medians of %llu repetitions",
		       (unsigned long long)c->o->repeat);
	else
		printf("One repetition");
	puts(any_predicted(c) ? "; in parentheses what was predicted" : "");
	if (t.nr_rows > 1)
		print_table(&t, c->out.colour);
	json_array_foreach((json_t *)runs, i, run) remarks(run);
}
